"""Sessions, against plain loops and against sorting."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sargraph.core.types import NO_ROW, NO_TIME, BoolArray, IntArray
from sargraph.events.session import number_sessions

ROW = st.tuples(
    st.integers(0, 2),  # user
    st.one_of(st.just(NO_TIME), st.integers(0, 60)),
    st.booleans(),  # is a search
    st.integers(-1, 1),  # search code
    st.integers(-1, 1),  # query
)

Rows = list[tuple[int, int, bool, int, int]]


def _number(rows: Rows, gap: int | None) -> list[int]:
    user, time, is_search, search, query = (
        np.array(column) for column in (zip(*rows, strict=True) if rows else [[]] * 5)
    )
    columns = [c.astype(np.int64) for c in (user, time, search, query)]
    return number_sessions(*columns, is_search=is_search.astype(bool), gap=gap).tolist()


def _naive(rows: Rows, gap: int | None) -> list[object]:
    """A label per row; rows of one session share it, None = no session."""
    labels: list[object] = []
    last_of_user: dict[int, int] = {}
    stretch_of_user: dict[int, int] = defaultdict(int)
    last_of_search: dict[object, int] = {}
    part_of_search: dict[object, int] = defaultdict(int)
    for user, time, is_search, search, query in rows:
        if gap is not None and user in last_of_user and time > last_of_user[user] + gap:
            stretch_of_user[user] += 1
        last_of_user[user] = time
        key = (user, search, query)
        if is_search or (gap is None and search != NO_ROW):
            if gap is not None and key in last_of_search and time > last_of_search[key] + gap:
                part_of_search[key] += 1
            last_of_search[key] = time
            labels.append(("search", key, part_of_search[key]))
        elif time == NO_TIME or gap is None:
            labels.append(None)
        else:
            labels.append(("recommend", user, stretch_of_user[user]))
    return labels


def _sorted_sessions(
    user: IntArray,
    time: IntArray,
    search: IntArray,
    query: IntArray,
    is_search: BoolArray,
    gap: int | None,
) -> IntArray:
    """The same numbers by sorting all searches: an oracle that stands large inputs."""
    if gap is None:
        is_search = is_search | (search != NO_ROW)
    key = np.full(len(user), NO_ROW, dtype=np.int64)
    keys = [column[is_search] for column in (query, search, user)]
    order = np.lexsort([time[is_search], *keys])
    key[np.flatnonzero(is_search)[order]] = _runs(
        [k[order] for k in keys], time[is_search][order], gap
    )
    stretched = ~is_search & (time != NO_TIME) & (gap is not None)
    key[stretched] = _runs([user], time, gap)[stretched] + key.max(initial=NO_ROW) + 1
    has_key = key != NO_ROW
    first, member = np.unique(key[has_key], return_index=True, return_inverse=True)[1:]
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    key[has_key] = rank[member]
    return key


def _runs(keys: list[IntArray], time: IntArray, gap: int | None) -> IntArray:
    changed = np.logical_or.reduce([np.diff(key, prepend=key[:1]) != 0 for key in keys])
    if gap is not None:
        changed[1:] |= time[1:] > time[:-1] + gap
    return np.cumsum(changed)


@settings(deadline=None)
@given(st.lists(ROW, max_size=30), st.sampled_from([None, 0, 5, 20]))
def test_sessions_are_those_of_plain_loops(rows: Rows, gap: int | None) -> None:
    rows = sorted(rows, key=lambda row: row[:2])
    number_of: dict[object, int] = {}
    expected = [
        NO_ROW if label is None else number_of.setdefault(label, len(number_of))
        for label in _naive(rows, gap)
    ]
    assert _number(rows, gap) == expected


@pytest.mark.parametrize("gap", [None, 50, 2_000])
@pytest.mark.parametrize("num_users", [1, 7, 4_000])
def test_sessions_of_many_rows_are_those_of_sorting(num_users: int, gap: int | None) -> None:
    """A user with thousands of searches makes the table of searches grow several times."""
    rng = np.random.default_rng(num_users)
    n = 40_000
    user = np.sort(rng.integers(0, num_users, n))
    time = np.where(rng.random(n) < 0.05, NO_TIME, rng.integers(0, 200_000, n))
    time = time[np.lexsort([time, user])]
    is_search = rng.random(n) < 0.6
    search = rng.integers(-1, 9_000, n)
    query = np.where(rng.random(n) < 0.9, search % 1000, rng.integers(-1, 1000, n))
    expected = _sorted_sessions(user, time, search, query, is_search, gap)
    for width in (np.int32, np.int64):
        numbers = number_sessions(
            user, time, search.astype(width), query.astype(width), is_search=is_search, gap=gap
        )
        np.testing.assert_array_equal(numbers, expected)


def test_a_pause_of_exactly_the_limit_does_not_end_a_session() -> None:
    rows: Rows = [(0, time, False, -1, -1) for time in (0, 30, 61, 61)]
    assert _number(rows, 30) == [0, 0, 1, 1]


def test_untimed_recommendation_has_no_session() -> None:
    assert _number([(0, NO_TIME, False, -1, -1), (0, 5, False, -1, -1)], 30) == [NO_ROW, 0]
