"""Soft alignment against loops: like items in place of the same items, and their ages."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest

from sargraph.core.errors import BadInputError
from sargraph.neighbours import alignment
from sargraph.neighbours.alignment import soft_alignment, unit_vectors
from sargraph.neighbours.measures import Sequences, lcs_similarity
from sargraph.testing import similarity_oracles as oracles

LENGTHS = (0, 1, 2, 9, 50, 0, 70)


def pack(lists):
    offsets = np.r_[0, np.cumsum([len(items) for items in lists])].astype(np.int64)
    items = np.array(list(chain.from_iterable(lists)), dtype=np.int32)
    return Sequences(offsets, items, np.zeros(len(lists), np.int64))


def random_world(seed, num_items=90, dim=6, lengths=LENGTHS):
    """Vectors of any length, one in ten of them zero; sequences with weights of their items."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(num_items, dim))
    vectors[rng.random(num_items) < 0.1] = 0
    lists = [rng.integers(num_items, size=n).tolist() for n in lengths]
    weights = [rng.exponential(size=n).tolist() for n in lengths]
    return vectors, lists, weights


@pytest.mark.parametrize("block_items", [4096, 60, 1])
@pytest.mark.parametrize("half_life", [10.0, 0.7])
def test_soft_alignment_follows_its_formula(monkeypatch, half_life, block_items):
    monkeypatch.setattr(alignment, "_BLOCK_ITEMS", block_items)
    vectors, lists, weights = random_world(0)
    units, candidates = unit_vectors(vectors), pack(lists)
    rows = np.array([6, 0, 3, 3, 5, 4, 2, 1])
    for u, w in zip(lists, weights, strict=True):
        got = soft_alignment(u, w, candidates, rows, units, half_life=half_life)
        expected = [oracles.soft_alignment(u, w, lists[v], vectors, half_life) for v in rows]
        np.testing.assert_allclose(got, expected, atol=2e-6)
        assert got.dtype == np.float64
        assert np.all(np.abs(got) <= 1)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_the_mean_of_both_directions_is_symmetric(is_weighted):
    vectors, lists, weights = random_world(1)
    if not is_weighted:
        weights = [[1.0] * len(items) for items in lists]
    units, candidates, rows = unit_vectors(vectors), pack(lists), np.arange(len(lists))
    options = (
        {"candidate_weights": np.array(list(chain.from_iterable(weights)))} if is_weighted else {}
    )
    one_way = np.empty((len(rows), len(rows)))
    both = np.empty_like(one_way)
    for u, w in enumerate(weights):
        one_way[u] = soft_alignment(lists[u], w, candidates, rows, units)
        both[u] = soft_alignment(lists[u], w, candidates, rows, units, symmetric=True, **options)
    np.testing.assert_allclose(both, (one_way + one_way.T) / 2, atol=1e-6)
    assert np.abs(one_way - one_way.T).max() > 0.05


def test_a_user_with_itself_is_one_unless_a_vector_is_missing():
    rng = np.random.default_rng(2)
    vectors = unit_vectors(rng.normal(size=(40, 16)))
    items, weights = rng.integers(40, size=30), rng.exponential(size=30)
    itself = pack([items.tolist()])
    assert soft_alignment(items, weights, itself, [0], vectors)[0] == pytest.approx(1, abs=1e-6)
    gone = vectors.copy()
    gone[items[4]] = 0
    expected = 1 - weights[items == items[4]].sum() / weights.sum()
    assert soft_alignment(items, weights, itself, [0], gone)[0] == pytest.approx(expected, abs=1e-6)


