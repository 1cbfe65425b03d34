"""Order: events sorted by user and time, and the repeats among them, in near-linear time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from sargraph.core.types import NO_TIME, CodeArray, IntArray

_SHORT = 16
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(31))


def order_events(user: CodeArray, time: IntArray, item: CodeArray, num_users: int) -> CodeArray:
    """Places of all rows sorted by (user, time, place), int32 [n] (int64 from 2^31 rows on).

    Rows without a time come first in their user's block, ordered by item: the order of such a
    file, often by weight, must say nothing. A counting sort over users, then a stable sort within
    each user whose rows are not in order yet. Cost: O(n) where the log is in order, else
    O(n log(rows per user)).
    """
    order: Any = np.empty(len(user), dtype=np.int32 if len(user) < 2**31 else np.int64)
    bounds = np.zeros(num_users + 1, dtype=np.int64)
    _count_and_place(user, bounds, order)
    _sort_blocks(bounds, order, time, item)
    return np.asarray(order)


@njit(cache=True, nogil=True)
def _count_and_place(user: Any, bounds: Any, order: Any) -> None:
    """Stable counting sort: `bounds` becomes the block of each user, `order` the places."""
    for code in user:
        bounds[code + 1] += 1
    for code in range(len(bounds) - 1):
        bounds[code + 1] += bounds[code]
    free = bounds[:-1].copy()
    for place in range(len(user)):
        code = user[place]
        order[free[code]] = place
        free[code] += 1


@njit(cache=True, nogil=True)
def _sort_blocks(bounds: Any, order: Any, time: Any, item: Any) -> None:
    for code in range(len(bounds) - 1):
        block = order[bounds[code] : bounds[code + 1]]
        in_order, untimed = True, 0
        before = NO_TIME
        for place in block:
            moment = time[place]
            in_order &= moment >= before
            untimed += moment == NO_TIME
            before = moment
        if not in_order:
            block[:] = block[np.argsort(time[block], kind="mergesort")]
        if untimed > 1:
            block[:untimed] = block[:untimed][np.argsort(item[block[:untimed]], kind="mergesort")]


def find_repeats(
    user: CodeArray,
    time: IntArray,
    item: CodeArray,
    query: CodeArray,
    kind: CodeArray,
) -> CodeArray:
    """For each row of a sorted log the first row that equals it in all five columns (itself).

    `kind` joins source and action in one number. Rows equal in user and time lie together; short
    runs are compared pair by pair, long ones after a sort by hash. int32 or int64 [n].
    Cost: O(n log(longest run)).
    """
    first: Any = np.arange(len(user), dtype=np.int32 if len(user) < 2**31 else np.int64)
    _find_repeats(user, time, item, query, kind, first)
    return np.asarray(first)


@njit(cache=True, nogil=True)
def _find_repeats(user: Any, time: Any, item: Any, query: Any, kind: Any, first: Any) -> None:
    size = len(user)
    start = 0
    while start < size:
        stop = start + 1
        while stop < size and user[stop] == user[start] and time[stop] == time[start]:
            stop += 1
        if stop - start > _SHORT:
            order = _by_hash(item, query, kind, start, stop)
        else:
            order = np.arange(start, stop)
        if stop - start > 1:
            _match(order, stop - start <= _SHORT, item, query, kind, first)
        start = stop


@njit(cache=True, nogil=True)
def _hash(item: Any, query: Any, kind: Any, row: Any) -> Any:
    value = np.uint64(item[row]) * _MIX[0]
    value = (value ^ (value >> _MIX[2])) + np.uint64(query[row])
    value = value * _MIX[1]
    return (value ^ (value >> _MIX[2])) + np.uint64(kind[row])


@njit(cache=True, nogil=True)
def _by_hash(item: Any, query: Any, kind: Any, start: int, stop: int) -> Any:
    keys = np.empty(stop - start, dtype=np.uint64)
    for place in range(stop - start):
        keys[place] = _hash(item, query, kind, start + place)
    return np.argsort(keys, kind="mergesort") + start


@njit(cache=True, nogil=True)
def _match(order: Any, everywhere: bool, item: Any, query: Any, kind: Any, first: Any) -> None:
    """Compare each row with earlier ones of the run: all, or those of equal hash."""
    for place in range(1, len(order)):
        row = order[place]
        back = place - 1
        while back >= 0:
            other = order[back]
            if item[other] == item[row] and query[other] == query[row]:
                if kind[other] == kind[row]:
                    first[row] = first[other]
                    break
            elif not everywhere and _hash(item, query, kind, other) != _hash(
                item, query, kind, row
            ):
                break
            back -= 1
