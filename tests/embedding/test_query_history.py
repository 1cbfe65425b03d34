"""Query histories: strictly before, the last ones, never a later one."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sargraph.core.types import NO_TIME
from sargraph.embedding.query_history import DAY_MS, HOUR_MS, QueryHistories

TERMS = np.array([[0, -1], [1, 2], [3, -1], [2, 0], [-1, -1]])


def histories(
    events: list[tuple[int, int, int]], length: int = 3, is_clock: bool = True
) -> QueryHistories:
    """From (user, time, query) in any order."""
    ordered = sorted((user, time, query) for user, time, query in events)
    user, time, query = (np.array([e[n] for e in ordered], dtype=np.int64) for n in range(3))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=4))])
    return QueryHistories(offsets, time, query, TERMS, is_clock, length)


def known(found: QueryHistories, user: int, time: int) -> list[tuple[list[int], float]]:
    """(terms, age in days) of what a user at a time had asked, oldest first."""
    of, contexts = found.contexts(np.array([user]), np.array([time]))
    assert of.tolist() == [0] and contexts.user.tolist() == [user]
    return [
        (contexts.queries[row].tolist(), float(age))
        for row, age in zip(contexts.history[0].tolist(), contexts.age[0], strict=True)
        if row >= 0
    ]


EVENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50), st.integers(0, 3)), max_size=30)


@settings(deadline=None, max_examples=60)
@given(EVENTS, st.lists(st.tuples(st.integers(0, 3), st.integers(-2, 60)), min_size=1, max_size=9))
def test_histories_are_the_loop(
    events: list[tuple[int, int, int]], asked: list[tuple[int, int]]
) -> None:
    events = [(user, time * HOUR_MS // 3, query) for user, time, query in events]
    found = histories(events)
    user = np.array([u for u, _ in asked])
    time = np.array([t for _, t in asked]) * HOUR_MS // 3
    of, contexts = found.contexts(user, time)
    for n, (u, t) in enumerate(zip(user.tolist(), time.tolist(), strict=True)):
        before = sorted((when, query) for who, when, query in events if who == u and when < t)[-3:]
        until = (t // HOUR_MS + 1) * HOUR_MS
        row = int(of[n])
        rows = [r for r in contexts.history[row].tolist() if r >= 0]
        ages = contexts.age[row][contexts.history[row] >= 0]
        assert contexts.user[row] == u
        assert [contexts.queries[r].tolist() for r in rows] == [
            TERMS[q].tolist() for _, q in before
        ]
        np.testing.assert_allclose(ages, [(until - when) / DAY_MS for when, _ in before])
        assert (ages > 0).all()


@settings(deadline=None, max_examples=40)
@given(EVENTS, EVENTS, st.integers(0, 50))
def test_a_later_query_never_changes_an_earlier_moment(
    events: list[tuple[int, int, int]], later: list[tuple[int, int, int]], time: int
) -> None:
    more = [(user, time + when, query) for user, when, query in later]
    for user in range(4):
        assert known(histories(events), user, time) == known(histories(events + more), user, time)


def test_moments_of_one_hour_share_a_context_unless_a_query_lies_between() -> None:
    found = histories([(0, 10 * HOUR_MS + 500, 1)])
    times = np.array([100, 400, 500, 501, 900, HOUR_MS]) + 10 * HOUR_MS
    of, contexts = found.contexts(np.zeros(6, dtype=np.int64), times)
    assert of[0] == of[1] == of[2] != of[3] == of[4] != of[5]
    assert len(contexts) == 3


def test_without_a_time_there_is_neither_history_nor_season() -> None:
    found = histories([(1, 5, 0)])
    _, contexts = found.contexts(np.array([1]), np.array([NO_TIME]))
    assert (contexts.history == -1).all() and (contexts.calendar == -1).all()


@pytest.mark.parametrize("day", ["1970-01-01", "2023-05-22", "2024-02-29", "1969-12-31"])
def test_the_calendar_is_that_of_the_library(day: str) -> None:
    moment = datetime.datetime.fromisoformat(f"{day}T17:30:00+00:00")
    ms = int(moment.timestamp() * 1000)
    _, contexts = histories([]).contexts(np.array([0]), np.array([ms]))
    month, weekday, hour = contexts.calendar[0].tolist()
    assert (month, weekday, hour) == (moment.month - 1, 12 + moment.weekday(), 19 + moment.hour)


def test_an_order_without_a_clock_has_ages_in_steps_and_no_calendar() -> None:
    found = histories([(0, 3, 1), (0, 5, 2)], is_clock=False)
    assert known(found, 0, 6) == [([1, 2], 4.0), ([3, -1], 2.0)]
    assert (found.contexts(np.array([0]), np.array([6]))[1].calendar == -1).all()


def test_weights_bring_the_histories_back() -> None:
    found = histories([(0, 3, 1), (2, 5, 2)])
    weights = {**found.weights(), "other": np.zeros(1)}
    again = QueryHistories.from_weights(weights, TERMS)
    assert list(weights) == ["other"]
    assert known(again, 2, 9) == known(found, 2, 9) and again.length == 3
