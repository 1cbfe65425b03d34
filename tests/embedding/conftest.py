"""The planted graph of two topics, and embeddings trained on it once."""

from __future__ import annotations

import pytest

from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.train import train
from sargraph.graph.graph import Graph
from sargraph.testing.planted_topics import two_topics


@pytest.fixture(scope="session")
def graph() -> Graph:
    return two_topics()


@pytest.fixture(scope="session")
def embeddings(graph: Graph) -> Embeddings:
    fast = {"dim": 16, "num_epochs": 15, "batch_size": 128, "learning_rate": 0.02}
    return train(graph, "uditsr", fast, seed=1)
