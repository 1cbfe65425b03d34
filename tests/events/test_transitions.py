"""Transitions, against plain loops over the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.events.schema import CLICK, IMPRESSION, PLAY, RECOMMEND, SEARCH, SEARCHED
from sargraph.events.transitions import (
    ELEMENTS,
    FEED,
    NONE,
    R2R,
    R2S,
    S2R,
    S2S,
    SEARCH_CLICK,
    SEARCH_ELEMENT,
    TRANSITIONS,
    Transitions,
    label_transitions,
)

Row = tuple[int, int, int, int, int, int]
"""(user, time, source, action, item, session)"""

ROW = st.tuples(
    st.integers(0, 2),
    st.one_of(st.just(NO_TIME), st.integers(0, 12)),
    st.sampled_from([SEARCH, RECOMMEND]),
    st.sampled_from([IMPRESSION, CLICK, PLAY, SEARCHED]),
    st.integers(NO_ROW, 2),
    st.integers(NO_ROW, 3),
)


def _label(rows: list[Row], scale: int = 1) -> Transitions:
    user, time, source, action, item, session = (
        np.array(rows, dtype=np.int64).reshape(-1, 6).T if rows else np.zeros((6, 0), np.int64)
    )
    codes = source.astype(np.int8), action.astype(np.int8)
    session = np.where(session == NO_ROW, NO_ROW, session * scale)
    return label_transitions(user, time, *codes, item, np.zeros_like(item), session)


def _chosen(row: Row) -> bool:
    return row[3] in (CLICK, PLAY) and row[4] != NO_ROW


def _own_time(rows: list[Row], place: int) -> int:
    """Time of the behaviour that a row belongs to: of its search's first timed row."""
    row = rows[place]
    if row[2] != SEARCH or row[5] == NO_ROW or row[1] == NO_TIME:
        return row[1]
    same = [r for r in rows if r[2] == SEARCH and (r[0], r[5]) == (row[0], row[5])]
    return min(r[1] for r in same if r[1] != NO_TIME)


def _naive(rows: list[Row]) -> list[tuple[int, int]]:
    """(kind, gap) of every row."""
    labels = []
    for place, row in enumerate(rows):
        own = _own_time(rows, place)
        earlier = [
            (_own_time(rows, other), r[2])
            for other, r in enumerate(rows)
            if r[0] == row[0] and r[1] != NO_TIME and (r[2] == SEARCH or _chosen(r))
        ]
        latest = max((time for time, _ in earlier if time < own), default=None)
        sources = {source for time, source in earlier if time == latest}
        if own == NO_TIME or latest is None or len(sources) > 1:
            labels.append((NONE, NO_TIME))
        else:
            name = "SR"[sources.pop()] + "2" + "SR"[row[2]]
            labels.append((TRANSITIONS.index(name), own - latest))
    return labels


@settings(deadline=None, max_examples=300)
@given(st.lists(ROW, max_size=25), st.sampled_from([1, 10**9]))
def test_labels_are_those_of_plain_loops(rows: list[Row], scale: int) -> None:
    # A session number with nobody else behind it: sessions never join two users.
    rows = [(u, t, s, a, i, n if n < 0 else n + 4 * u) for u, t, s, a, i, n in rows]
    rows.sort(key=lambda row: row[:2])
    labels = _label(rows, scale)
    assert list(zip(labels.kind.tolist(), labels.gap.tolist(), strict=True)) == _naive(rows)


@settings(deadline=None)
@given(st.lists(ROW, max_size=25))
def test_each_behaviour_has_one_first_row(rows: list[Row]) -> None:
    rows = sorted(((u, t, s, a, i, n if n < 0 else n + 4 * u) for u, t, s, a, i, n in rows),
                  key=lambda row: row[:2])  # fmt: skip
    first = _label(rows).is_first
    expected = set()
    for place, row in enumerate(rows):
        if row[1] != NO_TIME and row[2] == SEARCH:
            own_search = ("row", place) if row[5] == NO_ROW else ("search", row[0], row[5])
            expected.add(own_search)
        elif row[1] != NO_TIME and _chosen(row):
            expected.add(("batch", row[0], row[1]))
    assert first.sum() == len(expected)


def test_a_search_of_many_rows_is_one_step_and_ties_never_see_each_other() -> None:
    rows = [
        (0, 10, RECOMMEND, CLICK, 1, 0),
        (0, 10, RECOMMEND, CLICK, 2, 0),
        (0, 20, SEARCH, SEARCHED, -1, 1),
        (0, 25, SEARCH, CLICK, 3, 1),
        (0, 30, RECOMMEND, IMPRESSION, 4, 2),
        (0, 40, RECOMMEND, CLICK, 5, 2),
        (0, 40, SEARCH, SEARCHED, -1, 3),
        (0, 50, SEARCH, SEARCHED, -1, 4),
        (0, 60, SEARCH, SEARCHED, -1, 5),
    ]
    labels = _label(rows)
    assert labels.kind.tolist() == [NONE, NONE, R2S, R2S, S2R, S2R, S2S, NONE, S2S]
    assert labels.gap.tolist()[2:7] == [10, 10, 10, 20, 20]
    assert labels.is_first.tolist() == [True, False, True, False, False, True, True, True, True]
    feed, search = FEED, SEARCH_ELEMENT
    assert labels.element.tolist() == [
        feed, feed, search, SEARCH_CLICK, feed, feed, search, search, search,
    ]  # fmt: skip


def test_a_batch_without_a_choice_is_followed_by_nothing() -> None:
    rows = [
        (0, 1, SEARCH, IMPRESSION, 1, 0),
        (0, 2, RECOMMEND, IMPRESSION, 2, 1),
        (0, 3, RECOMMEND, CLICK, 3, 1),
        (0, 4, RECOMMEND, CLICK, 3, 1),
    ]
    assert _label(rows).kind.tolist() == [NONE, S2R, S2R, R2R]
    assert _label(rows).gap.tolist()[1:] == [1, 2, 1]


def test_codes_of_any_width_give_the_same_labels() -> None:
    rows = [
        (0, 1, SEARCH, CLICK, 1, 0),
        (0, 2, RECOMMEND, CLICK, 2, 1),
        (1, 3, SEARCH, CLICK, 0, 2),
    ]
    wide = np.array(rows).T
    narrow = wide.astype(np.int32)
    labels = label_transitions(
        narrow[0], wide[1], wide[2].astype(np.int8), wide[3].astype(np.int8),
        narrow[4], narrow[4], narrow[5],
    )  # fmt: skip
    assert labels.kind.tolist() == _label(rows).kind.tolist() == [NONE, S2R, NONE]
    assert labels.kind.dtype == labels.element.dtype == np.int8
    assert labels.gap.dtype == np.int64


def test_columns_of_different_lengths_are_refused() -> None:
    column, codes = np.zeros(2, np.int64), np.zeros(2, np.int8)
    with pytest.raises(ValueError, match="one length"):
        label_transitions(column, column, codes, codes, column, column[:1], column)


def test_names_stand_at_their_codes() -> None:
    assert [TRANSITIONS[code] for code in (S2S, R2R, S2R, R2S)] == ["S2S", "R2R", "S2R", "R2S"]
    assert [ELEMENTS[code] for code in (SEARCH_ELEMENT, SEARCH_CLICK, FEED)] == [
        "search",
        "search click",
        "feed",
    ]
