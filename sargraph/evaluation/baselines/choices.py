"""What baselines learn from: who chose what in training, and what a user chose before."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from scipy.sparse import csr_array

from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Requests
from sargraph.core.types import BoolArray, DoubleArray, IntArray
from sargraph.evaluation.term_matrix import Sparse, pair_counts
from sargraph.events.events import Events
from sargraph.events.history import HistoryIndex
from sargraph.events.split import Split

Source: TypeAlias = Literal["search", "recommend", "both"]


def chosen_rows(events: Events, is_train: BoolArray, source: Source = "both") -> IntArray:
    """Rows of the training events in which someone chose an item in that source, rising."""
    chosen = is_train & events.is_positive
    if source != "both":
        chosen &= events.is_search if source == "search" else events.is_recommend
    return np.flatnonzero(chosen)


def choice_counts(events: Events, is_train: BoolArray, source: Source = "both") -> Sparse:
    """How often each user chose each item in training, [users, items]. Cost: one sort."""
    rows = chosen_rows(events, is_train, source)
    shape = (len(events.users), len(events.items))
    return pair_counts(events.user[rows], events.item[rows], shape)


class ChosenBefore:
    """Reads, for many requests, what each user chose strictly before `as_of`.

    Only visible events count, and none on the target item where the split removes twins. `source`
    says where the choices were made; `max_history` keeps the latest so many events.
    """

    def __init__(
        self,
        events: Events,
        split: Split,
        source: Source = "both",
        max_history: int | None = None,
    ) -> None:
        self._events = events
        self._index = HistoryIndex(events, split.visible)
        self._drop_target = split.twins
        self._source: Literal["search", "recommend"] | None = None if source == "both" else source
        self._width = len(events) if max_history is None else max_history

    def items(self, requests: Requests, half_life: float | None = None) -> Sparse:
        """Row r holds w for each distinct item of request r's history, [n, items].

        w = 1, or 2^(-age / half_life) with `age` the number of later events in the history; an
        item that was chosen again counts by its latest choice.
        """
        found = self._rows(requests)
        request, item = found.row_of_value, self._events.item[found.values]
        # From the newest to the oldest, so that the first of equal pairs is the latest choice.
        pair = (request * max(len(self._events.items), 1) + item)[::-1]
        latest = len(pair) - 1 - np.unique(pair, return_index=True)[1]
        weight = np.ones(len(latest)) if half_life is None else _decay(found, half_life)[latest]
        return self._matrix(weight, request[latest], item[latest], len(requests))

    def counts(self, requests: Requests) -> Sparse:
        """How often each item stands in each request's history, [n, items]."""
        found = self._rows(requests)
        item = self._events.item[found.values]
        return self._matrix(np.ones(len(item)), found.row_of_value, item, len(requests))

    def _rows(self, requests: Requests) -> Ragged:
        return self._index.before(
            requests, self._width, source=self._source, drop_target=self._drop_target
        )

    def _matrix(self, weight: DoubleArray, row: IntArray, item: IntArray, height: int) -> Sparse:
        matrix = csr_array((weight, (row, item)), shape=(height, len(self._events.items)))
        matrix.sort_indices()
        return matrix


def _decay(found: Ragged, half_life: float) -> DoubleArray:
    age = found.offsets[1:][found.row_of_value] - 1 - np.arange(len(found.values))
    return np.asarray(0.5 ** (age / half_life))
