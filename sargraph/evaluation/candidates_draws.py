"""Draws of distinct negatives: uniform, or in proportion to a weight, past the excluded items."""

from __future__ import annotations

import numpy as np
from numba import njit

from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, DoubleArray, IntArray

_BLOCK_CELLS = 1 << 22
_DENSE = 4
"""Below this many eligible items per negative a random order is cheaper than drawing again."""
_TRIES = 64
"""Refused draws in a row until one look at all items is cheaper than luck."""


def uniform_draws(
    users: IntArray, excluded: Ragged, num_items: int, width: int, rng: np.random.Generator
) -> IntArray:
    """Distinct uniform items that the user does not exclude, int64 [n, width], -1 = no more.

    `excluded`: distinct items of each user, ascending. Cost: O((n width + excluded) log).
    """
    # Eligible items of a user are numbered 0 .. num_eligible - 1, skipping the excluded ones:
    # number r is item r + (excluded items e_j, ascending, with e_j - j <= r).
    within = np.arange(len(excluded.values)) - excluded.offsets[:-1][excluded.row_of_value]
    steps = excluded.row_of_value * (num_items + 1) + excluded.values - within
    num_eligible = num_items - excluded.lengths[users]
    found = np.empty((len(users), width), dtype=np.int64)
    block = max(1, _BLOCK_CELLS // (_DENSE * width))
    for start in range(0, len(users), block):
        rows = slice(start, start + block)
        user = users[rows, None]
        numbers = _distinct_numbers(num_eligible[rows], width, rng)
        skipped = np.searchsorted(steps, user * (num_items + 1) + numbers, side="right")
        items = numbers + skipped - excluded.offsets[user]
        found[rows] = np.where(numbers == NO_ROW, NO_ROW, items)
    return found


def weighted_draws(
    users: IntArray, excluded: Ragged, weights: DoubleArray, width: int, rng: np.random.Generator
) -> IntArray:
    """Distinct items drawn one after the other by weight among those left, int64 [n, width].

    `weights` float64 [items], all above zero; `excluded`: distinct items of each user. A draw that
    meets an excluded or a drawn item is made again, which is the law of what is left. Rows with
    fewer eligible items end in -1. Cost: O(n (width log items + excluded)); where luck fails, one
    look at all items per row.
    """
    found = np.full((len(users), width), NO_ROW, dtype=np.int64)
    if len(users) and width:
        _draw(users, excluded.offsets, excluded.values, np.cumsum(weights), weights, found, rng)
    return found


@njit(cache=True, nogil=True)
def _draw(users, offsets, values, upto, weights, found, rng):  # type: ignore[no-untyped-def]
    num_items, width = len(upto), found.shape[1]
    taken_by = np.full(num_items, -1, np.int64)  # the last request for which an item was no choice
    for i in range(len(users)):
        for j in range(offsets[users[i]], offsets[users[i] + 1]):
            taken_by[values[j]] = i
        left = num_items - (offsets[users[i] + 1] - offsets[users[i]])
        count, drawn, tries = min(width, left), 0, 0
        while drawn < count and tries < _TRIES:
            pick = np.searchsorted(upto, rng.random() * upto[-1], side="right")
            tries += 1
            if pick < num_items and taken_by[pick] != i:
                taken_by[pick] = i
                found[i, drawn] = pick
                drawn, tries = drawn + 1, 0
        if drawn < count:
            _draw_rest(i, taken_by, weights, found[i, drawn:count], rng)


@njit(cache=True, nogil=True)
def _draw_rest(i, taken_by, weights, found, rng):  # type: ignore[no-untyped-def]
    """Draw all that is missing at once: each item that is left waits an exponential time of rate
    weight, and the order of arrival is that of draws one after the other (Efraimidis and
    Spirakis 2006).
    """
    left = np.flatnonzero(taken_by != i)
    wait = np.empty(len(left), np.float64)
    for place in range(len(left)):
        wait[place] = rng.standard_exponential() / weights[left[place]]
    order = np.argsort(wait, kind="mergesort")
    found[:] = left[order[: len(found)]]


def _distinct_numbers(limits: IntArray, width: int, rng: np.random.Generator) -> IntArray:
    """Distinct uniform numbers below each limit, [n, width], -1 where the limit is too low."""
    numbers = np.empty((len(limits), width), dtype=np.int64)
    dense = limits < _DENSE * width
    numbers[dense] = _shuffled_numbers(limits[dense], width, rng)
    sparse = np.flatnonzero(~dense)
    kind = np.int32 if limits.max(initial=0) < 2**31 else np.int64  # halves the cost of sorting
    drawn = rng.integers(0, limits[sparse, None], size=(len(sparse), width), dtype=kind)
    pending = np.arange(len(sparse))
    while len(pending):
        rows = drawn[pending]
        rows.sort(axis=1)
        repeated = np.zeros(rows.shape, dtype=bool)
        repeated[:, 1:] = rows[:, 1:] == rows[:, :-1]
        highs = np.broadcast_to(limits[sparse[pending], None], rows.shape)[repeated]
        rows[repeated] = rng.integers(0, highs, dtype=kind)
        drawn[pending] = rows
        pending = pending[repeated.any(axis=1)]
    numbers[sparse] = drawn
    return numbers


def _shuffled_numbers(limits: IntArray, width: int, rng: np.random.Generator) -> IntArray:
    """The first `width` of a random order of the numbers below each limit, padded with -1."""
    columns = np.arange(max(int(limits.max(initial=0)), width))
    keys = rng.random((len(limits), len(columns)))
    keys[columns >= limits[:, None]] = np.inf
    numbers = np.argsort(keys, axis=1)[:, :width]
    return np.where(np.arange(width) < limits[:, None], numbers, NO_ROW).astype(np.int64)
