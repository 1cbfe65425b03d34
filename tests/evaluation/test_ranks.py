"""Ranks against counting by hand."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sargraph.evaluation.ranks import Ranks, rank_target

SCORE = st.sampled_from([-1.0, 0.0, 0.5, 2.0, float("nan"), float("-inf"), float("inf")])


@given(
    st.lists(st.tuples(SCORE, st.booleans()), min_size=1, max_size=8),
    st.integers(0, 7),
)
def test_counts_equal_a_loop(cells, column):
    column %= len(cells)
    scores = np.array([[score for score, _ in cells]], np.float32)
    valid = np.array([[flag for _, flag in cells]])
    target = cells[column][0]
    better = tied = nan = 0
    for place, (score, is_valid) in enumerate(cells):
        if place != column and not is_valid:
            continue
        nan += math.isnan(score)
        if place == column:
            continue
        if math.isnan(score) or math.isnan(target) or score > target:
            better += 1
        elif score == target:
            tied += 1
    ranks = rank_target(scores, np.array([column]), valid)
    others = sum(flag for place, (_, flag) in enumerate(cells) if place != column)
    assert (ranks.better[0], ranks.tied[0]) == (better, tied)
    assert (ranks.count[0], ranks.num_nan[0]) == (others + 1, nan)


def test_optimistic_pessimistic_realistic():
    ranks = rank_target(np.array([[1.0, 2.0, 1.0, 1.0, 0.0]]))
    assert (ranks.optimistic[0], ranks.pessimistic[0], ranks.realistic[0]) == (2, 4, 3.0)


def test_padding_of_minus_infinity_is_no_candidate():
    ranks = rank_target(np.array([[1.0, -np.inf, 2.0]]))
    assert (ranks.count[0], ranks.better[0]) == (2, 1)


def test_a_target_of_minus_infinity_comes_last():
    ranks = rank_target(np.array([[-np.inf, -np.inf, 0.0, 1.0]]))
    assert (ranks.optimistic[0], ranks.count[0]) == (3, 3)


def test_nan_target_is_last_and_counted():
    ranks = rank_target(np.array([[np.nan, 0.0, np.nan]]))
    assert ranks.optimistic[0] == ranks.pessimistic[0] == 3
    assert ranks.num_nan[0] == 2


def test_concat_and_take_keep_the_order():
    scores = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    whole = rank_target(scores)
    parts = Ranks.concat([rank_target(scores[:1]), rank_target(scores[1:])])
    for name in ("better", "tied", "count", "num_nan"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))
    assert whole.take(np.array([2, 0])).tied.tolist() == [1, 0]
    assert len(Ranks.concat([])) == 0
