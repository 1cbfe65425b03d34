"""The nearest ids of one id, from saved embeddings."""

from __future__ import annotations

from pathlib import Path

import pytest

from sargraph.core.errors import ArtifactError, BadInputError, ConfigError, UnknownIdError
from sargraph.pipeline.nearest import nearest_from
from sargraph.testing.tables import embeddings_of, random_tables

EMBEDDINGS = embeddings_of(random_tables(0, user=4, item=200, query=3, term=3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "e"
    EMBEDDINGS.save(path)
    return path


@pytest.mark.parametrize("target", [None, "item"])
def test_the_table_is_the_exact_answer(folder: Path, target: str | None) -> None:
    title, frame = nearest_from(folder, "user", "user1", 3, target)
    assert "exact" in title and f"{target or 'user'} vectors nearest to the user user1" in title
    assert list(frame.columns) == ["id", "name", "cosine"]
    expected = EMBEDDINGS.nearest("user", "user1", 3, target)
    assert list(frame.itertuples(index=False, name=None)) == expected


def test_an_approximate_answer_states_its_recall(folder: Path) -> None:
    few = ["num_cells=40", "num_cells_probed=2"]
    title, frame = nearest_from(folder, "item", "item3", 5, method="ivf", settings=few)
    index = EMBEDDINGS.nearest_index("item", "ivf", {"num_cells": 40, "num_cells_probed": 2})
    assert frame["recall"].unique().tolist() == [index.recall_at(5)]
    assert 0 < index.recall_at(5) < 1
    assert title.endswith(f"ivf, recall@5 {index.recall_at(5):.3f}")


def test_what_cannot_be_answered_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError):
        nearest_from(tmp_path, "item", "item3")
    with pytest.raises(UnknownIdError):
        nearest_from(folder, "item", "itm")
    with pytest.raises(BadInputError, match="k: got 0"):
        nearest_from(folder, "item", "item3", 0)
    with pytest.raises(ConfigError, match="unknown key"):
        nearest_from(folder, "item", "item3", method="hnsw", settings=["width=3"])
