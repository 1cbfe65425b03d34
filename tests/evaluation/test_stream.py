"""Catalogues ranked in one pass, against loops and against `rank_target` on whole matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sargraph.core.errors import BadInputError
from sargraph.core.ragged import Ragged
from sargraph.core.scorer import VectorScorer
from sargraph.core.types import NO_ROW
from sargraph.evaluation import stream_vectors
from sargraph.evaluation.ranks import rank_target
from sargraph.evaluation.stream import rank_catalogue
from sargraph.evaluation.stream_vectors import twins

NAMES = ("better", "tied", "count", "num_nan")


@dataclass
class Table:
    """Scores looked up in a table [requests, items] by the request's user."""

    scores: np.ndarray
    name: str = "table"

    def score(self, requests, candidates):
        return self.scores[requests.user[:, None], candidates]


@dataclass
class Vectors:
    """One vector per user and item."""

    users: np.ndarray
    items: np.ndarray
    name: str = "vectors"

    def score(self, requests, candidates):
        return np.einsum("nd,ncd->nc", self.users[requests.user], self.items[candidates])

    def encode(self, requests):
        return self.users[requests.user]

    def item_vectors(self):
        return self.items


def removed_rows(lists):
    return Ragged.from_lists(lists)


def by_loop(row, target, gone, k):
    """(better, tied, count, NaN), and the scores of the k best candidates."""
    gone = set(gone) - {target}
    better = tied = nan = 0
    left = [item for item in range(len(row)) if item not in gone]
    for item in left:
        nan += math.isnan(row[item])
        if item == target:
            continue
        if math.isnan(row[item]) or math.isnan(row[target]) or row[item] > row[target]:
            better += 1
        elif row[item] == row[target]:
            tied += 1
    shown = sorted((row[i] for i in left if row[i] > -math.inf), reverse=True)[:k]
    return (better, tied, len(left), nan), shown


SCORE = st.sampled_from([-1.0, 0.0, 0.5, 2.0, math.nan, -math.inf, math.inf])


@settings(deadline=None)  # the first call compiles
@given(data=st.data(), dtype=st.sampled_from([np.float32, np.float64, np.float16]))
def test_ranks_and_best_equal_a_loop(make_requests, data, dtype):
    num_items, n = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 4))
    k, seed = data.draw(st.integers(1, 6)), data.draw(st.integers(0, 3))
    row = st.lists(SCORE, min_size=num_items, max_size=num_items)
    scores = np.array(data.draw(st.lists(row, min_size=n, max_size=n)), dtype)
    item = st.integers(0, num_items - 1)
    targets = data.draw(st.lists(item, min_size=n, max_size=n))
    gone = data.draw(st.lists(st.lists(item, max_size=6), min_size=n, max_size=n))
    ranks, top = rank_catalogue(
        Table(scores), make_requests(range(n), targets), num_items, removed=removed_rows(gone),
        k=k, seed=seed, max_cells=data.draw(st.integers(1, 40)),
    )  # fmt: skip
    for r in range(n):
        counts, shown = by_loop(scores[r].tolist(), targets[r], gone[r], k)
        assert tuple(getattr(ranks, name)[r] for name in NAMES) == counts
        best = [item for item in top[r].tolist() if item != NO_ROW]
        assert scores[r][best].tolist() == shown
        assert len(set(best)) == len(best)
        assert not set(best) & (set(gone[r]) - {targets[r]})
        assert top[r, len(best) :].tolist() == [NO_ROW] * (k - len(best))


@pytest.mark.parametrize("num_items", [1, 7, 511, 512, 513, 1500])
@pytest.mark.parametrize("n", [1, 63, 64, 300])
def test_vectors_equal_the_slow_path(make_requests, num_items, n):
    """Whole numbers, so that every way of adding gives the same scores, with many ties."""
    rng = np.random.default_rng(num_items + n)
    model = Vectors(
        rng.integers(-2, 3, size=(n, 3)).astype(np.float32),
        rng.integers(-2, 3, size=(num_items, 3)).astype(np.float32),
    )
    model.items[rng.random(num_items) < 0.05, 0] = np.nan
    targets = rng.integers(num_items, size=n)
    gone = removed_rows([rng.integers(num_items, size=rng.integers(4)) for _ in range(n)])
    requests = make_requests(range(n), targets)
    options = {"removed": gone, "k": 5, "seed": 1, "max_cells": 1 << 16}
    fast = rank_catalogue(model, requests, num_items, **options)
    scores = model.users @ model.items.T
    slow = rank_catalogue(Table(scores), requests, num_items, **options)
    valid = np.ones(scores.shape, bool)
    valid[gone.row_of_value, gone.values] = False
    whole = rank_target(scores, targets, valid)
    for name in NAMES:
        assert np.array_equal(getattr(fast[0], name), getattr(slow[0], name))
        assert np.array_equal(getattr(fast[0], name), getattr(whole, name))
    assert np.array_equal(fast[1], slow[1])


def test_a_target_never_beats_itself_nor_its_twins(make_requests):
    """All items are one of two vectors: whatever the last bit of a product, equals tie."""
    rng = np.random.default_rng(0)
    n, num_items, dim = 130, 700, 67
    users, two = (rng.standard_normal((size, dim)).astype(np.float32) for size in (n, 2))
    which = rng.integers(2, size=num_items)
    targets = rng.integers(num_items, size=n)
    ranks, _ = rank_catalogue(
        Vectors(users, two[which]), make_requests(range(n), targets), num_items,
        removed=removed_rows([[]] * n), k=1, seed=0, max_cells=1,
    )  # fmt: skip
    same = np.bincount(which)[which[targets]]
    assert np.array_equal(ranks.tied, same - 1)
    assert set(ranks.better.tolist()) <= {0, *(num_items - same).tolist()}


