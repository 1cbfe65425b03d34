"""Weighted negatives: items in proportion to a weight, such as a power of their popularity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from sargraph.core.errors import DataError
from sargraph.core.types import Array, DoubleArray, IntArray
from sargraph.graph.counter import key_of, next_unit
from sargraph.graph.csr import first_at_or_after
from sargraph.graph.distinct import claim, claim_table
from sargraph.graph.positives import is_positive
from sargraph.graph.rows import rows_of

TRIES = 32
"""Refused draws one after the other until looking at all items is cheaper than luck."""


@dataclass(frozen=True)
class ItemWeights:
    """Sampling weights: `upto[i]` is the sum of the weights of items 0..i, float64 [items]."""

    upto: DoubleArray
    num_weighted: IntArray
    """int64 [items + 1]: the number of items with a positive weight before each item."""


def item_weights(weights: Array, num_items: int) -> ItemWeights:
    """Prepare weights >= 0, one per item. Raises DataError. Cost: O(items)."""
    values = np.asarray(weights, dtype=np.float64)
    if values.shape != (num_items,) or not np.all(np.isfinite(values) & (values >= 0)):
        raise DataError(
            f"got weights of shape {values.shape}, expected {num_items} finite numbers >= 0"
        )
    num_weighted = np.zeros(num_items + 1, dtype=np.int64)
    upto = np.cumsum(values)
    # A weight that is lost in the sum cannot be drawn, so it does not count.
    np.cumsum(np.diff(upto, prepend=0.0) > 0, out=num_weighted[1:])
    return ItemWeights(upto, num_weighted)


def popularity(items: IntArray, num_items: int, *, power: float = 0.75) -> ItemWeights:
    """`count^power` of each item; one that never occurs has weight 0, for any power.

    The power 0.75 is that of word2vec (Mikolov et al. 2013). Raises DataError for a power < 0 or
    items out of range. Cost: O(len(items) + num_items).
    """
    if not power >= 0:
        raise DataError(f"got power {power}, expected 0 (each item that occurs alike) or more")
    counts = np.bincount(rows_of("items", items, num_items), minlength=num_items)
    return item_weights(np.where(counts > 0, counts.astype(np.float64) ** power, 0.0), num_items)


@njit(cache=True, nogil=True)
def draw_weighted(indptr, items, upto, num_weighted, users, names, key, out, short):  # type: ignore[no-untyped-def]
    """Draw in proportion to the weights, refusing the user's items and repeats.

    A draw that is refused and drawn again follows the weights of what is left. After TRIES
    refusals the rest of the row is drawn by looking at all items, which ends the search for
    certain and is at most once per row.
    """
    count, num_items = out.shape[1], len(upto)
    values, turns = claim_table(count)
    for i in range(len(users)):
        free = num_weighted[num_items]
        for j in range(indptr[users[i]], indptr[users[i] + 1]):
            free -= num_weighted[items[j] + 1] - num_weighted[items[j]]
        if free < count:
            short[i] = free
            continue
        state, num_drawn, tries = key_of(key, names[i], 0), 0, 0
        while num_drawn < count and tries < TRIES:
            state, unit = next_unit(state)
            tries += 1
            pick = first_at_or_after(upto, 0, num_items, _above(unit * upto[-1]))
            if pick == num_items or is_positive(indptr, items, users[i], pick):
                continue
            if claim(values, turns, i, pick):
                out[i, num_drawn] = pick
                num_drawn, tries = num_drawn + 1, 0
        if num_drawn < count:
            _draw_rest(indptr, items, upto, users[i], out[i], num_drawn, state)


@njit(cache=True, nogil=True, inline="always")
def _above(value):  # type: ignore[no-untyped-def]
    """The next number, so that an item whose sum is exactly `value` is passed over."""
    return np.nextafter(value, np.inf)


@njit(cache=True, nogil=True)
def _draw_rest(indptr, items, upto, user, drawn, num_drawn, state):  # type: ignore[no-untyped-def]
    """Draw all that is missing at once from the items that are left: O(items).

    Each item waits an exponential time of rate weight; the order of arrival is that of draws one
    after the other (Efraimidis and Spirakis 2006).
    """
    is_left = np.diff(upto) > 0
    is_left = np.concatenate((upto[:1] > 0, is_left))
    is_left[items[indptr[user] : indptr[user + 1]]] = False
    is_left[drawn[:num_drawn]] = False
    left = np.flatnonzero(is_left)
    wait = np.empty(len(left), np.float64)
    for place, item in enumerate(left):
        state, unit = next_unit(state)
        weight = upto[item] - (upto[item - 1] if item > 0 else 0.0)
        wait[place] = -np.log1p(-unit) / weight
    missing = len(drawn) - num_drawn
    latest = np.partition(wait, missing - 1)[missing - 1]
    first = np.flatnonzero(wait <= latest)
    order = np.argsort(wait[first], kind="mergesort")
    drawn[num_drawn:] = left[first[order[:missing]]]
