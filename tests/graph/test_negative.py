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
from sargraph.testing.sampling import chi_square_fits, random_graph

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


def test_uniform_negatives_are_uniform_over_the_free_items():
    sampler, known, _ = random_world(2)
    counts = np.bincount(sampler.uniform(np.zeros(9000, int), 1)[:, 0], minlength=NUM_ITEMS)
    free = np.array([item not in known[0] for item in range(NUM_ITEMS)])
    assert chi_square_fits(counts, free / free.sum())


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
    with pytest.raises(DataError, match=r"users: got 2 at place 0, expected 0\.\.1"):
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


def test_rows_that_do_not_fit_are_refused_before_they_are_read():
    sampler = NegativeSampler(Positives.build([0, 1, 2], [0, 1, 2], 8, 100))
    users, three = np.arange(8), np.arange(3)
    of_item = Ragged.from_lists([[0]] * 100)
    weights = popularity(three, 100)
    wrong = [
        (lambda: sampler.in_batch(users, np.array([1, 2, 3]), 2), r"items: got shape \(3,\)"),
        (lambda: sampler.in_batch(three, np.array([-1, 9, 3]), 2), "items: got -1 at place 0"),
        (lambda: sampler.in_batch(three, np.array([1, 100, 3]), 2), "items: got 100 at place 1"),
        (lambda: sampler.same_category(users, three, 2, of_item), r"items: got shape \(3,\)"),
        (lambda: sampler.same_category(three, [0, 1, 100], 2, of_item), "items: got 100"),
        (lambda: sampler.same_category(three, three, 2, of_item.take(users)), "of 8 items, exp"),
        (lambda: sampler.same_category(three, three, 2, negative), "of_item: got -1"),
        (lambda: sampler.uniform(users, 2, number=three), r"numbers of rows: got shape \(3,\)"),
        (lambda: sampler.uniform(users > 3, 2), "users: got values of type bool"),
        (lambda: sampler.uniform(users / 2, 2), "users: got values of type float64"),
        (lambda: sampler.popular(np.array([8]), 2, weights), "users: got 8"),
        (lambda: sampler.num_free(np.array([8])), "users: got 8"),
        (lambda: sampler.positives.contains([0, 1, 2], [1]), r"items: got shape \(1,\)"),
        (lambda: sampler.positives.contains([10**6], [1]), "users: got 1000000"),
        (lambda: sampler.positives.contains([1], [100]), "items: got 100"),
        (lambda: Positives.build([0, 8], [1, 1], 8, 100), "users: got 8"),
        (lambda: Positives.build([0, 1], [1], 8, 100), r"items: got shape \(1,\)"),
        (lambda: popularity([100], 100), "items: got 100"),
    ]
    negative = Ragged.from_lists([[-1]] * 100)
    for call, message in wrong:
        with pytest.raises(DataError, match=message):
            call()


def test_an_item_that_lists_a_category_twice_is_once_in_it():
    twice = Ragged.from_lists([[0, 0], [0], [0], [0], [0], [0]])
    sampler = NegativeSampler(Positives.build([0], [0], 1, 6))
    rows = 200
    drawn = sampler.same_category(np.zeros(rows, int), np.full(rows, 5), 2, twice)
    assert set(drawn.ravel().tolist()) == {1, 2, 3, 4}
    assert np.all(drawn[:, 0] != drawn[:, 1])


@pytest.mark.parametrize("allow_positives", [False, True])
def test_hard_negatives_drawn_uniformly_are_fair_and_never_the_target(allow_positives):
    """Every other free item alike, also where the target is a positive itself."""
    nowhere = Ragged.from_lists([[]] * 12)
    positives = Positives.build([0, 0, 0], [2, 5, 9], 1, 12)
    sampler = NegativeSampler(positives, allow_positives=allow_positives)
    rows = 6000
    blocked = [] if allow_positives else [2, 5, 9]
    for target in (0, 4, 5, 11):
        own = np.full(rows, target)
        drawn = sampler.same_category(np.zeros(rows, int), own, 1, nowhere, else_uniform=True)
        free = np.ones(12)
        free[[target, *blocked]] = 0
        assert chi_square_fits(np.bincount(drawn[:, 0], minlength=12), free / free.sum())
    number = 11 if allow_positives else 8
    many = sampler.same_category([0], [4], number, nowhere, else_uniform=True)
    assert len({*many[0].tolist(), 4, *blocked}) == 12
    with pytest.raises(DataError, match=f"has {number} free items, expected at least"):
        sampler.same_category([0], [4], number + 1, nowhere, else_uniform=True)


@pytest.mark.parametrize("way", ["uniform", "popular", "same_category"])
def test_an_epoch_counts_by_its_value_and_not_by_its_type(way):
    sampler, _, of_item = random_world(6)
    users, items = np.arange(5), np.arange(5)
    plain = draw(sampler, way, users, items, of_item, 2, epoch=1)
    for epoch in (np.int64(1), np.int8(1), np.array(1), True):
        np.testing.assert_array_equal(
            draw(sampler, way, users, items, of_item, 2, epoch=epoch), plain
        )


@pytest.mark.parametrize("num_items", [2**32 - 1, 2**32, 3 * 2**32, 5 * 2**59 + 7, 2**62])
def test_billions_of_items_are_drawn_from_evenly(num_items):
    """On both sides of the bound up to which one product of 32 bits does."""
    sampler = NegativeSampler(Positives(np.array([0, 0]), np.empty(0, np.int64), num_items))
    drawn = sampler.uniform(np.zeros(8000, int), 1)
    assert 0 <= drawn.min() <= drawn.max() < num_items
    share = drawn[:, 0] // (num_items // 20 + 1)
    assert chi_square_fits(np.bincount(share, minlength=20), np.full(20, 1 / 20))
    assert len(np.unique(drawn % 256)) == 256
