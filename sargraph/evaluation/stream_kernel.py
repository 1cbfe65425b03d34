"""One pass over a row of scores: what beats the target, what ties with it, and the k best."""

from __future__ import annotations

import numpy as np
from numba import njit

_TILE, _STRIP = 512, 32
"""Scores counted at once, and looked at one by one where some may be among the best: few enough to
stay in the first cache and to be exact in float32.
"""


@njit(cache=True, nogil=True)
def rank_rows(scores, items, places, targets, gone, gone_offsets, salts, counts, top):  # type: ignore[no-untyped-def]
    """Fill `counts` int64 [n, 4] (better, tied, count, NaN) and `top` int64 [n, k] (items, -1).

    `scores` float [n, c], column j holds `items[j]` and item i stands in column `places[i]`;
    `targets` and the distinct `gone` items of each row (ascending) are items. A gone item is no
    candidate, the target always is one. NaN counts as better than the target; neither NaN nor -inf
    is ever among the best. Ties among the best are broken by a hash of the row's salt and the
    item: a fair draw for each row, whatever the numbering of the items and the blocks.
    Cost: O(n c), no temporary but k cells.
    """
    k = top.shape[1]
    best, keys = np.empty(k, scores.dtype), np.empty(k, np.uint64)
    for r in range(len(scores)):
        row = scores[r]
        target = row[places[targets[r]]]
        out = gone[gone_offsets[r] : gone_offsets[r + 1]]
        best[:], keys[:] = -np.inf, np.uint64(0)
        above, equal, broken = 0, 0, 0
        for start in range(0, len(row), _TILE):
            stop = min(start + _TILE, len(row))
            a, e, b, hot = _count(row[start:stop], target, best[k - 1])
            above, equal, broken = above + int(a), equal + int(e), broken + int(b)
            if hot > 0:
                _keep_best(row, items, start, stop, targets[r], out, salts[r], best, keys, top[r])
        count = len(row)
        for item in out:
            if item != targets[r]:
                score = row[places[item]]
                count -= 1
                above -= score > target
                equal -= score == target
                broken -= score != score
        counts[r, 2], counts[r, 3] = count, broken
        if target == target:
            counts[r, 0], counts[r, 1] = above + broken, equal - 1
        else:  # a NaN target comes last
            counts[r, 0], counts[r, 1] = count - 1, 0


@njit(cache=True, nogil=True, fastmath={"reassoc"})
def _count(row, target, least):  # type: ignore[no-untyped-def]
    """Scores above the target, equal to it, NaN, and not below `least`: counted in float32, which
    runs eight at a time.
    """
    one, none = np.float32(1), np.float32(0)
    above, equal, broken, hot = none, none, none, none
    for c in range(len(row)):
        score = row[c]
        above += one if score > target else none
        equal += one if score == target else none
        broken += one if score != score else none
        hot += one if score >= least else none
    return above, equal, broken, hot


@njit(cache=True, nogil=True)
def _keep_best(row, items, start, stop, target, out, salt, best, keys, top):  # type: ignore[no-untyped-def]
    """Insert the scores of row[start:stop] into the best so far, kept in falling order."""
    for first in range(start, stop, _STRIP):
        end = min(first + _STRIP, stop)
        if _num_hot(row[first:end], best[-1]) > 0:
            _insert(row, items, first, end, target, out, salt, best, keys, top)


@njit(cache=True, nogil=True, fastmath={"reassoc"})
def _num_hot(row, least):  # type: ignore[no-untyped-def]
    """Scores not below `least`."""
    one, none = np.float32(1), np.float32(0)
    hot = none
    for c in range(len(row)):
        hot += one if row[c] >= least else none
    return hot


@njit(cache=True, nogil=True)
def _insert(row, items, start, stop, target, out, salt, best, keys, top):  # type: ignore[no-untyped-def]
    last = len(best) - 1
    for c in range(start, stop):
        score = row[c]
        if not (score >= best[last] and score > -np.inf):
            continue
        key = _key(salt, items[c])
        if score == best[last] and key >= keys[last]:
            continue
        if items[c] != target and _is_in(out, items[c]):
            continue
        place = last
        while place > 0 and (
            score > best[place - 1] or (score == best[place - 1] and key < keys[place - 1])
        ):
            best[place], keys[place] = best[place - 1], keys[place - 1]
            top[place] = top[place - 1]
            place -= 1
        best[place], keys[place], top[place] = score, key, items[c]


@njit(cache=True, nogil=True, inline="always")
def _key(salt, item):  # type: ignore[no-untyped-def]
    """A well mixed 64-bit number of the pair (the finaliser of SplitMix64, Steele et al. 2014)."""
    z = salt + np.uint64(item) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True, inline="always")
def _is_in(values, value):  # type: ignore[no-untyped-def]
    place = np.searchsorted(values, value)
    return place < len(values) and values[place] == value
