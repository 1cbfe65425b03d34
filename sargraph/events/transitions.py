"""Transitions: which source the behaviour before an event was in, and how long ago."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from sargraph.core.types import NO_ROW, NO_TIME, Array, BoolArray, CodeArray, IntArray
from sargraph.events.events import Events
from sargraph.events.schema import POSITIVE_ACTIONS, RECOMMEND, SEARCH

TRANSITIONS = ("S2S", "R2R", "S2R", "R2S")
"""Source of the behaviour before, then the own source; the code is the place in this tuple."""

NONE = -1
"""No behaviour before, no time, or behaviours of both sources at the same time before."""

S2S, R2R, S2R, R2S = range(4)

ELEMENTS = ("search", "search click", "feed")
"""What an event is in a mixed history; the code is the place in this tuple.

search: an event of search that chooses nothing (a query, a shown item); search click: a choice in
search; feed: every event of recommendation. Each event is exactly one of the three.
"""

SEARCH_ELEMENT, SEARCH_CLICK, FEED = range(3)


@dataclass(frozen=True)
class Transitions:
    """The label of each event; see `label_transitions`.

    `kind` int8 [n] (place in TRANSITIONS, NONE = -1), `gap` int64 [n] (ms, or places of an ordinal
    log, since the behaviour before; NO_TIME where kind is NONE), `element` int8 [n] (place in
    ELEMENTS), `is_first` bool [n]: True at one row of each behaviour, its first in time, so that
    `kind[is_first]` counts behaviours rather than rows.
    """

    kind: CodeArray
    gap: IntArray
    element: CodeArray
    is_first: BoolArray


def label_transitions(
    user: CodeArray,
    time: IntArray,
    source: Array,
    action: Array,
    item: CodeArray,
    query: CodeArray,
    session: CodeArray,
) -> Transitions:
    """Label every event with the transition that led to it; columns [n], sorted by (user, time).

    The behaviours of a user are its searches, clicked or not, and its recommendation batches (the
    events of one time) with at least one choice. The rows of one search (one session) are one
    behaviour at the time of its first timed row. The behaviour before an event is the latest one
    *strictly* earlier: events of equal time never see each other, and all rows of a search have
    the label of the search. Impressions are labelled too, but follow none as a behaviour.
    NONE: untimed events, events before which there is nothing, and those before which behaviours
    of both sources share the latest time. Raises ValueError for columns of different lengths.
    Cost: one pass; beside the result it holds one row number per search.
    """
    columns = (user, time, source, action, item, query, session)
    if len({len(column) for column in columns}) != 1:
        raise ValueError("columns must have one length")
    chosen = choices(action, item)
    kind, gap, is_first = _label(user, time, source == SEARCH, chosen, small_sessions(session))
    element = np.where(source == RECOMMEND, FEED, chosen).astype(np.int8)
    return Transitions(kind, gap, element, is_first)


def transitions_of(events: Events) -> Transitions:
    """The labels of all events of a data set. Cost: O(events)."""
    names = ("source", "action", "item", "query", "session")
    source, action, item, query, session = (events.columns[name] for name in names)
    return label_transitions(events.user, events.time, source, action, item, query, session)  # type: ignore[arg-type]


def choices(action: Array, item: CodeArray) -> BoolArray:
    """True where the user chose an item, bool [n]."""
    positive = np.zeros(256, dtype=bool)
    positive[list(POSITIVE_ACTIONS)] = True
    return np.asarray(positive[action.view(np.uint8)] & (item != NO_ROW))


def small_sessions(session: CodeArray) -> CodeArray:
    """Session numbers below the number of rows, so that they can stand for places of an array."""
    if int(session.max(initial=NO_ROW)) < len(session):
        return session
    numbers = np.full(len(session), NO_ROW, dtype=np.int64)
    known = session != NO_ROW
    numbers[known] = np.unique(session[known], return_inverse=True)[1]
    return numbers


@njit(cache=True, nogil=True)
def _label(
    user: Any, time: Any, is_search: Any, is_chosen: Any, session: Any
) -> tuple[Any, Any, Any]:
    n = len(user)
    kind = np.full(n, NONE, np.int8)
    gap = np.full(n, NO_TIME, np.int64)
    is_first = np.zeros(n, np.bool_)
    opened = np.full(session.max() + 1 if n else 0, -1, np.int64)  # first timed row of a search
    before_time, before = NO_TIME, 0  # the latest behaviours: bit 1 = a search, bit 2 = a batch
    start = 0
    while start < n:
        if start == 0 or user[start] != user[start - 1]:
            before_time, before = NO_TIME, 0
        end = _end_of_tie(user, time, start)
        found = 0
        for row in range(start, end if time[start] != NO_TIME else start):
            first = _first_row(opened, user, session, row) if is_search[row] else row
            if first < row:
                kind[row], gap[row] = kind[first], gap[first]
                continue
            if is_search[row] or (is_chosen[row] and not found & 2):
                found |= 1 if is_search[row] else 2
                is_first[row] = True
            if before == 1 or before == 2:
                gap[row] = time[row] - before_time
                kind[row] = _kind(before == 1, is_search[row])
        if found:
            before_time, before = time[start], found
        start = end
    return kind, gap, is_first


@njit(cache=True, nogil=True)
def _end_of_tie(user: Any, time: Any, start: int) -> int:
    """One past the last row of the same user and time as `start`."""
    end = start + 1
    while end < len(user) and user[end] == user[start] and time[end] == time[start]:
        end += 1
    return end


@njit(cache=True, nogil=True)
def _first_row(opened: Any, user: Any, session: Any, row: int) -> Any:
    """The first timed row of the row's search; a row without a session is a search of its own."""
    number = session[row]
    if number < 0:
        return row
    if opened[number] < 0 or user[opened[number]] != user[row]:
        opened[number] = row
    return opened[number]


@njit(cache=True, nogil=True)
def _kind(from_search: bool, to_search: bool) -> int:
    if from_search:
        return S2S if to_search else S2R
    return R2S if to_search else R2R
