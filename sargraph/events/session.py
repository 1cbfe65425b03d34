"""Sessions: one number per search, one per stretch of recommendation without a long pause."""

from __future__ import annotations

import numpy as np

from sargraph.core.types import NO_ROW, NO_TIME, BoolArray, IntArray

MINUTE = 60_000


def number_sessions(
    user: IntArray,
    time: IntArray,
    search: IntArray,
    query: IntArray,
    *,
    is_search: BoolArray,
    gap: int | None,
) -> IntArray:
    """Session numbers of events sorted by (user, time), int64 [n], counted by first appearance.

    Search: rows equal in user, `search` (a code) and query share a number while no two neighbours
    in time lie more than `gap` ms apart. Recommendation: a user's events of both sources form
    stretches without a pause over `gap`; the recommendation events of a stretch share a number.
    Untimed recommendation events, and those of a log without clock times (`gap` None), have -1.
    Cost: O(n log n).
    """
    key = np.full(len(user), NO_ROW, dtype=np.int64)
    key[is_search] = _searches(user, time, search, query, is_search, gap)
    stretched = ~is_search & (time != NO_TIME) & (gap is not None)
    key[stretched] = stretches(user, time, gap or 0)[stretched] + key.max(initial=NO_ROW) + 1
    return _by_first_appearance(key)


def stretches(user: IntArray, time: IntArray, gap: int) -> IntArray:
    """Number of the stretch of each event: a new one with a new user or after more than `gap` ms.

    Events must be sorted by (user, time).
    """
    return np.cumsum(_starts([user], time, gap)) - 1


def _searches(
    user: IntArray,
    time: IntArray,
    search: IntArray,
    query: IntArray,
    is_search: BoolArray,
    gap: int | None,
) -> IntArray:
    keys = [column[is_search] for column in (query, search, user)]
    moment = time[is_search]
    order = np.lexsort([moment, *keys])
    starts = _starts([key[order] for key in keys], moment[order], gap)
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.cumsum(starts) - 1
    return number


def _starts(keys: list[IntArray], time: IntArray, gap: int | None) -> BoolArray:
    """True where a key differs from the one before, or the pause before is longer than `gap`."""
    starts = np.ones(len(time), dtype=bool)
    if len(time) > 1:
        changed = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
        # Compared by addition: the difference to NO_TIME would overflow.
        paused = time[1:] > time[:-1] + gap if gap is not None else np.zeros_like(changed)
        starts[1:] = changed | paused
    return starts


def _by_first_appearance(key: IntArray) -> IntArray:
    """Renumber keys 0, 1, ... in the order in which they first appear; -1 stays."""
    numbers = np.full(len(key), NO_ROW, dtype=np.int64)
    has_key = key != NO_ROW
    first, member = np.unique(key[has_key], return_index=True, return_inverse=True)[1:]
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    numbers[has_key] = rank[member]
    return numbers