@pytest.mark.parametrize("kind", [Table, Vectors])
def test_nothing_depends_on_the_size_of_blocks(make_requests, kind):
    rng = np.random.default_rng(3)
    n, num_items = 400, 300
    users, items = (rng.standard_normal((size, 16)).astype(np.float32) for size in (n, num_items))
    model = Table(np.round(users @ items.T)) if kind is Table else Vectors(users, items)
    requests = make_requests(range(n), rng.integers(num_items, size=n))
    options = {"removed": removed_rows([[0, 1]] * n), "k": 10, "seed": 0}
    first, top = rank_catalogue(model, requests, num_items, max_cells=1 << 20, **options)
    for max_cells in (1, 3000, 10_000):
        again, other = rank_catalogue(model, requests, num_items, max_cells=max_cells, **options)
        assert np.array_equal(top, other)
        for name in NAMES:
            assert np.array_equal(getattr(first, name), getattr(again, name))


@pytest.mark.parametrize("is_vector", [False, True])
def test_ties_among_the_best_are_fair_draws(make_requests, is_vector):
    """No item is favoured by its row, and no request repeats the draw of another."""
    n, num_items, k = 4000, 50, 5
    model = Vectors(np.ones((n, 1), np.float32), np.ones((num_items, 1), np.float32))
    if not is_vector:
        model = Table(np.ones((n, num_items), np.float32))
    _, top = rank_catalogue(
        model, make_requests(range(n), [0] * n), num_items, removed=removed_rows([[]] * n),
        k=k, seed=0, max_cells=1 << 20,
    )  # fmt: skip
    for place in range(k):
        counts = np.bincount(top[:, place], minlength=num_items)
        assert np.abs(counts - n / num_items).max() < 5 * np.sqrt(n / num_items)
    assert abs(np.corrcoef(top[:-1, 0], top[1:, 0])[0, 1]) < 0.06


def test_the_catalogue_comes_in_changing_orders(make_requests):
    orders = []

    class Noting(Table):
        def score(self, requests, candidates):
            assert candidates.strides[0] == 0
            orders.append(candidates[0].tolist())
            return super().score(requests, candidates)

    n, num_items = 600, 40
    rank_catalogue(
        Noting(np.zeros((n, num_items))), make_requests(range(n), [0] * n), num_items,
        removed=removed_rows([[]] * n), k=1, seed=0, max_cells=num_items * 100,
    )  # fmt: skip
    assert len(orders) == 7
    assert len({tuple(order) for order in orders}) == 3
    assert all(sorted(order) == list(range(num_items)) for order in orders)


def test_large_catalogues_are_cut_into_few_rows(make_requests, monkeypatch):
    monkeypatch.setattr(stream_vectors, "PRODUCT_CELLS", 300)
    rng = np.random.default_rng(0)
    users, items = (rng.integers(-3, 4, size=(size, 2)).astype(np.float32) for size in (70, 30))
    requests = make_requests(range(70), rng.integers(30, size=70))
    options = {"removed": removed_rows([[]] * 70), "k": 3, "seed": 0, "max_cells": 1}
    fast, top = rank_catalogue(Vectors(users, items), requests, 30, **options)
    slow, best = rank_catalogue(Table(users @ items.T), requests, 30, **options)
    assert np.array_equal(fast.better, slow.better)
    assert np.array_equal(top, best)


@pytest.mark.parametrize(
    ("users", "items", "line"),
    [
        (np.zeros((2, 3), np.float32), np.zeros((4, 2), np.float32), "encode"),
        (np.zeros((2, 3), np.float32), np.zeros((5, 3), np.float32), "item_vectors"),
        (np.zeros((2, 3), np.float32), np.zeros((4, 3), np.int64), "item_vectors"),
        (np.zeros((2, 3, 1), np.float32), np.zeros((4, 3), np.float32), "encode"),
    ],
)
def test_vectors_of_another_shape_are_refused(make_requests, users, items, line):
    model = Vectors(users, items)
    assert isinstance(model, VectorScorer)
    with pytest.raises(BadInputError, match=f"mend its {line} method"):
        rank_catalogue(
            model, make_requests([0, 1], [0, 1]), 4, removed=removed_rows([[], []]), k=1, seed=0,
            max_cells=9,
        )  # fmt: skip


@pytest.mark.parametrize("gone", [4, -1])
def test_seen_items_outside_the_catalogue_are_refused(make_requests, gone):
    with pytest.raises(BadInputError, match="seen items"):
        rank_catalogue(
            Table(np.zeros((1, 4))), make_requests([0], [0]), 4, removed=removed_rows([[gone]]),
            k=1, seed=0, max_cells=9,
        )  # fmt: skip


@given(st.integers(0, 40), st.integers(0, 3), st.integers(0, 99))
def test_twins_equal_a_loop(num_rows, dim, seed):
    values = np.array([0.0, -0.0, 1.0, np.nan], np.float32)
    vectors = np.random.default_rng(seed).choice(values, (num_rows, dim), p=[0.4, 0.2, 0.3, 0.1])
    found = dict(zip(*(rows.tolist() for rows in twins(vectors)), strict=True))
    for row in range(num_rows):
        earlier = [j for j in range(row) if np.all(vectors[j] == vectors[row])]
        assert found.get(row) == (earlier[0] if earlier else None)


def test_no_requests(make_requests):
    model = Vectors(np.zeros((1, 2), np.float32), np.zeros((4, 2), np.float32))
    for each in (model, Table(np.zeros((1, 4)))):
        ranks, top = rank_catalogue(
            each, make_requests([], []), 4, removed=removed_rows([]), k=3, seed=0, max_cells=9
        )
        assert len(ranks) == 0
        assert top.shape == (0, 3)
