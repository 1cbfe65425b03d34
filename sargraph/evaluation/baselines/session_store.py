"""Sessions as arrays: those of training, and those that requests ask with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from sargraph.core.errors import BadInputError
from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, NO_TIME, BoolArray, DoubleArray, IntArray
from sargraph.evaluation.baselines.choices import Source, chosen_rows
from sargraph.evaluation.baselines.session_kernel import Probes, Stored
from sargraph.events.events import Events
from sargraph.events.history import HistoryIndex
from sargraph.events.split import Split

Unit: TypeAlias = Literal["user", "session"]

ByPlace: TypeAlias = Callable[[IntArray, IntArray], DoubleArray]
"""Places from 1 = the oldest, and the length of the session of each -> values, float64."""


def stored_sessions(events: Events, split: Split, source: Source, unit: Unit) -> Stored:
    """The training choices of a source as sessions: one per user, or one per user and session.

    With unit "session" the choices of a user that have no number form one more session. Times are
    those of the events; in a log without a clock all are NO_TIME, so that nothing is too late and
    nothing recent. Raises BadInputError where no choice has a session. Cost: O(n log n).
    """
    rows = chosen_rows(events, split.is_train, source)
    if unit == "session":
        session = events.session[rows]
        if len(rows) and np.all(session == NO_ROW):
            raise BadInputError(
                "got unit = 'session' and a log without sessions, expected choices with a session; "
                "name a session or a gap in the recipe, or take unit = 'user'"
            )
        # Rows are sorted by user, then time; a stable sort leaves the order within a session.
        rows = rows[np.lexsort((session, events.user[rows]))]
    user, item = events.user[rows], events.item[rows]
    is_new = np.append(True, user[1:] != user[:-1])[: len(rows)]
    if unit == "session":
        is_new |= np.append(True, np.diff(events.session[rows]) != 0)[: len(rows)]
    begins = np.flatnonzero(is_new)
    time = events.time[rows] if has_clock(events) else np.full(len(rows), NO_TIME)
    number = np.cumsum(is_new) - 1
    first = _is_first(number, item, len(events.items))
    total = np.cumsum(first, dtype=np.int64)
    distinct: IntArray = total - (total - first)[begins][number]
    holders = np.flatnonzero(first)
    holders = holders[np.lexsort((number[holders], time[holders], item[holders]))]
    return Stored(
        offsets=np.append(begins, len(rows)).astype(np.int64),
        items=item,
        times=time,
        distinct=distinct,
        user=user[begins],
        starts=np.searchsorted(item[holders], np.arange(len(events.items) + 1)).astype(np.int64),
        holders=number[holders].astype(np.int64),
        since=time[holders],
        begins=np.sort(time[begins]),
    )


def has_clock(events: Events) -> bool:
    """True where times of different users can be compared."""
    return events.time_kind == "ms"


@dataclass(frozen=True)
class CurrentSessions:
    """Reads the session of each request: the latest `max_events` choices strictly before it.

    Only visible events of the source count, and none on the target where the split removes twins.
    """

    events: Events
    index: HistoryIndex
    drop_target: bool
    source: Source
    max_events: int | None

    @classmethod
    def of(
        cls, events: Events, split: Split, source: Source, max_events: int | None
    ) -> CurrentSessions:
        """A reader of the visible events of a split."""
        index = HistoryIndex(events, split.visible)
        return cls(events, index, split.twins, source, max_events)

    def probes(
        self,
        requests: Requests,
        weight: ByPlace,
        lead: ByPlace,
        scale: Callable[[IntArray, DoubleArray], DoubleArray],
    ) -> Probes:
        """What the requests ask with; an item counts by its latest place in the session.

        `scale(number of different items, sum of their squared weights)`, both [n], gives the factor
        of all similarities. Cost: O(events of the sessions log).
        """
        found = self._rows(requests)
        request, length = found.row_of_value, found.lengths
        items = self.events.item[found.values]
        # From the newest to the oldest, so that the first of equal pairs is the latest place.
        first = _is_first(request[::-1], items[::-1], len(self.events.items))
        kept = np.flatnonzero(first[::-1])
        kept = kept[np.lexsort((-kept, request[kept]))]
        owner = request[kept]
        place, among = kept - found.offsets[owner] + 1, length[owner]
        weights = weight(place, among)
        size = np.bincount(owner, minlength=len(requests))
        squares = np.bincount(owner, weights**2, minlength=len(requests)).astype(np.float64)
        return Probes(
            offsets=np.append(0, np.cumsum(size)).astype(np.int64),
            items=items[kept],
            weights=weights,
            leads=lead(place, among),
            scale=scale(size, squares),
            time=self._newest(found),
            as_of=requests.as_of if has_clock(self.events) else np.zeros_like(requests.as_of),
            user=requests.user,
        )

    def _rows(self, requests: Requests) -> Ragged:
        width = len(self.events) if self.max_events is None else self.max_events
        source = None if self.source == "both" else self.source
        return self.index.before(requests, width, source=source, drop_target=self.drop_target)

    def _newest(self, found: Ragged) -> IntArray:
        """The time of the newest event of each session, NO_TIME where there is none."""
        time = np.full(len(found), NO_TIME, dtype=np.int64)
        if has_clock(self.events):
            filled = found.lengths > 0
            time[filled] = self.events.time[found.values[found.offsets[1:][filled] - 1]]
        return time


def _is_first(rows: IntArray, items: IntArray, num_items: int) -> BoolArray:
    """True where a (row, item) pair occurs for the first time, bool [n]."""
    found = np.zeros(len(rows), dtype=np.bool_)
    found[np.unique(rows * max(num_items, 1) + items, return_index=True)[1]] = True
    return found
