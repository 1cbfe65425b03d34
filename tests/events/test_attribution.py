"""Attribution: which search a row of a mixed log came from, against a loop over the rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sargraph.core.types import NO_TIME
from sargraph.events.attribution import attribute

SEARCH, END, ITEM = "search", "end", "item"


def _attribute(rows: list[tuple[int, int, str]], max_gap: int | None) -> list[int]:
    group, time = (np.array([row[n] for row in rows], dtype=np.int64) for n in (0, 1))
    opens, ends = (np.array([row[2] == kind for row in rows], dtype=bool) for kind in (SEARCH, END))
    return attribute(group, time, opens, ends, max_gap).tolist()


def _naive(rows: list[tuple[int, int, str]], max_gap: int | None) -> list[int]:
    """Walk over the log, remembering the open search of each group."""
    open_search: dict[int, int | None] = {}
    found = []
    for place, (group, time, kind) in enumerate(rows):
        if kind == SEARCH:
            open_search[group] = place
        if kind == END:
            open_search[group] = None
        at = open_search.get(group)
        too_late = at is not None and max_gap is not None and time - rows[at][1] > max_gap
        found.append(-1 if at is None or too_late else at)
    return found


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.tuples(st.integers(-2, 3), st.integers(0, 30), st.sampled_from([SEARCH, END, ITEM]))
    ),
    st.sampled_from([None, 0, 5]),
)
def test_rows_belong_to_the_open_search_of_their_group(
    rows: list[tuple[int, int, str]], max_gap: int | None
) -> None:
    assert _attribute(rows, max_gap) == _naive(rows, max_gap)


def test_what_comes_before_a_text_is_recommendation_and_what_comes_after_is_search() -> None:
    rows = [(0, 0, ITEM), (0, 1, SEARCH), (0, 2, ITEM), (1, 2, ITEM), (0, 3, END), (0, 4, ITEM)]
    assert _attribute(rows, None) == [-1, 1, 1, -1, -1, -1]


def test_a_late_row_belongs_to_no_search_and_does_not_end_it() -> None:
    rows = [(0, 0, SEARCH), (0, 601, ITEM), (0, 600, ITEM)]
    assert _attribute(rows, 600) == [0, -1, 0]


@pytest.mark.parametrize("max_gap", [None, 5])
def test_rows_without_a_time_and_empty_logs(max_gap: int | None) -> None:
    assert _attribute([], max_gap) == []
    assert _attribute([(0, NO_TIME, SEARCH), (0, NO_TIME, ITEM)], max_gap) == [0, 0]
