"""A planted world of two topics, and embeddings trained on it once."""

from __future__ import annotations

import numpy as np
import pytest

from sargraph.core.ragged import Ragged
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.train import train
from sargraph.events.vocabulary import Vocabulary
from sargraph.graph.graph import CLICKED, FOUND, EdgeTable, Graph

SIZES = {"user": 40, "item": 60, "query": 30, "term": 20}
"""Even rows are of topic 0, odd rows of topic 1; the last item and the last user have no edge."""

FAST = {"dim": 16, "num_epochs": 30, "batch_size": 128, "learning_rate": 0.02}


def planted_graph(seed: int = 0) -> Graph:
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(SIZES["user"] - 2), 14)
    item = _of_topic(rng, user, SIZES["item"] - 2)
    query = _of_topic(rng, user, SIZES["query"])
    clicked = np.arange(len(user)) % 2 == 0
    terms = [
        (2 * rng.choice(SIZES["term"] // 2, size=2, replace=False) + row % 2).tolist()
        for row in range(SIZES["query"])
    ]
    return Graph(
        vocabularies={
            kind: Vocabulary([f"{kind}{row}" for row in range(size)], _names(kind, size))
            for kind, size in SIZES.items()
        },
        edges={
            CLICKED: EdgeTable.of(user[clicked], item[clicked]),
            FOUND: EdgeTable.of(user[~clicked], item[~clicked], query=query[~clicked]),
        },
        query_terms=Ragged.from_lists(terms),
        item_terms=Ragged.from_lists([[]] * SIZES["item"]),
        name="planted",
        content_hash="a" * 64,
    )


def _of_topic(rng: np.random.Generator, user: np.ndarray, size: int) -> np.ndarray:
    return 2 * rng.integers(0, size // 2, len(user)) + user % 2


def _names(kind: str, size: int) -> list[str]:
    return [f"{kind} {row} of topic {row % 2}" for row in range(size)]


@pytest.fixture(scope="session")
def graph() -> Graph:
    return planted_graph()


@pytest.fixture(scope="session")
def embeddings(graph: Graph) -> Embeddings:
    return train(graph, "uditsr", FAST, seed=1)
