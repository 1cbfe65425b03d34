"""A nearest index: flat is exact, hnsw and ivf state their recall, all are seeded."""

from __future__ import annotations

import os
import subprocess
import sys

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sargraph.core.errors import BadInputError, ConfigError, UnknownIdError
from sargraph.core.types import NO_ROW
from sargraph.embedding.embeddings import unit_rows
from sargraph.embedding.faiss_threads import faiss_with
from sargraph.embedding.nearest import NearestIndex
from sargraph.testing.tables import embeddings_of, naive_nearest, random_tables

METHODS = ("flat", "hnsw", "ivf")
POOR = {"hnsw": {"num_links": 2, "build_width": 1, "search_width": 1},
        "ivf": {"num_cells": 40, "num_cells_probed": 1}}  # fmt: skip


def test_flat_is_the_exact_order_of_cosines() -> None:
    tables = random_tables(0, user=9, item=60)
    found = embeddings_of(tables).nearest_index("user", target="item").search(tables["user"], 7)
    assert found.method == "flat" and found.recall == 1.0 and len(found) == 9
    for place, probe in enumerate(tables["user"].tolist()):
        expected = naive_nearest(tables["item"], probe, 7)
        assert found.ranked.rows[place].tolist() == [row for row, _ in expected]
        cosines = [cosine for _, cosine in expected]
        np.testing.assert_allclose(found.ranked.scores[place], cosines, atol=1e-6)
        names = [(id_, name) for id_, name, _ in found.named(place)]
        assert names == [(f"item{row}", f"item no {row}") for row, _ in expected]


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float32, st.tuples(st.integers(1, 70), st.just(2)), elements=st.integers(-2, 2)),
    st.integers(1, 75),
)
def test_ties_zero_rows_and_few_rows_are_answered_as_the_naive_way(
    table: np.ndarray, k: int
) -> None:
    embeddings = embeddings_of({"item": table})
    index = embeddings.nearest_index("item")
    ids = embeddings.vocabularies["item"].ids
    answer = index.search(ids, k)
    for row, probe in enumerate(table.tolist()):
        expected = naive_nearest(table, probe, k, excluded=row)
        assert [r for r, _ in answer.ranked.valid(row)] == [r for r, _ in expected]
        assert answer.named(row) == embeddings.nearest("item", ids[row], k)
        tail = answer.ranked.rows[row, len(expected) :]
        assert (tail == NO_ROW).all()


def test_more_ties_than_are_proposed_at_first_keep_the_order_of_rows() -> None:
    table = np.tile(random_tables(3, dim=5, item=3)["item"], (400, 1))
    index = embeddings_of({"item": table}).nearest_index("item")
    found = index.search(["item5", "item1195"], 200).ranked
    for place, row in enumerate((5, 1195)):
        same = [other for other in range(row % 3, 1200, 3) if other != row]
        assert found.rows[place].tolist() == same[:200]


@pytest.mark.parametrize("method", METHODS)
def test_an_id_is_not_its_own_neighbour_but_its_vector_is(method: str) -> None:
    tables = random_tables(1, item=300)
    index = embeddings_of(tables).nearest_index("item", method)
    by_id = index.search([f"item{row}" for row in range(300)], 4).ranked
    assert not (by_id.rows == np.arange(300)[:, None]).any()
    by_vector = index.search(3 * tables["item"], 4).ranked  # a vector's length changes nothing
    assert (by_vector.rows[:, 0] == np.arange(300)).mean() > 0.97
    one = index.search("item7", 4)
    assert one.named(0) == index.search(["item3", "item7"], 4).named(1)


@pytest.mark.parametrize("method", ["hnsw", "ivf"])
def test_the_stated_recall_is_the_share_of_the_exact_answer_that_is_found(method: str) -> None:
    tables = random_tables(2, item=500)
    settings_ = {**POOR[method], "num_recall_probes": 500}
    index = embeddings_of(tables).nearest_index("item", method, settings_)
    answer = index.search([f"item{row}" for row in range(500)], 5)
    shares = []
    for row, probe in enumerate(tables["item"].tolist()):
        exact = {r for r, _ in naive_nearest(tables["item"], probe, 5, excluded=row)}
        shares.append(len(exact & set(answer.ranked.rows[row].tolist())) / 5)
    assert answer.recall == index.recall_at(5) == pytest.approx(np.mean(shares))
    assert 0.05 < answer.recall < 0.95
    assert index.recall == index.recall_at(10)


@pytest.mark.parametrize("method", ["hnsw", "ivf"])
def test_wider_searches_find_nearly_all(method: str) -> None:
    embeddings = embeddings_of(random_tables(2, item=800))
    wide = {"hnsw": {"search_width": 400}, "ivf": {"num_cells": 20, "num_cells_probed": 20}}
    assert embeddings.nearest_index("item", method, POOR[method]).recall < 0.9
    assert embeddings.nearest_index("item", method, wide[method]).recall > 0.99


