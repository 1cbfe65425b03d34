"""What each user had asked before a moment: the history behind a timed virtual query."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from sargraph.core.types import NO_ROW, NO_TIME, Array, BoolArray, IntArray
from sargraph.graph.graph import FOUND, ISSUED, EdgeTable, Graph
from sargraph.nn.contexts import MONTHS, WEEKDAYS, TimedContexts

HOUR_MS, DAY_MS = 3_600_000, 86_400_000


@dataclass(frozen=True)
class QueryHistories:
    """The timed queries of each user, oldest first: `offsets` [users + 1], `time` and `query` [n].

    `terms` int64 [queries, length] are the term rows of all queries (-1 pads). Queries without a
    time have no place in an order and are left out. `is_clock`: times are ms since 1970 (UTC);
    otherwise they are an order, ages count its steps, and there is no calendar.
    """

    offsets: IntArray
    time: IntArray
    query: IntArray
    terms: IntArray
    is_clock: bool
    length: int

    @classmethod
    def of(cls, graph: Graph, terms: IntArray, length: int) -> QueryHistories:
        """The searches of a graph (issued queries, or those that found something)."""
        user, query, time = _searches(graph)
        kept = (time != NO_TIME) & (query != NO_ROW)
        kept &= (terms[query] >= 0).any(axis=1)
        user, query, time = user[kept], query[kept], time[kept]
        order = np.lexsort((query, time, user))
        counts = np.bincount(user, minlength=graph.num_nodes["user"])
        offsets = np.concatenate([[0], np.cumsum(counts)])
        is_clock = graph.time_kind == "ms"
        return cls(offsets, time[order], query[order], terms, is_clock, length)

    def contexts(self, user: IntArray, time: IntArray) -> tuple[IntArray, TimedContexts]:
        """The context of each (user, time), int64 [n], and the distinct contexts.

        A context is a user, the last `length` queries strictly before the time, and the hour (or
        step) that the time lies in: rows that agree in these share one. Ages are counted from the
        end of that hour, so that they depend on nothing else. Cost: O((n + queries) log).
        """
        end = self._count_before(user, time)
        period = HOUR_MS if self.is_clock else 1
        bucket = np.where(time == NO_TIME, NO_TIME, time // period)
        end = np.where(time == NO_TIME, self.offsets[user], end)
        keys = np.stack([user, end, bucket])
        distinct, of = np.unique(keys, axis=1, return_inverse=True)
        user, end, bucket = distinct
        start = np.maximum(self.offsets[user], end - self.length)
        place = start[:, None] + np.arange(self.length)
        valid = place < end[:, None]
        place = np.where(valid, place, 0)
        history = np.where(valid, self.query[place] if len(self.query) else NO_ROW, NO_ROW)
        until = np.where(bucket == NO_TIME, 0, (bucket + 1) * period)
        age = (until[:, None] - (self.time[place] if len(self.time) else 0)) / (
            DAY_MS if self.is_clock else 1
        )
        used, row = np.unique(np.maximum(history, 0), return_inverse=True)
        row = row.reshape(history.shape)
        return of.reshape(-1), TimedContexts(
            user=torch.from_numpy(user),
            history=torch.from_numpy(np.where(valid, row, NO_ROW)),
            age=torch.from_numpy(np.where(valid, age, 1.0)),
            calendar=torch.from_numpy(self._calendar(bucket)),
            queries=torch.from_numpy(self.terms[used] if valid.any() else self.terms[:0]),
        )

    def weights(self) -> dict[str, Array]:
        """The arrays by name, to be kept beside a model's weights."""
        kind = np.array([self.is_clock, self.length], dtype=np.int64)
        return {
            "history_offsets": self.offsets, "history_time": self.time,
            "history_query": self.query, "history_kind": kind,
        }  # fmt: skip

    @classmethod
    def from_weights(cls, weights: dict[str, Array], terms: IntArray) -> QueryHistories:
        """What `weights` gave, taken out of the dictionary."""
        offsets, time, query, kind = (
            np.asarray(weights.pop(f"history_{name}"), dtype=np.int64)
            for name in ("offsets", "time", "query", "kind")
        )
        return cls(offsets, time, query, terms, bool(kind[0]), int(kind[1]))

    def _count_before(self, user: IntArray, time: IntArray) -> IntArray:
        """The place after the last query of each user strictly before the time."""
        times = np.unique(self.time)
        width = len(times) + 1
        owner = np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))
        keys = owner * width + np.searchsorted(times, self.time)
        return np.searchsorted(keys, user * width + np.searchsorted(times, time))

    def _calendar(self, bucket: IntArray) -> IntArray:
        """Rows of month, weekday and hour in one table, int64 [n, 3]; -1 without a clock time."""
        if not self.is_clock:
            return np.full((len(bucket), 3), NO_ROW)
        known: BoolArray = bucket != NO_TIME
        hours = np.where(known, bucket, 0)
        days = hours // 24
        month = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
        weekday = (days + 3) % 7  # 1 January 1970 was a Thursday, Monday is 0
        rows = np.stack([month, MONTHS + weekday, MONTHS + WEEKDAYS + hours % 24], axis=1)
        return np.asarray(np.where(known[:, None], rows, NO_ROW))


def _searches(graph: Graph) -> tuple[IntArray, IntArray, IntArray]:
    """User, query and time of each search."""
    none = np.empty(0, dtype=np.int64)
    if ISSUED in graph.edges:
        issued = graph.edges[ISSUED]
        return issued.from_row, issued.to_row, issued.time
    found = graph.edges.get(FOUND, EdgeTable.of(none, none))
    return found.from_row, found.query, found.time