def test_a_neighbour_who_shares_no_item_is_found_by_its_vectors():
    rng = np.random.default_rng(3)
    tastes = rng.normal(size=(5, 16))
    taste = np.arange(200) % 5
    vectors = unit_vectors(tastes[taste] + 0.3 * rng.normal(size=(200, 16)))
    lists = [rng.choice(np.flatnonzero(taste[100:] == t) + 100, size=15).tolist() for t in range(5)]
    candidates = pack(lists)
    for t in range(5):
        probe = rng.choice(np.flatnonzero(taste[:100] == t), size=12)
        got = soft_alignment(probe, np.ones(12), candidates, np.arange(5), vectors)
        assert np.all(lcs_similarity(Sequences.one(probe), candidates, np.arange(5)) == 0)
        assert np.argmax(got) == t
        assert got[t] > 0.7 > np.delete(got, t).max() + 0.1


def test_a_like_item_one_half_life_of_ranks_away_counts_half():
    vectors = unit_vectors([[1, 0], [0, 1], [1, 0]])
    candidates = pack([[2], [2] + [1] * 4, [2] + [1] * 8])
    got = soft_alignment([0], [3.0], candidates, np.arange(3), vectors, half_life=4)
    np.testing.assert_allclose(got, [1, 0.5, 0.25])
    assert soft_alignment([0], [1], candidates, [2], vectors, half_life=np.inf) == 1


def test_negative_cosines_count_as_they_are_and_missing_vectors_as_zero():
    vectors = unit_vectors([[1, 0], [-1, 0], [0, 0]])
    candidates = pack([[1], [1, 2], [2], [], [1, 1]])
    got = soft_alignment([0], [1], candidates, np.arange(5), vectors, half_life=1)
    np.testing.assert_allclose(got, [-1, 0, 0, 0, -0.5])
    assert np.all(soft_alignment([2], [1], candidates, np.arange(5), vectors) == 0)
    assert np.all(soft_alignment([0], [0], candidates, np.arange(5), vectors) == 0)
    assert np.all(soft_alignment([], [], candidates, np.arange(5), vectors, symmetric=True) == 0)
    assert soft_alignment([0], [1], candidates, [], vectors).shape == (0,)


def test_unit_vectors_have_length_one_or_zero():
    given = np.array([[3, 4], [0, 0], [1e-30, 0], [1e200, -1e200]])
    got = unit_vectors(given)
    assert got.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), [1, 0, 1, 1], atol=1e-7)
    np.testing.assert_allclose(got[0], [0.6, 0.8])
    assert unit_vectors(np.empty((0, 4))).shape == (0, 4)
    with pytest.raises(BadInputError, match="NaN or infinity"):
        unit_vectors(np.array([[1, np.nan]]))
    with pytest.raises(BadInputError, match=r"got vectors of float64 \[2\]"):
        unit_vectors(np.ones(2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"probe_weights": [1.0]}, r"got probe_weights \[1\], expected \[2\]"),
        ({"probe_weights": [1.0, -1.0]}, "got probe_weights that are negative"),
        ({"probe_items": [0, 3]}, "got items from 0 to 3, expected 0 to 2"),
        ({"probe_items": [0, -1]}, "got items from -1 to 0"),
        ({"candidates": pack([[0], [5]])}, "got items from 0 to 5"),
        ({"rows": np.array([2])}, "rows from 2 to 2, expected 0 to 1"),
        ({"vectors": np.eye(3)}, r"got vectors of float64 \[3, 3\], expected float32"),
        ({"vectors": [[1.0]]}, "got vectors of list"),
        ({"half_life": 0}, "got half_life = 0"),
        ({"candidate_weights": np.ones(3), "symmetric": True}, r"got candidate_weights \[3\]"),
        ({"candidate_weights": -np.ones(2), "symmetric": True}, "candidate_weights that are neg"),
    ],
)
def test_what_does_not_fit_is_an_error(changes, message):
    given = {
        "probe_items": [0, 1],
        "probe_weights": [1.0, 2.0],
        "candidates": pack([[0], [2]]),
        "rows": np.arange(2),
        "vectors": unit_vectors(np.eye(3)),
    }
    with pytest.raises(BadInputError, match=message) as caught:
        soft_alignment(**{**given, **changes})
    assert "\n" not in str(caught.value)
