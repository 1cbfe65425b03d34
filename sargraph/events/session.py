"""Sessions: one number per search, one per stretch of recommendation without a long pause."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from sargraph.core.types import NO_ROW, NO_TIME, BoolArray, CodeArray, IntArray

MINUTE = 60_000

_SMALLEST_TABLE = 1024


def number_sessions(
    user: CodeArray,
    time: IntArray,
    search: CodeArray,
    query: CodeArray,
    *,
    is_search: BoolArray,
    gap: int | None,
) -> IntArray:
    """Session numbers of events sorted by (user, time), int64 [n], counted by first appearance.

    Search: rows equal in user, `search` (a code) and query share a number while no two neighbours
    in time lie more than `gap` ms apart. Recommendation: a user's events of both sources form
    stretches without a pause over `gap`; the recommendation events of a stretch share a number.
    In a log without clock times (`gap` None) recommendation rows that the log itself puts together
    (a `search` code, such as the number of a list that was shown) share a number as searches do.
    All other recommendation events of such a log, and untimed ones, have -1.
    Cost: O(n), with a hash table as large as the searches of one user.
    """
    return np.asarray(_number(user, time, search, query, is_search, gap is not None, gap or 0))


@njit(cache=True, nogil=True)
def _number(
    user: Any, time: Any, search: Any, query: Any, is_search: Any, has_gap: bool, gap: int
) -> Any:
    numbers = np.full(len(user), NO_ROW, np.int64)
    # The latest row of each search of the user at hand. Rows of users before are lower than
    # `start`: they count as empty, so that the table need not be cleared.
    latest = np.full(_SMALLEST_TABLE, -1, np.int64)
    start, held, total, stretch = 0, 0, 0, NO_ROW
    for row in range(len(user)):
        if row == 0 or user[row] != user[row - 1]:
            start, held, stretch = row, 0, NO_ROW
        # Compared by addition: the difference to NO_TIME would overflow.
        elif has_gap and time[row] > time[row - 1] + gap:
            stretch = NO_ROW
        if is_search[row] or (not has_gap and search[row] != NO_ROW):
            slot = _slot(latest, search, query, row, start)
            last = latest[slot]
            latest[slot] = row
            if last >= start and not (has_gap and time[row] > time[last] + gap):
                numbers[row] = numbers[last]
                continue
            numbers[row] = total
            total += 1
            if last < start:
                held += 1
                if 2 * held > len(latest):
                    latest = _grown(latest, search, query, start)
        elif has_gap and time[row] != NO_TIME:
            if stretch == NO_ROW:
                stretch = total
                total += 1
            numbers[row] = stretch
    return numbers


@njit(cache=True, nogil=True)
def _slot(latest: Any, search: Any, query: Any, row: int, start: int) -> int:
    """Place of the row's (search, query) in the table, or the empty place where it belongs."""
    mask = np.uint64(len(latest) - 1)
    mixed = np.uint64(search[row]) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ np.uint64(query[row])) * np.uint64(0xC2B2AE3D27D4EB4F)
    slot = (mixed ^ (mixed >> np.uint64(32))) & mask
    while True:
        other = latest[slot]
        if other < start or (search[other] == search[row] and query[other] == query[row]):
            return int(slot)
        slot = (slot + np.uint64(1)) & mask


@njit(cache=True, nogil=True)
def _grown(latest: Any, search: Any, query: Any, start: int) -> Any:
    """The same searches in a table of four times the size."""
    larger = np.full(4 * len(latest), -1, np.int64)
    for row in latest:
        if row >= start:
            larger[_slot(larger, search, query, row, start)] = row
    return larger
