"""Distinct random integers: Floyd's subset (Bentley and Floyd 1987), uniform, O(drawn)."""

from __future__ import annotations

import numpy as np
from numba import njit

from sargraph.graph.counter import draw_below

FEW = 32
"""Up to so many draws, comparing with all earlier ones beats a hash table."""


@njit(cache=True, nogil=True)
def claim_table(widest):  # type: ignore[no-untyped-def]
    """(values, turns) of an empty hash table for draws of up to `widest` numbers."""
    size = 8
    while size < 4 * widest:
        size *= 2
    return np.empty(size, np.int64), np.full(size, -1, np.int64)


@njit(cache=True, nogil=True, inline="always")
def draw_distinct(out, base, count, limit, state, values, turns, turn):  # type: ignore[no-untyped-def]
    """Write `count` distinct integers of 0..limit - 1 to `out[base:]`, each subset equally likely.

    `turn` must differ from call to call with one claim table, which then needs no clearing.
    """
    for j in range(count):
        last = limit - count + j
        state, pick = draw_below(state, last + 1)
        if count <= FEW:
            is_drawn = False
            for earlier in range(base, base + j):  # no early exit, so that it runs in parallel
                is_drawn |= out[earlier] == pick
        else:
            is_drawn = not claim(values, turns, turn, pick)
            if is_drawn:
                claim(values, turns, turn, last)
        out[base + j] = last if is_drawn else pick


@njit(cache=True, nogil=True, inline="always")
def claim(values, turns, turn, value):  # type: ignore[no-untyped-def]
    """Note that this turn draws the value; False where it has drawn it before. Cost: O(1)."""
    mask = len(values) - 1
    slot = value & mask
    while turns[slot] == turn:
        if values[slot] == value:
            return False
        slot = (slot + 1) & mask
    turns[slot], values[slot] = turn, value
    return True
