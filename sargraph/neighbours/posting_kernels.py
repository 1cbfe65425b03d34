"""Compiled loops that make an inverted index: counting, packing and ordering postings.

A posting is 4 bytes: the user's place in its segment of 65,536 (low 16 bits) and the weight of
the entry (high 16 bits). Within an entry the heaviest postings, its head, stand before the others,
its tail; both are sorted by user, so that a search goes through one segment of users at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

SEGMENT_BITS = 16
SEGMENT = 1 << SEGMENT_BITS
HIGHEST = (1 << 16) - 1
"""The weight of a posting that has the largest weight of all."""


@njit(cache=True, nogil=True)
def count_postings(offsets: Any, entries: Any, counts: Any) -> None:
    """Add up `counts` [entries, segments]: the users of each segment that have each entry."""
    for user in range(len(offsets) - 1):
        segment = user >> SEGMENT_BITS
        for place in range(offsets[user], offsets[user + 1]):
            counts[entries[place], segment] += 1


@njit(cache=True, nogil=True)
def fill_postings(
    offsets: Any, entries: Any, values: Any, scale: float, free: Any, packed: Any
) -> None:
    """Write every posting at the next free place of its entry and segment.

    Users come in rising order, so that the postings of an entry are sorted by user.
    """
    for user in range(len(offsets) - 1):
        segment, local = user >> SEGMENT_BITS, np.uint32(user & (SEGMENT - 1))
        for place in range(offsets[user], offsets[user + 1]):
            entry = entries[place]
            weight = np.uint32(values[place] * scale + 0.5)
            packed[free[entry, segment]] = (weight << np.uint32(16)) | local
            free[entry, segment] += 1


@njit(cache=True, nogil=True)
def split_heads(packed: Any, starts: Any, limit: int, head: Any, tail: Any) -> None:
    """Put the `limit` heaviest postings of each entry before its others, both sorted by user.

    `starts` [entries, segments + 1] bounds the postings of each entry and segment; `head` and
    `tail`, of the same shape, receive the bounds after the move. Ties go to the lower user.
    """
    last = starts.shape[1] - 1
    spare = np.empty(0, np.uint32)
    for entry in range(starts.shape[0]):
        begin, end = starts[entry, 0], starts[entry, last]
        if end - begin <= limit:
            head[entry] = starts[entry]
            tail[entry] = end
            continue
        if len(spare) < end - begin:
            spare = np.empty(end - begin, np.uint32)
        least, num_ties = _least_of_head(packed[begin:end], limit)
        _split(packed, starts[entry], least, num_ties, spare, head[entry], tail[entry])


@njit(cache=True, nogil=True)
def _least_of_head(postings: Any, limit: int) -> Any:
    """The lightest weight among the `limit` heaviest, and how many of that weight are with them."""
    weights = postings >> np.uint32(16)
    least = np.partition(weights, len(weights) - limit)[len(weights) - limit]
    return least, limit - np.sum(weights > least)


@njit(cache=True, nogil=True)
def _split(
    packed: Any, starts: Any, least: Any, num_ties: int, spare: Any, head: Any, tail: Any
) -> None:
    """Move the postings of one entry apart; the tail waits in `spare` until the head is done."""
    last = len(starts) - 1
    kept, rest = starts[0], 0
    for segment in range(last):
        head[segment], tail[segment] = kept, rest
        for place in range(starts[segment], starts[segment + 1]):
            weight = packed[place] >> np.uint32(16)
            is_tie = weight == least and num_ties > 0
            num_ties -= is_tie
            if weight > least or is_tie:
                packed[kept] = packed[place]
                kept += 1
            else:
                spare[rest] = packed[place]
                rest += 1
    head[last], tail[last] = kept, rest
    packed[kept : starts[last]] = spare[:rest]
    tail += kept
