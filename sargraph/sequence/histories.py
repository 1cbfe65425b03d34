"""Histories of many requests as padded rows: what a sequence model may read before it answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, Array, BoolArray, IntArray
from sargraph.events.events import Events
from sargraph.events.history import HistoryIndex
from sargraph.sequence.inputs import HistoryBatch
from sargraph.sequence.searches import Searches

BLOCK = 8192
"""Requests read at once; bounds the memory of the intermediate arrays."""


@dataclass(frozen=True)
class Histories:
    """The histories of n requests, oldest event first, -1 after the newest.

    `rec_item` int32 [n, rec] holds item rows, `search` int32 [n, search] numbers of `searches`.
    The ranks int16 give the place of an event in the order that merges both; events of one time
    share a rank, and all untimed events share the first. A click counts only where it is older
    than `as_of` int64 [n] and is not on the item `avoid` int64 [n] (-1 = avoid none).
    """

    searches: Searches
    user: IntArray
    as_of: IntArray
    avoid: IntArray
    rec_item: Array
    search: Array
    rec_rank: Array
    search_rank: Array

    def __len__(self) -> int:
        return len(self.user)

    def batch(self, rows: IntArray, device: torch.device | str = "cpu") -> HistoryBatch:
        """The histories of some requests as tensors."""
        search = self.search[rows]
        item, time = self.searches.item[search], self.searches.time[search]
        counts = time < self.as_of[rows, None, None]
        counts &= item != self.avoid[rows, None, None]
        return HistoryBatch(
            user=_tensor(self.user[rows], device),
            rec_item=_tensor(self.rec_item[rows], device),
            search_query=_tensor(self.searches.query[search], device),
            search_item=_tensor(np.where(counts, item, NO_ROW), device),
            rec_rank=_tensor(self.rec_rank[rows], device),
            search_rank=_tensor(self.search_rank[rows], device),
        )


class HistoryReader:
    """Reads histories: the latest choices in recommendation and the latest searches.

    Only `visible` events strictly older than a request's `as_of` are read (a search counts from
    its first event), untimed ones come before all others, and neither the request's own event nor
    its own search appears. With `drop_target` events on the target item are left out, and so is a
    search that led to nothing else.
    """

    def __init__(
        self,
        events: Events,
        visible: BoolArray,
        *,
        max_rec: int,
        max_search: int,
        max_clicks: int,
        drop_target: bool = False,
    ) -> None:
        self.events = events
        self.max_rec, self.max_search = max_rec, max_search
        self.drop_target = drop_target
        self.searches = Searches.group(events, visible, max_clicks)
        self._rec = HistoryIndex(events, visible)
        self._search = HistoryIndex(events, self.searches.opening())
        self._found = self._pairs()

    def read(self, requests: Requests) -> Histories:
        """The history of each request. Cost: O(n (log events + rec + search)) in blocks."""
        starts = range(0, max(len(requests), 1), BLOCK)
        everything = np.arange(len(requests))
        parts = [self._read(requests.take(everything[start : start + BLOCK])) for start in starts]
        rec, search, rec_rank, search_rank = (
            np.concatenate(column) for column in zip(*parts, strict=True)
        )
        avoid = requests.target if self.drop_target else np.full(len(requests), NO_ROW)
        return Histories(
            self.searches, requests.user, requests.as_of, avoid, rec, search, rec_rank, search_rank
        )

    def _read(self, requests: Requests) -> tuple[Array, Array, Array, Array]:
        rec = self._rec.before(
            requests, self.max_rec, source="recommend", drop_target=self.drop_target
        ).to_padded(self.max_rec)
        search = self._searches_before(requests)
        opened_by = self.searches.opened_by[search]
        rank = merged_rank(self.events.time, np.concatenate([rec, opened_by], axis=1))
        rec_item = np.where(rec != NO_ROW, self.events.item[rec], NO_ROW)
        return (
            rec_item.astype(np.int32),
            search.astype(np.int32),
            rank[:, : self.max_rec],
            rank[:, self.max_rec :],
        )

    def _searches_before(self, requests: Requests) -> IntArray:
        """Numbers of the latest searches of each request, oldest first, [n, max_search]."""
        # Spare ones make up for those that are taken out below.
        spare = 1 + (int(self._on_target(requests).max(initial=0)) if self.drop_target else 0)
        width = self.max_search + spare
        found = self._search.before(requests, width, source="search", positive_only=False)
        rows = found.to_padded(width)
        search = np.where(rows != NO_ROW, self.searches.of_event[rows], NO_ROW)
        own = np.where(requests.event != NO_ROW, self.searches.of_event[requests.event], NO_ROW)
        keep = (search != NO_ROW) & (search != own[:, None])
        if self.drop_target:
            keep &= ~self._led_to_target_only(search, requests)
        kept = Ragged.from_lengths(search[keep], keep.sum(1))
        return kept.to_padded(self.max_search, keep="last")

    def _led_to_target_only(self, search: IntArray, requests: Requests) -> BoolArray:
        item, time = self.searches.item[search], self.searches.time[search]
        chosen = (item != NO_ROW) & (time < requests.as_of[:, None, None])
        on_target = chosen & (item == requests.target[:, None, None])
        return np.asarray(on_target.any(2) & ~(chosen & ~on_target).any(2))

    def _on_target(self, requests: Requests) -> IntArray:
        """How many of the user's searches led to the target."""
        pair = requests.user * max(len(self.events.items), 1) + requests.target
        low, high = (np.searchsorted(self._found, pair, side=side) for side in ("left", "right"))
        return np.asarray(high - low, dtype=np.int64)

    def _pairs(self) -> IntArray:
        """Sorted (user, item) keys of all clicks in searches."""
        item, user = self.searches.item, self.events.user[self.searches.opened_by]
        key = user[:, None] * max(len(self.events.items), 1) + item
        return np.sort(key[item != NO_ROW])


def trimmed(history: HistoryBatch) -> HistoryBatch:
    """The same histories without the slots at the end that none of them fills.

    Models read the same from it, in less time: half of it where a data set has no searches.
    """
    rec, search = (
        max(1, int(filled.any(0).sum())) for filled in (history.rec_valid, history.search_valid)
    )
    return HistoryBatch(
        user=history.user,
        rec_item=history.rec_item[:, :rec],
        search_query=history.search_query[:, :search],
        search_item=history.search_item[:, :search],
        rec_rank=history.rec_rank[:, :rec],
        search_rank=history.search_rank[:, :search],
    )


def merged_rank(time: IntArray, rows: IntArray) -> Array:
    """Dense rank of the time of each event row within its line of `rows` [n, slots], int16.

    Equal times share a rank; -1 ranks with or after the newest event.
    """
    late = np.iinfo(np.int64).max
    times = np.where(rows != NO_ROW, time[rows], late) if len(time) else np.full(rows.shape, late)
    order = np.argsort(times, axis=1, kind="stable")
    ordered = np.take_along_axis(times, order, axis=1)
    rises = np.zeros(rows.shape, dtype=np.int16)
    rises[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    rank = np.empty(rows.shape, dtype=np.int16)
    np.put_along_axis(rank, order, np.cumsum(rises, axis=1, dtype=np.int16), axis=1)
    return rank


def _tensor(array: Array, device: torch.device | str) -> Tensor:
    return torch.from_numpy(array.astype(np.int64)).to(device)
