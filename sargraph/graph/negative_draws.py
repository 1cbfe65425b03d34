"""The compiled steps of negative sampling: distinct draws from what is left of a sorted list."""

from __future__ import annotations

import numpy as np
from numba import njit

from sargraph.graph.counter import key_of
from sargraph.graph.csr import first_at_or_after
from sargraph.graph.distinct import claim_table, draw_distinct
from sargraph.graph.positives import is_positive


@njit(cache=True, nogil=True)
def draw_free(indptr, items, num_items, users, own, names, key, out, short):  # type: ignore[no-untyped-def]
    """Uniformly from all items but the user's and the row's `own` (-1 = none).

    `short` gets the number of free items if too few. With the user's items p_0 < p_1 < ..., the
    r-th item that is not among them is `r + #{j : p_j - j <= r}`.
    """
    count = out.shape[1]
    values, turns = claim_table(count)
    for i in range(len(users)):
        low, high = indptr[users[i]], indptr[users[i] + 1]
        free = num_items - (high - low)
        own_rank = free
        if own[i] >= 0 and not is_positive(indptr, items, users[i], own[i]):
            own_rank = own[i] - (first_at_or_after(items, low, high, own[i]) - low)
            free -= 1
        if free < count:
            short[i] = free
            continue
        state = key_of(key, names[i], 0)
        draw_distinct(out[i], 0, count, free, state, values, turns, i)
        for j in range(count):
            rank = out[i, j] + (1 if out[i, j] >= own_rank else 0)
            out[i, j] = rank + _num_blocked(items, low, high, rank)


@njit(cache=True, nogil=True)
def draw_listed(indptr, items, offsets, listed, list_of, users, own, names, key, out, short):  # type: ignore[no-untyped-def]
    """Uniformly from a sorted list of items but the user's and the row's `own`."""
    count = out.shape[1]
    values, turns = claim_table(count)
    blocked = np.empty(8, np.int64)
    for i in range(len(users)):
        low, high = offsets[list_of[i]], offsets[list_of[i] + 1]
        room = min(high - low, indptr[users[i] + 1] - indptr[users[i]] + 1)
        if room > len(blocked):
            blocked = np.empty(2 * room, np.int64)
        num_blocked = _block(indptr, items, users[i], own[i], listed, low, high, blocked)
        free = high - low - num_blocked
        if free < count:
            short[i] = free
            continue
        state = key_of(key, names[i], 0)
        draw_distinct(out[i], 0, count, free, state, values, turns, i)
        for j in range(count):
            rank = out[i, j]
            out[i, j] = listed[low + rank + _num_blocked(blocked, 0, num_blocked, rank)]


@njit(cache=True, nogil=True, inline="always")
def _num_blocked(blocked, low, high, rank):  # type: ignore[no-untyped-def]
    """How many of the ascending `blocked[low:high]` come before the free number of that rank."""
    start = low
    while low < high:
        middle = (low + high) // 2
        if blocked[middle] - (middle - start) <= rank:
            low = middle + 1
        else:
            high = middle
    return low - start


@njit(cache=True, nogil=True)
def _block(indptr, items, user, own, listed, low, high, blocked):  # type: ignore[no-untyped-def]
    """Write the places within `listed[low:high]` of the user's items and of `own`, ascending.

    Goes through the shorter of the two sorted lists and looks up in the longer.
    """
    count = 0
    if high - low <= indptr[user + 1] - indptr[user]:
        for place in range(low, high):
            if listed[place] == own or is_positive(indptr, items, user, listed[place]):
                blocked[count] = place - low
                count += 1
        return count
    is_own_done = is_positive(indptr, items, user, own)
    for j in range(indptr[user], indptr[user + 1] + 1):
        is_last = j == indptr[user + 1]
        if not is_own_done and (is_last or items[j] > own):
            is_own_done = True
            count = _block_one(listed, low, high, own, blocked, count)
        if not is_last:
            count = _block_one(listed, low, high, items[j], blocked, count)
    return count


@njit(cache=True, nogil=True, inline="always")
def _block_one(listed, low, high, item, blocked, count):  # type: ignore[no-untyped-def]
    place = first_at_or_after(listed, low, high, item)
    if place < high and listed[place] == item:
        blocked[count] = place - low
        count += 1
    return count
