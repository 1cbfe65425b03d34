"""Weighted negatives follow the weights of what is left, by luck or all at once."""

from __future__ import annotations

import numpy as np
import pytest

from sargraph.core.errors import DataError
from sargraph.graph.negative import NegativeSampler
from sargraph.graph.popular import item_weights, popularity
from sargraph.graph.positives import Positives
from sargraph.testing.sampling import chi_square_fits


@pytest.mark.parametrize("heavy", [1.0, 10.0**6])
def test_popular_negatives_follow_the_weights_also_when_the_user_owns_nearly_all_of_it(heavy):
    known = [2, 3, 11, 17, 24, 29]
    sampler = NegativeSampler(Positives.build(np.zeros(6, int), known, 1, 30))
    weights = np.arange(30, dtype=float)
    weights[known] *= heavy
    free = weights * ~np.isin(np.arange(30), known)
    drawn = sampler.popular(np.zeros(9000, int), 1, item_weights(weights, 30))
    assert chi_square_fits(np.bincount(drawn[:, 0], minlength=30), free / free.sum())


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


def successive(weights, count):
    """The probability of each ordered draw of `count` items, one after the other."""
    chances = {(): 1.0}
    for _ in range(count):
        chances = {
            (*drawn, item): chance * weights[item] / (sum(weights) - sum(weights[i] for i in drawn))
            for drawn, chance in chances.items()
            for item in range(len(weights))
            if item not in drawn and weights[item] > 0
        }
    return chances


@pytest.mark.parametrize("heaviest", [4.0, 10.0**6])
def test_popular_negatives_are_successive_draws_whichever_way_they_are_drawn(heaviest):
    """Where one item has nearly all the weight luck runs out, and the rest is drawn at once."""
    weights = np.array([1.0, heaviest, 0.0, 2.0, 3.0])
    expected = successive(weights.tolist(), 3)
    positives = Positives.build(np.empty(0, int), np.empty(0, int), 1, 5)
    drawn = NegativeSampler(positives).popular(np.zeros(20_000, int), 3, item_weights(weights, 5))
    seen = dict.fromkeys(expected, 0)
    for row in drawn.tolist():
        seen[tuple(row)] += 1
    counts, shares = np.array(list(seen.values())), np.array(list(expected.values()))
    likely = shares * len(drawn) > 5
    counts = np.append(counts[likely], counts[~likely].sum())
    shares = np.append(shares[likely], shares[~likely].sum())
    assert chi_square_fits(counts, shares)


def test_nearly_all_weighted_items_can_be_drawn():
    weights = item_weights(np.arange(2000) + 1.0, 2000)
    sampler = NegativeSampler(Positives.build([0, 0], [3, 1999], 1, 2000))
    drawn = sampler.popular(np.zeros(4, int), 1998, weights)
    free = set(range(2000)) - {3, 1999}
    assert all(set(row) == free for row in drawn.tolist())
