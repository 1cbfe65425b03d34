"""Compiled loops that take up whoever may be among the best of a segment of users."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from sargraph.neighbours.posting_kernels import SEGMENT, SEGMENT_BITS
from sargraph.neighbours.search_types import Lists, Rule, Scale, Users, Work

CHUNK = 64
"""Accumulators that are looked at together; mostly none of them is high enough."""
ROOM = 128
"""Candidates beyond those asked for that are gathered before the weak ones are dropped."""


@njit(cache=True, nogil=True)
def scan(
    base: int, width: int, size: int, excluded: int, factors: Any, highest: float,
    scale: Scale, trigger: int, users: Users, rule: Rule, work: Work,
) -> int:  # fmt: skip
    """Look at the accumulators of a segment, take up the high ones and set all to zero.

    As long as nothing is known of what is high, those come first that are among the highest of
    their chunks: nearly all others are then too low to be looked at closely.
    """
    top = np.uint32(0xFFFFFFFF)
    num_kept = max(rule.k, rule.num_rescored)
    most = _most_of_chunks(work.sums[:width])
    if work.state[1] == 0 and width > 2 * CHUNK * num_kept:
        high = np.partition(most, len(most) - num_kept)[len(most) - num_kept]
        if high > 1:
            work.state[2] = high - 1
            _take_up(base, width, size, excluded, factors, highest, scale, width, top,
                     most, users, rule, work)  # fmt: skip
            work.state[2] = 0
            if work.state[0] >= num_kept:
                trigger = drop_weak(highest, scale, rule, work)
            top = high - np.uint32(1)
    trigger = _take_up(base, width, size, excluded, factors, highest, scale, trigger, top,
                       most, users, rule, work)  # fmt: skip
    work.sums[:width] = 0
    return trigger


@njit(cache=True, nogil=True)
def _most_of_chunks(sums: Any) -> Any:
    """The highest accumulator of each chunk, by a loop that the compiler makes vectors of."""
    most = np.zeros(-(-len(sums) // CHUNK), np.uint32)
    for chunk in range(len(most)):
        highest = np.uint32(0)
        for value in sums[chunk * CHUNK : (chunk + 1) * CHUNK]:
            highest = max(highest, value)
        most[chunk] = highest
    return most


@njit(cache=True, nogil=True)
def _take_up(
    base: int, width: int, size: int, excluded: int, factors: Any, highest: float,
    scale: Scale, trigger: int, top: Any, most: Any, users: Users, rule: Rule, work: Work,
) -> int:  # fmt: skip
    """Take up users whose accumulators are over the floor and at most `top`."""
    # Arrays are taken out of their tuples before the loop: compiled code counts references to
    # what it takes out.
    sums, out_user, out_score = work.sums, work.user, work.score
    fields, alive, offsets, shrink = users.fields, users.alive, users.offsets, rule.shrink
    found, least, floor = int(work.state[0]), work.state[1], np.uint32(work.state[2])
    for chunk in range(len(most)):
        if most[chunk] <= floor:
            continue
        start = chunk * CHUNK
        for local in range(start, min(start + CHUNK, width)):
            if floor < sums[local] <= top:
                found = _offer(
                    base + local, sums[local], size, excluded, factors, shrink, rule.max_jaccard,
                    scale.count_bits, scale.unit, least, fields, alive, offsets,
                    out_user, out_score, found,
                )  # fmt: skip
        if found >= trigger:
            work.state[0] = found
            trigger = drop_weak(highest, scale, rule, work)
            found, least, floor = int(work.state[0]), work.state[1], np.uint32(work.state[2])
    work.state[0] = found
    return trigger


@njit(cache=True, nogil=True)
def walk(
    entries: Any, segment: int, excluded: int, factors: Any, highest: float, scale: Scale,
    trigger: int, lists: Lists, users: Users, rule: Rule, work: Work,
) -> int:  # fmt: skip
    """As `scan`, by way of the postings: few accumulators of this segment are not zero."""
    sums, out_user, out_score, packed = work.sums, work.user, work.score, lists.packed
    fields, alive, offsets, shrink = users.fields, users.alive, users.offsets, rule.shrink
    found, least, floor = int(work.state[0]), work.state[1], np.uint32(work.state[2])
    for entry in entries:
        for part in range(1 if rule.num_rescored else 2):
            bounds = lists.tail if part else lists.head
            for place in range(bounds[entry, segment], bounds[entry, segment + 1]):
                local = int(packed[place] & np.uint32(SEGMENT - 1))
                value = sums[local]
                sums[local] = 0
                if value > floor:
                    found = _offer(
                        (segment << SEGMENT_BITS) + local, value, len(entries), excluded, factors,
                        shrink, rule.max_jaccard, scale.count_bits, scale.unit, least,
                        fields, alive, offsets, out_user, out_score, found,
                    )  # fmt: skip
            if found >= trigger:
                work.state[0] = found
                trigger = drop_weak(highest, scale, rule, work)
                found, least, floor = int(work.state[0]), work.state[1], np.uint32(work.state[2])
    work.state[0] = found
    return trigger


@njit(cache=True, nogil=True)
def _offer(
    user: int, value: Any, size: int, excluded: int, factors: Any, shrink: Any,
    max_jaccard: float, count_bits: Any, unit: float, least: float,
    fields: Any, alive: Any, offsets: Any, out_user: Any, out_score: Any, found: int,
) -> int:  # fmt: skip
    """Take up a user whose similarity may be high enough; a duplicate's is kept negative."""
    common = value & ((np.uint32(1) << count_bits) - np.uint32(1))
    score = (value >> count_bits) / unit * factors[fields[user]] * shrink[common]
    if score < least or user == excluded or not alive[user]:
        return found
    theirs = offsets[user + 1] - offsets[user]
    if common > max_jaccard * (size + theirs - common):
        score = -score
    out_user[found], out_score[found] = user, score
    return found + 1


@njit(cache=True, nogil=True)
def drop_weak(highest: float, scale: Scale, rule: Rule, work: Work) -> int:
    """Forget whoever cannot be among the best any more; returns when to do it again."""
    num_found, num_kept = int(work.state[0]), max(rule.k, rule.num_rescored)
    best = np.partition(work.score[:num_found], num_found - num_kept)[num_found - num_kept]
    work.state[1] = max(work.state[1], best - scale.slack)
    least = max(work.state[1] / highest - 1, 0.0)
    work.state[2] = np.int64(least) << np.int64(scale.count_bits)
    kept = 0
    for place in range(num_found):
        if abs(work.score[place]) >= work.state[1]:
            work.user[kept], work.score[kept] = work.user[place], work.score[place]
            kept += 1
    work.state[0] = kept
    return ROOM + max(kept, num_kept)
