"""The compiled steps of neighbour sampling: what may be drawn, what is drawn, who is new."""

from __future__ import annotations

import numpy as np
from numba import njit

from sargraph.graph.counter import GAMMA, key_of, mix
from sargraph.graph.csr import first_at_or_after
from sargraph.graph.distinct import claim_table, draw_distinct

FREE = -1
"""An empty place of a node table."""


@njit(cache=True, nogil=True)
def count_allowed(indptr, time, hidden, rows, trees, tree_time, fan_out, first, allowed, taken):  # type: ignore[no-untyped-def]
    """For each node of a frontier: first place, allowed neighbours, and how many will be drawn.

    Allowed are the background edges and those strictly before the tree's time, less the `hidden`
    places (ascending). `taken[i + 1]` counts what nodes 0..i draw. Cost: O(log degree) per node.
    """
    background = np.iinfo(np.int64).min + 1
    for i in range(len(rows)):
        first[i], allowed[i] = indptr[rows[i]], indptr[rows[i] + 1]
    for i in range(len(rows)):  # reads that miss the cache overlap here, and hit it below
        taken[i + 1] = time[min((first[i] + allowed[i]) // 2, len(time) - 1)] if len(time) else 0
    taken[0] = 0
    for i in range(len(rows)):
        limit = max(tree_time[trees[i]], background)
        high = first_at_or_after(time, first[i], allowed[i], limit)
        count = high - first[i]
        if len(hidden) > 0:
            count -= first_at_or_after(hidden, 0, len(hidden), high)
            count += first_at_or_after(hidden, 0, len(hidden), first[i])
        allowed[i] = count
        taken[i + 1] = taken[i] + (count if fan_out < 0 else min(count, fan_out))


@njit(cache=True, nogil=True)
def draw_places(rows, trees, tree_number, key, is_latest, first, allowed, taken, place):  # type: ignore[no-untyped-def]
    """Write the drawn places: all where they fit, else the latest or a uniform subset (Floyd).

    A subset depends on (key, number of the tree, node) alone. Cost: O(drawn).
    """
    values, turns = claim_table(0 if is_latest else widest_draw(allowed, taken))
    for i in range(len(rows)):
        base, count = taken[i], taken[i + 1] - taken[i]
        if count == allowed[i] or is_latest:
            for j in range(count):
                place[base + j] = allowed[i] - count + j
        else:
            state = key_of(key, tree_number[trees[i]], rows[i])
            draw_distinct(place, base, count, allowed[i], state, values, turns, i)
        for j in range(base, base + count):
            place[j] += first[i]


@njit(cache=True, nogil=True)
def widest_draw(allowed, taken):  # type: ignore[no-untyped-def]
    """The most neighbours that a node draws; one that takes all it may draws none."""
    widest = 0
    for i in range(len(allowed)):
        count = taken[i + 1] - taken[i]
        if count < allowed[i]:
            widest = max(widest, count)
    return widest


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
def edges_joining(indptr, time, neighbours, node, other, upto, edge):  # type: ignore[no-untyped-def]
    """Count the edges before `upto` between `node` and `other`; write those `edge` has room for."""
    count = 0
    for i in range(len(node)):
        low, high = np.int64(indptr[node[i]]), np.int64(indptr[node[i] + 1])
        for place in range(low, first_at_or_after(time, low, high, upto[i])):
            if neighbours[place, 0] == other[i]:
                if count < len(edge):
                    edge[count] = neighbours[place, 1]
                count += 1
    return count


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

    The reads are a flat loop of their own, so that those that miss the cache overlap.
    """
    for j in range(len(place)):
        row[j], edge[j] = neighbours[place[j], 0], neighbours[place[j], 1]
    for i in range(len(taken) - 1):
        for j in range(taken[i], taken[i + 1]):
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
