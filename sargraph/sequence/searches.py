"""Searches: the log rows of one search (a query and what was clicked after it) as one slot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, NO_TIME, BoolArray, IntArray
from sargraph.events.events import Events
from sargraph.events.searches import search_numbers


@dataclass(frozen=True)
class Searches:
    """Searches numbered from 0: what one user typed once, with the items clicked after it.

    `of_event` int64 [events] is the search of each event, -1 for events outside search and for
    those without a query. The other arrays have one entry per search and a last one that stands
    for none, so that search -1 finds it: `opened_by` int64 is the first visible event (-1 where
    none is), `query` int64, and `item` and `time` int64 [.., clicks] are the first distinct items
    chosen in visible events and the times of these events, padded with -1 and NO_TIME.
    """

    of_event: IntArray
    opened_by: IntArray
    query: IntArray
    item: IntArray
    time: IntArray

    def __len__(self) -> int:
        return len(self.query) - 1

    @classmethod
    def group(cls, events: Events, visible: BoolArray, max_clicks: int) -> Searches:
        """Group search events by user, session and query; one without a session stands alone.

        A search without a chosen item keeps its query. Cost: O(events log events).
        """
        of_event = search_numbers(events)
        rows = np.flatnonzero(of_event != NO_ROW).astype(np.int64)
        number, num_searches = of_event[rows], int(of_event.max(initial=NO_ROW)) + 1
        query = np.full(num_searches + 1, NO_ROW, dtype=np.int64)
        query[number] = events.query[rows]
        seen = visible[rows]
        first = _first(number[seen])
        opened_by = np.full(num_searches + 1, NO_ROW, dtype=np.int64)
        opened_by[number[seen][first]] = rows[seen][first]
        clicks = _clicks(events, rows, number, seen, num_searches + 1).to_padded(max_clicks)
        clicked = clicks != NO_ROW
        item = np.where(clicked, events.item[clicks], NO_ROW)
        time = np.where(clicked, events.time[clicks], NO_TIME)
        return cls(of_event, opened_by, query, item, time)

    def opening(self) -> BoolArray:
        """True for the event that opens each visible search, bool [events]."""
        mask = np.zeros(len(self.of_event), dtype=np.bool_)
        mask[self.opened_by[self.opened_by != NO_ROW]] = True
        return mask


def _clicks(
    events: Events, rows: IntArray, number: IntArray, seen: BoolArray, num_rows: int
) -> Ragged:
    """Visible events that chose an item, by search, the first of each item only."""
    chosen = seen & events.is_positive[rows]
    rows, number = rows[chosen], number[chosen]
    first = _first(number * max(len(events.items), 1) + events.item[rows])
    return Ragged.group(number[first], rows[first], num_rows)


def _first(keys: IntArray) -> IntArray:
    """Places of the first occurrence of each key, ascending."""
    _, places = np.unique(keys, return_index=True)
    return np.sort(places).astype(np.int64)
