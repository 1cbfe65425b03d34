"""Neighbours grouped by node and sorted by time, built by a linear counting sort."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from sargraph.core.types import IntArray

RowArray: TypeAlias = npt.NDArray[np.integer[Any]]
"""Row numbers in the smallest type that holds them."""

INT32_LIMIT = 2**31
"""Counts from here on need int64."""

SHORT = 24
"""Up to so many neighbours, sorting by insertion is faster than a merge sort."""


@dataclass(frozen=True)
class CSR:
    """Neighbours grouped by node: those of node i are `indices[indptr[i]:indptr[i + 1]]`.

    Within a node they are sorted by time, background first, ties in the order of the edge table,
    so that "before a time" is a binary search. `edge` gives the row of each entry in the edge
    table, `time` int64 its time. The other arrays are int32 where all their values fit, else int64.
    """

    indptr: RowArray
    indices: RowArray
    edge: RowArray
    time: IntArray

    def __len__(self) -> int:
        return len(self.indptr) - 1


def row_type(limit: int, threshold: int = INT32_LIMIT) -> type[np.integer[Any]]:
    """int32 where values below `limit` and their count fit (`limit` < `threshold`), else int64."""
    return np.int32 if limit < threshold else np.int64


def build_csr(
    start: IntArray,
    end: IntArray,
    time: IntArray,
    num_starts: int,
    num_ends: int,
    *,
    threshold: int = INT32_LIMIT,
) -> CSR:
    """Group edges by `start`: one counting sort, then a sort by time inside the nodes that need it.

    Cost: O(edges) where edges come in time order, plus O(d log d) for a node with d edges that do
    not; memory: the result. `threshold` is the first count that needs int64.
    """
    edge, indptr = group_by(start, num_starts, threshold=threshold)
    times = time[edge]
    _sort_by_time(indptr, edge, times)
    indices: Any = end.astype(row_type(num_ends, threshold))[edge]
    return CSR(indptr, indices, edge, times)


def group_by(
    keys: IntArray, num_keys: int, *, threshold: int = INT32_LIMIT
) -> tuple[RowArray, RowArray]:
    """(order, indptr): the places of `keys` by key, stable, and where each key's places begin.

    A counting sort: O(len(keys) + num_keys), and no more memory than the result.
    """
    kind = row_type(len(keys), threshold)
    indptr = np.zeros(num_keys + 1, dtype=kind)
    np.cumsum(np.bincount(keys, minlength=num_keys), out=indptr[1:])
    order = np.empty(len(keys), dtype=kind)
    _scatter(keys, indptr[:-1].copy(), order)
    return order, indptr


@njit(cache=True, nogil=True)
def _scatter(start, place, edge):  # type: ignore[no-untyped-def]
    """Write every edge to the next free place of its node; keeps the order inside a node."""
    for row in range(len(start)):
        node = start[row]
        edge[place[node]] = row
        place[node] += 1


@njit(cache=True, nogil=True)
def _sort_by_time(indptr, edge, time):  # type: ignore[no-untyped-def]
    """Sort the edges of each node by time, stably and in place."""
    for node in range(len(indptr) - 1):
        low, high = indptr[node], indptr[node + 1]
        is_sorted = True
        for place in range(low + 1, high):
            if time[place] < time[place - 1]:
                is_sorted = False
                break
        if is_sorted:
            continue
        if high - low > SHORT:
            order = np.argsort(time[low:high], kind="mergesort")
            edge[low:high] = edge[low:high][order]
            time[low:high] = time[low:high][order]
            continue
        for place in range(low + 1, high):
            this_time, this_edge, gap = time[place], edge[place], place
            while gap > low and time[gap - 1] > this_time:
                time[gap], edge[gap] = time[gap - 1], edge[gap - 1]
                gap -= 1
            time[gap], edge[gap] = this_time, this_edge


@njit(cache=True, nogil=True)
def first_at_or_after(values, low, high, limit):  # type: ignore[no-untyped-def]
    """The first place in the sorted `values[low:high]` that is not below `limit`, else `high`."""
    while low < high:
        middle = (low + high) // 2
        if values[middle] < limit:
            low = middle + 1
        else:
            high = middle
    return low
