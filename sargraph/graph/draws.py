"""The compiled steps of neighbour sampling: what may be drawn, what is drawn, who is new."""

from __future__ import annotations

import numpy as np
from numba import njit

from sargraph.graph.counter import GAMMA, draw_below, key_of, mix
from sargraph.graph.csr import first_at_or_after

FREE = -1
"""An empty place of a node table."""

FEW = 32
"""Up to so many draws, comparing with all earlier ones beats a hash table."""


@njit(cache=True, nogil=True)
def count_allowed(indptr, time, hidden, rows, trees, tree_time, fan_out, first, allowed, taken):  # type: ignore[no-untyped-def]
    """For each node of a frontier: first place, allowed neighbours, and how many will be drawn.

    Allowed are the background edges and those strictly before the tree's time, less the `hidden`
    places (ascending). `taken[i + 1]` counts what nodes 0..i draw. Cost: O(log degree) per node.
    """
    background = np.iinfo(np.int64).min + 1
    taken[0] = 0
    for i in range(len(rows)):
        low, high = np.int64(indptr[rows[i]]), np.int64(indptr[rows[i] + 1])
        limit = max(tree_time[trees[i]], background)
        if high > low and time[high - 1] >= limit:
            high = first_at_or_after(time, low, high, limit)
        count = high - low
        if len(hidden) > 0:
            count -= first_at_or_after(hidden, 0, len(hidden), high)
            count += first_at_or_after(hidden, 0, len(hidden), low)
        first[i], allowed[i] = low, count
        taken[i + 1] = taken[i] + (count if fan_out < 0 else min(count, fan_out))


@njit(cache=True, nogil=True)
def draw_places(rows, trees, tree_number, key, is_latest, first, allowed, taken, place):  # type: ignore[no-untyped-def]
    """Write the drawn places: all where they fit, else the latest or a uniform subset (Floyd).

    A subset depends on (key, number of the tree, node) alone. Cost: O(drawn).
    """
    table, owner = _claims(taken)
    for i in range(len(rows)):
        base, count = taken[i], taken[i + 1] - taken[i]
        if count == allowed[i] or is_latest:
            skipped = allowed[i] - count
            for j in range(count):
                place[base + j] = first[i] + skipped + j
            continue
        state = key_of(key, tree_number[trees[i]], rows[i])
        for j in range(count):
            last = allowed[i] - count + j
            state, pick = draw_below(state, last + 1)
            if count <= FEW:
                is_drawn = False
                for earlier in range(base, base + j):  # no early exit, so that it runs in parallel
                    is_drawn |= place[earlier] == first[i] + pick
            else:
                is_drawn = not _claim(table, owner, i, pick)
                if is_drawn:
                    _claim(table, owner, i, last)
            place[base + j] = first[i] + (last if is_drawn else pick)


@njit(cache=True, nogil=True, inline="always")
def _claims(taken):  # type: ignore[no-untyped-def]
    """An empty hash table for the widest draw."""
    widest = 0
    for i in range(len(taken) - 1):
        widest = max(widest, taken[i + 1] - taken[i])
    size = 8
    while size < 4 * widest and widest > FEW:
        size *= 2
    return np.empty(size, np.int64), np.full(size, -1, np.int64)


@njit(cache=True, nogil=True, inline="always")
def _claim(table, owner, turn, value):  # type: ignore[no-untyped-def]
    """False where this turn has drawn the value before; `owner` makes clearing needless."""
    mask = len(table) - 1
    slot = value & mask
    while owner[slot] == turn:
        if table[slot] == value:
            return False
        slot = (slot + 1) & mask
    owner[slot], table[slot] = turn, value
    return True


@njit(cache=True, nogil=True)
def places_of(indptr, time, neighbours, node, when, edge, place):  # type: ignore[no-untyped-def]
    """The place of each edge among the neighbours of its node. Cost: O(log degree) each.

    Within a node, places are sorted by (time, edge); a place is -1 where there is no such edge.
    """
    for i in range(len(edge)):
        low, high = np.int64(indptr[node[i]]), np.int64(indptr[node[i] + 1])
        low = first_at_or_after(time, low, high, when[i])
        high = first_at_or_after(time, low, high, when[i] + 1)
        found = first_at_or_after(neighbours[:, 1], low, high, edge[i])
        place[i] = found if found < high and neighbours[found, 1] == edge[i] else -1


@njit(cache=True, nogil=True)
def step_over_hidden(first, taken, hidden, place):  # type: ignore[no-untyped-def]
    """Turn ranks among the places that are not hidden into places.

    The r-th place of a node that is not hidden is `r + #{j : h_j - j <= r}`, h_0 < h_1 < ... the
    hidden places from the node's first on.
    """
    for i in range(len(first)):
        offset = first_at_or_after(hidden, 0, len(hidden), first[i])
        for j in range(taken[i], taken[i + 1]):
            low, high = offset, len(hidden)
            while low < high:
                middle = (low + high) // 2
                if hidden[middle] - (middle - offset) <= place[j]:
                    low = middle + 1
                else:
                    high = middle
            place[j] += low - offset


@njit(cache=True, nogil=True)
def read_places(neighbours, place, taken, offset, row, column, edge):  # type: ignore[no-untyped-def]
    """Read the drawn (node, edge) pairs; `column` is the place of the node they were drawn for.

    A loop of its own, because independent reads that miss the cache overlap.
    """
    for i in range(len(taken) - 1):
        for j in range(taken[i], taken[i + 1]):
            row[j], edge[j] = neighbours[place[j], 0], neighbours[place[j], 1]
            column[j] = offset + i


@njit(cache=True, nogil=True)
def number_nodes(table, node, tree, count, trees, taken, row):  # type: ignore[no-untyped-def]
    """Replace each row by its number among the nodes of the sample; returns their new count.

    `table` is an open hash table (a power of two of places) over the pairs of `node` and `tree`,
    in which new pairs are written from `count` on; `row[taken[i]:taken[i + 1]]` belongs to
    `trees[i]`. Cost: O(rows), one look-up each.
    """
    mask = len(table) - 1
    for i in range(len(trees)):
        owner = trees[i]
        for j in range(taken[i], taken[i + 1]):
            wanted = row[j]
            slot = _slot(wanted, owner) & mask
            known = table[slot]
            while known != FREE and (node[known] != wanted or tree[known] != owner):
                slot = (slot + 1) & mask
                known = table[slot]
            if known == FREE:
                table[slot], node[count], tree[count] = count, wanted, owner
                known = count
                count += 1
            row[j] = known
    return count


@njit(cache=True, nogil=True)
def refill(table, node, tree, count):  # type: ignore[no-untyped-def]
    """Put the first `count` nodes into an empty table, such as one that has grown."""
    mask = len(table) - 1
    for i in range(count):
        slot = _slot(node[i], tree[i]) & mask
        while table[slot] != FREE:
            slot = (slot + 1) & mask
        table[slot] = i


@njit(cache=True, nogil=True, inline="always")
def _slot(row, owner):  # type: ignore[no-untyped-def]
    return np.int64(mix(np.uint64(row) * GAMMA + np.uint64(owner)) >> np.uint64(1))
