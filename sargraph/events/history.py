"""Histories: what was known of a user strictly before a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Requests
from sargraph.core.types import BoolArray, IntArray
from sargraph.events.events import Events


@dataclass(frozen=True)
class _Timeline:
    """Event rows ordered by (user, time), with sortable keys for time and for (user, item)."""

    rows: IntArray
    starts: IntArray
    keys: IntArray
    pairs: IntArray


class HistoryIndex:
    """Finds, for many requests at once, the events that a model may see.

    `visible` bool [n] masks events that stand in no history (such as held-out untimed targets).
    """

    def __init__(self, events: Events, visible: BoolArray) -> None:
        self.events = events
        self.visible = visible
        self._times = np.unique(events.time)
        self._timelines: dict[tuple[str | None, bool], _Timeline] = {}

    def before(
        self,
        requests: Requests,
        max_events: int,
        *,
        source: Literal["search", "recommend"] | None = None,
        positive_only: bool = True,
        drop_target: bool = False,
    ) -> Ragged:
        """Event rows per request, oldest first: the latest `max_events` strictly before `as_of`.

        Untimed events count as before everything; the request's own event never appears. With
        `drop_target` no event on the target item does either. Ties in time keep the order of the
        log. Cost: O(n log(events) + rows returned).
        """
        line = self._timeline(source, positive_only)
        starts = line.starts[requests.user]
        ends = np.searchsorted(line.keys, self._key(requests.user, requests.as_of), side="left")
        # One more for the request's own event, and one for each event on the target: after
        # these are taken out, the latest `max_events` are still all there.
        spare = np.ones(len(requests), dtype=np.int64)
        if drop_target:
            spare += self._occurrences(line, requests)
        starts = np.maximum(starts, ends - max_events - spare)
        rows = _ranges(line.rows, starts, ends)
        request = rows.row_of_value
        keep = rows.values != requests.event[request]
        if drop_target:
            keep &= self.events.item[rows.values] != requests.target[request]
        kept = Ragged.group(request[keep], rows.values[keep], len(requests))
        lengths = np.minimum(kept.lengths, max_events)
        return _ranges(kept.values, kept.offsets[1:] - lengths, kept.offsets[1:])

    def _timeline(self, source: str | None, positive_only: bool) -> _Timeline:
        key = (source, positive_only)
        if key not in self._timelines:
            chosen = self.visible.copy()
            if source is not None:
                chosen &= self.events.is_search if source == "search" else self.events.is_recommend
            if positive_only:
                chosen &= self.events.is_positive
            self._timelines[key] = self._build(np.flatnonzero(chosen))
        return self._timelines[key]

    def _build(self, rows: IntArray) -> _Timeline:
        user = self.events.user[rows]
        starts = np.searchsorted(user, np.arange(len(self.events.users)), side="left")
        keys = self._key(user, self.events.time[rows])
        pairs = np.sort(user * len(self.events.items) + self.events.item[rows])
        return _Timeline(rows, starts, keys, pairs)

    def _key(self, user: IntArray, time: IntArray) -> IntArray:
        """One sortable number for (user, time): the place of the time among all times."""
        place = np.searchsorted(self._times, time, side="left")
        return np.asarray(user * (len(self._times) + 1) + place, dtype=np.int64)

    def _occurrences(self, line: _Timeline, requests: Requests) -> IntArray:
        pair = requests.user * len(self.events.items) + requests.target
        low = np.searchsorted(line.pairs, pair, side="left")
        return np.asarray(np.searchsorted(line.pairs, pair, side="right") - low, dtype=np.int64)


def _ranges(values: IntArray, starts: IntArray, ends: IntArray) -> Ragged:
    """Rows `values[starts[i]:ends[i]]` as ragged rows."""
    lengths = np.maximum(ends - starts, 0)
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return Ragged.from_lengths(values[np.repeat(starts, lengths) + within], lengths)
