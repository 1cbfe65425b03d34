"""Sequences: a user's searches and the stretches of recommendation between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, NO_TIME, Array, BoolArray, IntArray
from sargraph.events.describing.levels import Level
from sargraph.events.events import Events
from sargraph.events.transitions import small_sessions


@dataclass(frozen=True)
class Sequences:
    """Searches and stretches of recommendation, ordered by (user, start).

    A search is the timed rows of one search session. A stretch holds the recommendation events of
    one session between two starts of a search, so that no search starts inside it; events of the
    very time of a start form a stretch of their own. `of_event` int64 [events] (-1 = untimed),
    `user`, `start`, `end` int64 [sequences], `is_search` bool [sequences].
    """

    of_event: IntArray
    user: IntArray
    start: IntArray
    end: IntArray
    is_search: BoolArray

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True)
class CategorySets:
    """The distinct categories of each sequence's items on one level.

    `signature` uint64 [sequences]: bit `code % 64` is set for each category, so that two sequences
    whose signatures have no bit in common share none; with at most 64 categories the converse
    holds too. `codes` int32 rising in each sequence, `offsets` int64 [sequences + 1].
    """

    signature: Array
    codes: Array
    offsets: IntArray
    is_exact: bool


def find_sequences(events: Events) -> Sequences:
    """The sequences of all users. Cost: one pass over the events."""
    session = small_sessions(events.session)
    of_event = _sequence_of(events.user, events.time, session, events.is_search)
    rows = np.flatnonzero(of_event != NO_ROW)
    size = int(of_event.max(initial=NO_ROW)) + 1
    first, last = (np.zeros(size, dtype=np.int64) for _ in range(2))
    last[of_event[rows]] = rows
    first[of_event[rows[::-1]]] = rows[::-1]  # the last to be written stays: the earliest
    return Sequences(
        of_event=of_event,
        user=events.user[first],
        start=events.time[first],
        end=events.time[last],
        is_search=events.is_search[first],
    )


def category_sets(
    sequences: Sequences, item: IntArray, counts: BoolArray, level: Level
) -> CategorySets:
    """The categories of the events that count (mask [events], each with an item and a sequence).

    Cost: O(events + their categories).
    """
    rows = _group(sequences.of_event, counts, len(sequences))
    offsets, codes, signature = _sets(
        item, rows.values, rows.offsets, level.of_item.values, level.of_item.offsets, level.size
    )
    return CategorySets(signature, codes, offsets, level.size <= 64)


@njit(cache=True, nogil=True)
def _sequence_of(user: Any, time: Any, session: Any, is_search: Any) -> Any:
    n = len(user)
    number = np.full(n, NO_ROW, np.int64)
    # Sequence of each search, by session; the last place serves searches without a session.
    opened = np.full(n + 1, NO_ROW, np.int64)
    total, stretch, stretch_session = 0, NO_ROW, NO_ROW
    start = 0
    while start < n:
        if start == 0 or user[start] != user[start - 1]:
            stretch = NO_ROW
        end = start
        starts_search = False
        while end < n and user[end] == user[start] and time[end] == time[start]:
            if is_search[end] and (session[end] == NO_ROW or opened[session[end]] == NO_ROW):
                starts_search = True
            end += 1
        if starts_search:
            stretch = NO_ROW
        for row in range(start, end if time[start] != NO_TIME else start):
            if is_search[row]:
                if opened[session[row]] == NO_ROW or session[row] == NO_ROW:
                    opened[session[row]] = total
                    total += 1
                number[row] = opened[session[row]]
                continue
            if stretch == NO_ROW or session[row] != stretch_session:
                stretch, stretch_session = total, session[row]
                total += 1
            number[row] = stretch
        if starts_search:
            stretch = NO_ROW
        start = end
    return number


def _group(keys: IntArray, counts: BoolArray, size: int) -> Ragged:
    """The rows that count, by key."""
    rows = np.flatnonzero(counts & (keys != NO_ROW))
    offsets = np.zeros(size + 1, dtype=np.int64)
    np.cumsum(np.bincount(keys[rows], minlength=size), out=offsets[1:])
    return Ragged(_fill(keys, rows, offsets[:-1].copy()), offsets)


@njit(cache=True, nogil=True)
def _fill(keys: Any, rows: Any, place: Any) -> Any:
    filled = np.empty_like(rows)
    for row in rows:
        filled[place[keys[row]]] = row
        place[keys[row]] += 1
    return filled


@njit(cache=True, nogil=True)
def _sets(
    item: Any, rows: Any, offsets: Any, categories: Any, item_offsets: Any, size: int
) -> tuple[Any, Any, Any]:
    num_sequences = len(offsets) - 1
    ends = np.zeros(num_sequences + 1, np.int64)
    signature = np.zeros(num_sequences, np.uint64)
    found = np.empty(max(len(rows), 16), np.int32)
    seen = np.full(size, NO_ROW, np.int64)
    total = 0
    for number in range(num_sequences):
        for row in rows[offsets[number] : offsets[number + 1]]:
            for place in range(item_offsets[item[row]], item_offsets[item[row] + 1]):
                code = categories[place]
                if seen[code] != number:
                    seen[code] = number
                    signature[number] |= np.uint64(1) << np.uint64(code % 64)
                    if total == len(found):
                        found = np.concatenate((found, np.empty_like(found)))
                    found[total] = code
                    total += 1
        ends[number + 1] = total
        found[ends[number] : total].sort()
    return ends, found[:total].copy(), signature
