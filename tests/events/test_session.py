"""Sessions, against plain loops."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.events.session import number_sessions, stretches

ROW = st.tuples(
    st.integers(0, 2),  # user
    st.one_of(st.just(NO_TIME), st.integers(0, 60)),
    st.booleans(),  # is a search
    st.integers(0, 1),  # search code
    st.integers(0, 1),  # query
)


def _number(rows: list[tuple[int, int, bool, int, int]], gap: int | None) -> list[int]:
    user, time, is_search, search, query = (
        np.array(column) for column in (zip(*rows, strict=True) if rows else [[]] * 5)
    )
    columns = [c.astype(np.int64) for c in (user, time, search, query)]
    return number_sessions(*columns, is_search=is_search.astype(bool), gap=gap).tolist()


def _naive(rows: list[tuple[int, int, bool, int, int]], gap: int | None) -> list[object]:
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
        if is_search:
            if gap is not None and key in last_of_search and time > last_of_search[key] + gap:
                part_of_search[key] += 1
            last_of_search[key] = time
            labels.append(("search", key, part_of_search[key]))
        elif time == NO_TIME or gap is None:
            labels.append(None)
        else:
            labels.append(("recommend", user, stretch_of_user[user]))
    return labels


@settings(deadline=None)
@given(st.lists(ROW, max_size=30), st.sampled_from([None, 0, 5, 20]))
def test_sessions_are_those_of_plain_loops(
    rows: list[tuple[int, int, bool, int, int]], gap: int | None
) -> None:
    rows = sorted(rows, key=lambda row: row[:2])
    number_of: dict[object, int] = {}
    expected = [
        NO_ROW if label is None else number_of.setdefault(label, len(number_of))
        for label in _naive(rows, gap)
    ]
    assert _number(rows, gap) == expected


def test_a_pause_of_exactly_the_limit_does_not_end_a_session() -> None:
    time = np.array([0, 30, 61, 61])
    assert stretches(np.zeros(4, np.int64), time, 30).tolist() == [0, 0, 1, 1]


def test_untimed_recommendation_has_no_session() -> None:
    assert _number([(0, NO_TIME, False, -1, -1), (0, 5, False, -1, -1)], 30) == [NO_ROW, 0]
