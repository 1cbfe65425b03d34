"""Negatives are distinct, free and fair; no known positive is drawn unless asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sargraph.core.errors import DataError
from sargraph.core.ragged import Ragged
from sargraph.graph.graph import CLICKED, CONTAINS, FOUND
from sargraph.graph.negative import NegativeSampler
from sargraph.graph.popular import item_weights, popularity
from sargraph.graph.positives import Positives
from sargraph.testing.sampling import random_graph

NUM_USERS, NUM_ITEMS = 5, 30


def random_world(seed):
    """(sampler, pairs as sets per user, categories of items)"""
    rng = np.random.default_rng(seed)
    user, item = rng.integers(NUM_USERS, size=60), rng.integers(NUM_ITEMS, size=60)
    known = {u: set(item[user == u].tolist()) for u in range(NUM_USERS)}
    positives = Positives.build(user, item, NUM_USERS, NUM_ITEMS)
    of_item = Ragged.from_lists([[0, 1 + i % 2, 3 + i % 6] for i in range(NUM_ITEMS)])
    return NegativeSampler(positives, seed=seed), known, of_item


def draw(sampler, way, users, items, of_item, count, **options):
    if way == "uniform":
        return sampler.uniform(users, count, **options)
    if way == "popular":
        weights = item_weights(np.arange(NUM_ITEMS) + 1.0, NUM_ITEMS)
        return sampler.popular(users, count, weights, **options)
    if way == "in_batch":
        return sampler.in_batch(users, np.arange(NUM_ITEMS), count, **options)
    return sampler.same_category(users, items, count, of_item, else_uniform=True, **options)


WAYS = ["uniform", "popular", "in_batch", "same_category"]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(0, 6), way=st.sampled_from(WAYS))
def test_negatives_are_distinct_and_never_known_positives(seed, count, way):
    """The complaint: sampled negatives repeat, and hold items that the user chose."""
    sampler, known, of_item = random_world(seed)
    rng = np.random.default_rng(seed)
    users = rng.integers(NUM_USERS, size=NUM_ITEMS)
    items = rng.integers(NUM_ITEMS, size=NUM_ITEMS)
    drawn = draw(sampler, way, users, items, of_item, count)
    assert drawn.shape == (len(users), count)
    for user, row in zip(users.tolist(), drawn.tolist(), strict=True):
        assert len(set(row)) == count
        assert not known[user] & set(row)
        assert all(0 <= item < NUM_ITEMS for item in row)


@pytest.mark.parametrize("way", ["uniform", "popular", "same_category"])
def test_a_draw_depends_on_the_number_of_its_row_and_on_the_epoch_alone(way):
    sampler, _, of_item = random_world(1)
    users, items = np.arange(20) % NUM_USERS, np.arange(20)
    whole = draw(sampler, way, users, items, of_item, 3)
    order = np.random.default_rng(0).permutation(20)
    split = draw(sampler, way, users[order], items[order], of_item, 3, number=order)
    np.testing.assert_array_equal(split, whole[order])
    other = draw(sampler, way, users, items, of_item, 3, epoch=1)
    assert np.any(other != whole)


def test_positives_are_the_distinct_pairs_of_the_edges():
    rng = np.random.default_rng(0)
    user, item = rng.integers(6, size=200), rng.integers(9, size=200)
    positives = Positives.build(user, item, 6, 9)
    for u in range(6):
        inside = positives.items[positives.indptr[u] : positives.indptr[u + 1]]
        assert inside.tolist() == sorted(set(item[user == u].tolist()))
    everyone, everything = np.divmod(np.arange(54), 9)
    pairs = set(zip(user.tolist(), item.tolist(), strict=True))
    expected = [pair in pairs for pair in zip(everyone.tolist(), everything.tolist(), strict=True)]
    assert positives.contains(everyone, everything).tolist() == expected
    assert positives.count(np.arange(6)).sum() == len(pairs)


def test_row_numbers_whose_product_exceeds_64_bits_do_no_harm():
    """Users times items is never formed: 2^62 items, and the last rows of them, are fine."""
    huge = 2**62
    positives = Positives(np.array([0, 2]), np.array([huge - 3, huge - 1]), huge)
    sampler = NegativeSampler(positives)
    assert sampler.num_free(np.array([0])).tolist() == [huge - 2]
    assert positives.contains(np.array([0, 0]), np.array([huge - 1, huge - 2])).tolist() == [1, 0]


def test_a_graphs_positives_join_types_of_the_same_ends_only():
    graph = random_graph(np.random.default_rng(0))
    positives = Positives.of(graph, [CLICKED])
    table = graph.edges[CLICKED]
    assert positives.contains(table.from_row, table.to_row).all()
    for wrong in ([CLICKED, CONTAINS], [CLICKED, FOUND], []):
        with pytest.raises(DataError, match="same two node types"):
            Positives.of(graph, wrong)


def chi_square_fits(counts, shares):
    expected = counts.sum() * shares
    assert counts[shares == 0].sum() == 0
    inside = shares > 0
    square = ((counts - expected)[inside] ** 2 / expected[inside]).sum()
    degrees = inside.sum() - 1
    return abs(square - degrees) < 4 * np.sqrt(2 * degrees)


def test_uniform_negatives_are_uniform_over_the_free_items():
    sampler, known, _ = random_world(2)
    counts = np.bincount(sampler.uniform(np.zeros(9000, int), 1)[:, 0], minlength=NUM_ITEMS)
    free = np.array([item not in known[0] for item in range(NUM_ITEMS)])
    assert chi_square_fits(counts, free / free.sum())


@pytest.mark.parametrize("heavy", [1.0, 10.0**6])
def test_popular_negatives_follow_the_weights_also_when_the_user_owns_nearly_all_of_it(heavy):
    sampler, known, _ = random_world(3)
    weights = np.arange(NUM_ITEMS, dtype=float)
    weights[list(known[1])] *= heavy
    free = np.array([item not in known[1] for item in range(NUM_ITEMS)]) * weights
    drawn = sampler.popular(np.ones(9000, int), 1, item_weights(weights, NUM_ITEMS))
    assert chi_square_fits(np.bincount(drawn[:, 0], minlength=NUM_ITEMS), free / free.sum())


def test_popularity_is_a_power_of_the_count_and_unseen_items_stay_out():
    weights = popularity(np.array([0, 0, 0, 0, 2]), 4, power=0.5)
    assert np.diff(weights.upto, prepend=0).tolist() == [2, 0, 1, 0]
    assert np.diff(popularity(np.array([0, 0, 2]), 4, power=0).upto, prepend=0).tolist() == [
        1, 0, 1, 0,
    ]  # fmt: skip
    empty = NegativeSampler(Positives.build(np.empty(0, int), np.empty(0, int), 1, 4))
    assert set(empty.popular(np.zeros(50, int), 2, weights).ravel().tolist()) == {0, 2}
    with pytest.raises(
        DataError, match=r"has 2 free items of positive weight, expected at least 3"
    ):
        empty.popular(np.zeros(1, int), 3, weights)


def test_hard_negatives_come_from_the_narrowest_category_that_has_enough():
    of_item = Ragged.from_lists([[0, 1], [0, 1], [0, 1], [0, 2], [0, 2], [3], []])
    positives = Positives.build(np.array([0, 0]), np.array([0, 1]), 1, 7)
    sampler = NegativeSampler(positives)
    one = np.zeros(1, dtype=int)
    assert sampler.same_category(one, [0], 1, of_item).tolist() == [[2]]
    assert sorted(sampler.same_category(one, [0], 3, of_item)[0].tolist()) == [2, 3, 4]
    assert sampler.same_category(one, [4], 1, of_item).tolist() == [[3]]  # not the target
    for item in (5, 6):
        with pytest.raises(DataError, match="too few negatives: user row 0 has 0 free"):
            sampler.same_category(one, [item], 1, of_item)
        drawn = sampler.same_category(one, [item], 1, of_item, else_uniform=True)
        assert drawn[0, 0] in (2, 3, 4, 5, 6)


def test_too_few_free_items_is_an_error_that_names_the_user():
    positives = Positives.build(np.array([1, 1, 1]), np.array([0, 1, 2]), 2, 4)
    sampler = NegativeSampler(positives)
    assert sampler.uniform(np.array([1]), 1).tolist() == [[3]]
    with pytest.raises(DataError, match="user row 1 has 1 free items, expected at least 2"):
        sampler.uniform(np.array([0, 1]), 2)
    anything = NegativeSampler(positives, allow_positives=True).uniform(np.array([1]), 4)
    assert sorted(anything[0].tolist()) == [0, 1, 2, 3]
    with pytest.raises(DataError, match=r"user rows must be 0\.\.1"):
        sampler.uniform(np.array([2]), 1)


def test_negatives_of_a_batch_are_its_other_targets():
    sampler, known, _ = random_world(4)
    users, items = np.arange(NUM_USERS), np.array([3, 9, 9, 20, 25])
    free = [sorted({3, 9, 20, 25} - known[u] - {i}) for u, i in zip(users, items, strict=True)]
    enough = min(map(len, free))
    drawn = sampler.in_batch(users, items, enough)
    assert all(set(row) <= set(f) for row, f in zip(drawn.tolist(), free, strict=True))
    with pytest.raises(DataError, match="items in the batch"):
        sampler.in_batch(users, items, 4)


def test_many_negatives_per_row_use_the_hash_table_and_stay_distinct():
    positives = Positives.build(np.zeros(100, int), np.arange(100) * 3, 1, 1000)
    drawn = NegativeSampler(positives).uniform(np.zeros(3, int), 899)
    free = sorted(set(range(1000)) - set(range(0, 300, 3)))
    assert all(set(row) <= set(free) and len(set(row)) == 899 for row in drawn.tolist())