def test_the_recall_is_measured_with_probes_of_the_kind_that_asks() -> None:
    """Users who lie between all the cells are answered worse than items are."""
    rng = np.random.default_rng(0)
    centres = np.eye(8, dtype=np.float32)
    items = np.repeat(centres, 60, 0) + 0.05 * rng.normal(size=(480, 8)).astype(np.float32)
    users = 1 + 0.05 * rng.normal(size=(50, 8)).astype(np.float32)
    embeddings = embeddings_of({"item": items, "user": users})
    few = {"num_cells": 8, "num_cells_probed": 1}
    from_items = embeddings.nearest_index("item", "ivf", few)
    from_users = embeddings.nearest_index("user", "ivf", few, target="item")
    assert from_items.recall > 0.95 > 0.8 > from_users.recall
    assert from_users.search(["user3"], 10).recall == from_users.recall


def test_zero_vectors_do_not_raise_the_recall() -> None:
    tables = random_tables(4, item=300)
    index = embeddings_of(tables).nearest_index("item", "ivf", POOR["ivf"])
    tables["user"] = np.concatenate([tables["item"][:50], np.zeros((400, 8), np.float32)])
    mixed = embeddings_of(tables).nearest_index("user", "ivf", POOR["ivf"], target="item")
    assert mixed.recall < 0.9 and index.recall < 0.9
    zeros = embeddings_of({"item": np.zeros((30, 4), np.float32)})
    assert zeros.nearest_index("item", "hnsw").recall == 1.0


def same(first: NearestIndex, second: NearestIndex) -> bool:
    ids = first.vocabulary.ids
    one, two = first.search(ids, 6).ranked, second.search(ids, 6).ranked
    return one.rows.tobytes() == two.rows.tobytes() and one.scores.tobytes() == two.scores.tobytes()


@pytest.mark.parametrize("method", ["hnsw", "ivf"])
def test_the_same_seed_gives_the_same_answers(method: str) -> None:
    embeddings = embeddings_of(random_tables(5, item=400))
    first, second, other = (
        embeddings.nearest_index("item", method, POOR[method], seed=seed) for seed in (1, 1, 2)
    )
    assert same(first, second) and first.recall == second.recall
    assert not same(first, other)


@pytest.mark.parametrize("method", METHODS)
def test_one_row_and_more_asked_than_there_are(method: str) -> None:
    single = embeddings_of(random_tables(6, item=1)).nearest_index("item", method)
    assert single.search(["item0"], 3).named(0) == [] and single.recall == 1.0
    few = embeddings_of(random_tables(6, item=4)).nearest_index("item", method)
    answer = few.search(["item2"], 50)
    assert answer.ranked.rows.shape == (1, 50)
    assert {id_ for id_, _, _ in answer.named(0)} == {"item0", "item1", "item3"}
    assert len(few.search([], 2)) == 0


def test_bad_input_is_one_clear_error() -> None:
    embeddings = embeddings_of({**random_tables(7, item=5), "term": np.empty((0, 8), np.float32)})
    for asked in ({"kind": "itme"}, {"kind": "item", "target": "itme"}):
        with pytest.raises(BadInputError, match="did you mean 'item'"):
            embeddings.nearest_index(**asked)
    with pytest.raises(BadInputError, match="term table is empty"):
        embeddings.nearest_index("item", target="term")
    with pytest.raises(ConfigError, match="unknown method 'hnws'; did you mean 'hnsw'"):
        embeddings.nearest_index("item", "hnws")
    with pytest.raises(ConfigError, match="search_width"):
        embeddings.nearest_index("item", "hnsw", {"search_widht": 3})
    with pytest.raises(ConfigError, match="got 6, expected at most the 5 rows"):
        embeddings.nearest_index("item", "ivf", {"num_cells": 6})
    index = embeddings.nearest_index("item")
    for call in (index.search, lambda _, k: index.recall_at(k)):
        with pytest.raises(BadInputError, match="k: got 0, expected at least 1"):
            call(["item0"], 0)
    with pytest.raises(UnknownIdError, match="item9"):
        index.search(["item0", "item9"])
    for probes in (np.ones(8), np.ones((2, 7)), np.full((1, 8), np.nan)):
        with pytest.raises(BadInputError, match=r"expected finite vectors \[probes, 8\]"):
            index.search(probes.astype(np.float32))
    broken = random_tables(7, item=5)
    broken["item"][2, 3] = np.inf
    with pytest.raises(BadInputError, match="not finite"):
        embeddings_of(broken).nearest_index("item")


def test_the_threads_of_faiss_are_set_and_put_back() -> None:
    before = faiss.omp_get_max_threads()
    with faiss_with(before + 1) as library:
        assert library.omp_get_max_threads() == before + 1
    assert faiss.omp_get_max_threads() == before
    with pytest.raises(BadInputError, match="num_threads"), faiss_with(0):
        pass
    tables = random_tables(8, item=300)
    two = embeddings_of(tables).nearest_index("item", settings={"num_threads": 2})
    assert same(two, embeddings_of(tables).nearest_index("item"))
    assert faiss.omp_get_max_threads() == before


def test_faiss_is_imported_when_it_is_used_and_not_before() -> None:
    code = "import sys, sargraph.embedding.nearest, sargraph.embedding.export as e; "
    code += "assert e.FORMATS and 'faiss' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))


def test_unit_vectors_are_kept_by_the_index() -> None:
    tables = random_tables(9, item=6)
    index = embeddings_of(tables).nearest_index("item")
    assert len(index) == 6
    np.testing.assert_array_equal(index.vectors, unit_rows(tables["item"]))
