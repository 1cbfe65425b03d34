"""Models trained before the newcomers came, and the newcomers placed by one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.train import train
from sargraph.graph.build import build_graph
from sargraph.testing.newcomer_cases import (
    FAST,
    MODELS,
    OLD,
    ONCE,
    WORLD,
)


@pytest.fixture(scope="session")
def trained() -> Embeddings:
    return train(build_graph(OLD), "uditsr", FAST, seed=1)


@pytest.fixture(scope="session")
def placed(trained: Embeddings) -> Embeddings:
    return trained.embed_new(WORLD)


@pytest.fixture(scope="session")
def once() -> Callable[[str], Embeddings]:
    """Embeddings of a case of MODELS after one epoch, trained on first use."""
    made: dict[str, Embeddings] = {}

    def get(name: str) -> Embeddings:
        if name not in made:
            config = {**ONCE, **MODELS[name]}
            made[name] = train(build_graph(OLD), name.split()[0], config, seed=1)
        return made[name]

    return get
