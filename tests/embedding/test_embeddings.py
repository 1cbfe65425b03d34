"""Embeddings: what is kept, saved and found near."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sargraph.core.errors import ArtifactError, BadInputError, UnknownIdError
from sargraph.core.ragged import Ragged
from sargraph.embedding.embeddings import Embeddings, unit_rows
from sargraph.events.vocabulary import Vocabulary
from sargraph.testing.planted_topics import ACTIVE_ITEMS


def small(tables: dict[str, np.ndarray]) -> Embeddings:
    kinds = ("user", "item", "query", "term")
    sizes = {kind: len(tables[kind]) if kind in tables else 0 for kind in kinds}
    return Embeddings(
        tables=tables,
        vocabularies={
            kind: Vocabulary([f"{kind}{r}" for r in range(n)], [f"{kind} no {r}" for r in range(n)])
            for kind, n in sizes.items()
        },
        query_terms=Ragged.from_lists([]),
        model="uditsr",
        config={},
        seed=0,
    )


def test_nearest_is_the_exact_order_of_cosines() -> None:
    rng = np.random.default_rng(0)
    items, users = (rng.normal(size=(n, 5)).astype(np.float32) for n in (30, 4))
    found = small({"item": items, "user": users}).nearest("user", "user2", k=7, target="item")
    cosines = [float(i @ users[2] / np.linalg.norm(i) / np.linalg.norm(users[2])) for i in items]
    order = sorted(range(30), key=lambda row: -cosines[row])[:7]
    assert [id_ for id_, _, _ in found] == [f"item{row}" for row in order]
    assert found[0][1] == f"item no {order[0]}"
    np.testing.assert_allclose([c for *_, c in found], [cosines[r] for r in order], atol=1e-6)


def test_nearest_leaves_out_the_id_itself_and_may_be_fewer_than_k() -> None:
    items = np.array([[1, 0], [2, 0], [0, 0]], dtype=np.float32)
    found = small({"item": items}).nearest("item", "item0", k=10)
    assert [(id_, cosine) for id_, _, cosine in found] == [("item1", 1.0), ("item2", 0.0)]


def test_nearest_items_share_the_planted_topic(embeddings: Embeddings) -> None:
    right = [
        int(name[-1]) == row % 2
        for row in range(ACTIVE_ITEMS)
        for _, name, _ in embeddings.nearest("item", f"item{row}", k=5)
    ]
    assert np.mean(right) > 0.9


def test_unknown_ids_kinds_and_sizes_are_refused(embeddings: Embeddings) -> None:
    with pytest.raises(UnknownIdError, match="item5"):
        embeddings.nearest("item", "item555")
    with pytest.raises(BadInputError, match="query"):
        embeddings.nearest("querry", "query0")
    with pytest.raises(BadInputError, match="k"):
        embeddings.nearest("item", "item5", k=0)
    with pytest.raises(BadInputError, match="rows"):
        Embeddings(**{**vars(embeddings), "tables": {"user": np.zeros((3, 2), np.float32)}})


def test_a_query_vector_is_the_sum_of_its_words(embeddings: Embeddings) -> None:
    words = embeddings.query_terms[3]
    expected = embeddings.tables["term"][words].sum(axis=0)
    np.testing.assert_allclose(embeddings.vectors("query")[3], expected, atol=1e-6)


def test_saving_and_loading_keeps_everything(embeddings: Embeddings, tmp_path: Path) -> None:
    saved = embeddings.save(tmp_path / "e")
    loaded = Embeddings.load(tmp_path / "e")
    for name in ("tables", "weights"):
        assert getattr(loaded, name).keys() == getattr(embeddings, name).keys()
        for key, value in getattr(embeddings, name).items():
            assert getattr(loaded, name)[key].dtype == value.dtype
            np.testing.assert_array_equal(getattr(loaded, name)[key], value)
    for name in ("model", "config", "seed", "history", "report", "parents", "vocabularies"):
        assert getattr(loaded, name) == getattr(embeddings, name), name
    np.testing.assert_array_equal(loaded.query_terms.values, embeddings.query_terms.values)
    assert loaded.content_hash == saved.content_hash != ""
    assert loaded.parents == {"graph": "a" * 64}


def test_the_same_embeddings_have_the_same_content_hash(
    embeddings: Embeddings, tmp_path: Path
) -> None:
    slow = Embeddings(**{**vars(embeddings), "report": {"seconds": 1e9}})
    hashes = {e.save(tmp_path / str(n)).content_hash for n, e in enumerate([embeddings, slow])}
    assert len(hashes) == 1


def test_a_changed_table_is_refused(embeddings: Embeddings, tmp_path: Path) -> None:
    embeddings.save(tmp_path / "e")
    file = tmp_path / "e" / "tables.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ArtifactError):
        Embeddings.load(tmp_path / "e")


def test_unit_rows_keeps_zero_rows() -> None:
    rows = unit_rows(np.array([[3, 4], [0, 0]], dtype=np.float32))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0]], atol=1e-7)
