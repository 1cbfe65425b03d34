"""Candidate lists against loops and exact laws."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sargraph.core.errors import BadInputError
from sargraph.core.ragged import Ragged
from sargraph.core.rng import make_rng
from sargraph.evaluation.candidates import (
    file_candidates,
    lists_hash,
    sampled_candidates,
    shuffled,
    slate_candidates,
)
from sargraph.evaluation.candidates_draws import weighted_draws
from sargraph.evaluation.candidates_tie import TermTies
from sargraph.evaluation.protocol import Protocol


def of_file(lists, **settings):
    return Protocol(negatives="file", negatives_hash=lists_hash(lists), **settings)


@settings(deadline=None)  # the first call compiles
@given(
    num_items=st.integers(1, 40), width=st.integers(1, 12), seed=st.integers(0, 5), data=st.data()
)
def test_popular_negatives_are_distinct_unknown_and_all_there(
    num_items, width, seed, data, make_requests
):
    items = st.sets(st.integers(0, num_items - 1), max_size=num_items)
    known = [sorted(data.draw(items)) for _ in range(3)]
    asked = data.draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, num_items - 1)), max_size=6)
    )
    requests = make_requests([user for user, _ in asked], [target for _, target in asked])
    protocol = Protocol(negatives="popularity", num_negatives=width, seed=seed)
    popularity = np.arange(num_items) ** 4  # so skewed that most draws are repeats
    found, again = (
        sampled_candidates(requests, num_items, Ragged.from_lists(known), protocol, popularity)
        for _ in range(2)
    )
    assert np.array_equal(found, again)
    for (user, target), row in zip(asked, found, strict=True):
        excluded = set(known[user]) | {item for other, item in asked if other == user}
        negatives = [item for item in row[1:].tolist() if item != -1]
        assert row[0] == target
        assert len(set(negatives)) == len(negatives) == min(width, num_items - len(excluded))
        assert not excluded & set(negatives)
        assert row[1:].tolist() == negatives + [-1] * (width - len(negatives))


@pytest.mark.parametrize("weights", [[1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 4.0, 1e6]])
def test_weighted_draws_follow_successive_sampling(weights):
    """Also where one weight is so heavy that luck fails and the rest is drawn at once."""
    excluded, left, n = 2, [0, 1, 3, 4], 40_000
    found = weighted_draws(
        np.zeros(n, np.int64), Ragged.from_lists([[excluded]]), np.array(weights), 2,
        make_rng(0, "test"),
    )  # fmt: skip
    total = sum(weights[item] for item in left)
    for first, second in itertools.permutations(left, 2):
        law = weights[first] / total * weights[second] / (total - weights[first])
        share = np.mean((found[:, 0] == first) & (found[:, 1] == second))
        assert abs(share - law) < 5 * np.sqrt(law * (1 - law) / n) + 1e-9


@pytest.mark.parametrize("popularity", [None, np.zeros(4, np.int64), np.full(9, -1)])
def test_popularity_that_does_not_fit_is_refused(popularity, make_requests):
    with pytest.raises(BadInputError, match="popularity"):
        sampled_candidates(
            make_requests([0], [1]), 9, Ragged.from_lists([[]]), Protocol(negatives="popularity"),
            popularity,
        )  # fmt: skip


def test_lists_from_a_file_keep_their_order(make_requests):
    lists = Ragged.from_lists([[4, 2], [], [0, 1, 5]])
    found = file_candidates(make_requests([0, 0, 1], [3, 3, 2]), 6, lists, of_file(lists))
    assert [row.tolist() for row in found] == [[3, 4, 2], [3], [2, 0, 1, 5]]


@pytest.mark.parametrize(
    ("lists", "line"),
    [
        ([[1, 2]], "1 lists for 2 requests"),
        ([[1], [9]], "listed items"),
        ([[1], [-1]], "listed items"),
        ([[3], [1]], "1 negatives that are the target"),
        ([[1, 1, 2], [2, 2]], "2 negatives that are the target or stand twice"),
        ([[1], [0, 1, 2, 4]], "up to 4 negatives"),
    ],
)
def test_lists_that_do_not_fit_are_refused(lists, line, make_requests):
    lists = Ragged.from_lists(lists)
    with pytest.raises(BadInputError, match=line):
        file_candidates(make_requests([0, 0], [3, 3]), 6, lists, of_file(lists, num_negatives=3))


def test_lists_of_another_hash_are_refused(make_requests):
    lists, other = Ragged.from_lists([[1, 2], [0]]), Ragged.from_lists([[1], [2, 0]])
    assert lists_hash(lists) != lists_hash(other)
    with pytest.raises(BadInputError, match="frozen with"):
        file_candidates(make_requests([0, 0], [3, 3]), 6, other, of_file(lists))


@given(st.lists(st.lists(st.integers(0, 2), max_size=3), min_size=1, max_size=12), st.data())
def test_ties_are_the_items_of_equal_term_sets(make_requests, terms, data):
    targets = data.draw(st.lists(st.integers(0, len(terms) - 1), max_size=6))
    ties = TermTies.of(Ragged.from_lists(terms))
    requests = make_requests([0] * len(targets), targets)
    found = ties.candidates(requests)
    for target, row, others in zip(targets, found, ties.num_others(requests.target), strict=True):
        equal = [i for i in range(len(terms)) if set(terms[i]) == set(terms[target])]
        assert row.tolist() == [target] + [item for item in equal if item != target]
        assert others == len(equal) - 1


@given(st.lists(st.tuples(st.integers(0, 5), st.lists(st.integers(0, 5), max_size=5)), max_size=6))
def test_slates_hold_each_shown_item_once(make_requests, asked):
    requests = make_requests([0] * len(asked), [target for target, _ in asked])
    slates = Ragged.from_lists([slate for _, slate in asked])
    found, is_shown = slate_candidates(requests, 6, slates)
    for (target, slate), row, shown in zip(asked, found, is_shown, strict=True):
        assert shown == (target in slate)
        others = sorted(set(slate) - {target}) if shown else []
        assert row.tolist() == [target, *others]


def test_slates_that_do_not_fit_are_refused(make_requests):
    with pytest.raises(BadInputError, match="2 lists for 1 requests"):
        slate_candidates(make_requests([0], [0]), 3, Ragged.from_lists([[0], [1]]))
    with pytest.raises(BadInputError, match="listed items"):
        slate_candidates(make_requests([0], [0]), 3, Ragged.from_lists([[0, 3]]))


def test_each_list_is_shuffled_within_itself():
    lists = Ragged.from_lists([list(range(8))] * 300 + [[9], []])
    mixed = shuffled(lists, 0)
    assert np.array_equal(mixed.offsets, lists.offsets)
    assert all(sorted(row) == list(range(8)) for row in itertools.islice(mixed, 300))
    firsts = np.bincount([row[0] for row in itertools.islice(mixed, 300)], minlength=8)
    assert firsts.min() > 15
    assert np.array_equal(mixed.values, shuffled(lists, 0).values)
    assert not np.array_equal(mixed.values, shuffled(lists, 1).values)
