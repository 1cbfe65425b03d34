"""Compiled search in an inverted index: adding up postings, keeping candidates, scoring them.

An accumulator is 4 bytes: the number of entries in common (low bits) under the score so far, so
that shrinkage by support costs no second array, and those of one segment of users stay in the
processor's cache. Scores there are whole numbers and a little off; how much is known, and whoever
may still be among the best is scored anew from the full weights, so the answer is exact.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from sargraph.neighbours.posting_kernels import SEGMENT, SEGMENT_BITS

CHUNK = 64
"""Accumulators that are looked at together; mostly none of them is high enough."""
WALK_BELOW = SEGMENT // 4
"""With fewer postings in a segment these are gone through again in place of all accumulators."""
ROOM = 192
"""Candidates beyond those asked for that are gathered before the weak ones are dropped."""


class Lists(NamedTuple):
    """Postings uint32, the bounds of heads and tails int32 [entries, segments + 1], their scale."""

    packed: Any
    head: Any
    tail: Any
    scale: float


class Users(NamedTuple):
    """Weights of each user (CSR: int64, int32, float32), which fields it has, whether it is there.

    `fields` uint8 [users], a bit per field that is not empty; `alive` bool [users].
    """

    offsets: Any
    entries: Any
    values: Any
    fields: Any
    alive: Any


class Rule(NamedTuple):
    """How scores become similarities, and how many are asked for.

    `factors` float64 [masks, masks]: what a product counts given the fields of both users;
    `shrink` float64 [largest probe + 1]: the factor of each number of common entries. Whoever has
    a Jaccard index above `max_jaccard` is a duplicate. With `num_rescored` > 0 only heads are
    read, and so many of the best are scored anew; with 0 everything is read.
    """

    factors: Any
    shrink: Any
    max_jaccard: float
    k: int
    num_rescored: int


class Probes(NamedTuple):
    """The users to search for: CSR weights, field masks, and whom each must not find (-1: none)."""

    offsets: Any
    entries: Any
    values: Any
    fields: Any
    excluded: Any


class Work(NamedTuple):
    """Memory that a search writes to: accumulators, weights by entry, and the candidates so far.

    `sums` uint32 [segment], `dense` float32 [entries], both all zero between two probes; `user`
    int64 [users], `score` float64 [users]; `state` float64 [3]: how many candidates there are, the
    score they must reach, and the same as an accumulator.
    """

    sums: Any
    dense: Any
    user: Any
    score: Any
    state: Any


class _Scale(NamedTuple):
    """Of one probe: bits of the count, what score 1 is as an integer, and what it may be off by."""

    count_bits: Any
    unit: float
    slack: float


@njit(cache=True, nogil=True)
def search_all(
    probes: Probes, lists: Lists, users: Users, rule: Rule, work: Work,
    rows: Any, scores: Any, num_duplicates: Any,
) -> None:  # fmt: skip
    """The k best users of every probe, best first, into `rows` and `scores` [probes, k].

    `num_duplicates` int64 [probes] counts the duplicates that are as similar as the last of them.
    """
    for probe in range(len(probes.offsets) - 1):
        inside = slice(probes.offsets[probe], probes.offsets[probe + 1])
        entries, values = probes.entries[inside], probes.values[inside]
        if len(entries):
            factors = rule.factors[probes.fields[probe]]
            excluded = probes.excluded[probe]
            _gather(entries, values, factors, excluded, lists, users, rule, work)
            _rescore(entries, values, factors, users, rule, work)
            num_duplicates[probe] = _rank(int(work.state[0]), work, rows[probe], scores[probe])


@njit(cache=True, nogil=True)
def _gather(
    entries: Any, values: Any, factors: Any, excluded: int,
    lists: Lists, users: Users, rule: Rule, work: Work,
) -> None:  # fmt: skip
    """Leave in `work` all users who may be among the best, with nearly their similarities."""
    scale = _scale_of(entries, values, factors, lists, rule)
    highest = factors.max() * rule.shrink[len(entries)] / scale.unit
    multipliers = (values / lists.scale * scale.unit * 4294967296.0).astype(np.uint64)
    work.state[:] = 0
    trigger = ROOM + 2 * max(rule.k, rule.num_rescored)
    num_users = len(users.fields)
    for segment in range(lists.head.shape[1] - 1):
        total = _add_entries(entries, multipliers, segment, scale.count_bits, lists, rule, work)
        if total == 0:
            continue
        base = segment << SEGMENT_BITS
        width = min(SEGMENT, num_users - base)
        if total < min(WALK_BELOW, width):
            trigger = _walk(
                entries, segment, excluded, factors, highest, scale, trigger,
                lists, users, rule, work,
            )  # fmt: skip
        else:
            trigger = _scan(
                base, width, len(entries), excluded, factors, highest, scale, trigger,
                users, rule, work,
            )  # fmt: skip
    if work.state[0] > max(rule.k, rule.num_rescored):
        _drop_weak(highest, scale, rule, work)


@njit(cache=True, nogil=True)
def _scale_of(entries: Any, values: Any, factors: Any, lists: Lists, rule: Rule) -> _Scale:
    """Give the count just the bits it needs and the score the others.

    A posting's weight is off by half a step at most, a product by one step of the accumulator.
    With reading of heads alone nothing is known of the rest, and no slack would help.
    """
    size = len(entries)
    count_bits = np.uint32(6)
    while size >= (1 << count_bits):
        count_bits += np.uint32(1)
    rounding = values.sum() / lists.scale / 2
    room = float((1 << (32 - np.int64(count_bits))) - size - 2)
    unit = room / (1 + rounding + 1e-5)
    slack = 0.0 if rule.num_rescored else 2 * factors.max() * (rounding + size / unit + 1e-6)
    return _Scale(count_bits, unit, slack)


@njit(cache=True, nogil=True)
def _add_entries(
    entries: Any, multipliers: Any, segment: int, count_bits: Any,
    lists: Lists, rule: Rule, work: Work,
) -> int:  # fmt: skip
    """Add all postings of one segment to the accumulators; returns how many there were."""
    total = 0
    for place in range(len(entries)):
        entry, multiplier = entries[place], multipliers[place]
        low, high = lists.head[entry, segment], lists.head[entry, segment + 1]
        _add(work.sums, lists.packed, low, high, multiplier, count_bits)
        total += high - low
        if rule.num_rescored == 0:
            low, high = lists.tail[entry, segment], lists.tail[entry, segment + 1]
            _add(work.sums, lists.packed, low, high, multiplier, count_bits)
            total += high - low
    return total


@njit(cache=True, nogil=True)
def _add(sums: Any, packed: Any, low: int, high: int, multiplier: Any, count_bits: Any) -> None:
    one = np.uint32(1)
    for place in range(low, high):
        posting = packed[place]
        share = np.uint32((multiplier * np.uint64(posting >> np.uint32(16))) >> np.uint64(32))
        sums[posting & np.uint32(SEGMENT - 1)] += (share << count_bits) | one


@njit(cache=True, nogil=True)
def _scan(
    base: int, width: int, size: int, excluded: int, factors: Any, highest: float,
    scale: _Scale, trigger: int, users: Users, rule: Rule, work: Work,
) -> int:  # fmt: skip
    """Look at the accumulators of a segment, take up the high ones and set all to zero."""
    sums = work.sums
    for start in range(0, width, CHUNK):
        stop = min(start + CHUNK, width)
        most = np.uint32(0)
        for local in range(start, stop):
            most = max(most, sums[local])
        if most <= work.state[2]:
            continue
        for local in range(start, stop):
            if sums[local] > work.state[2]:
                user = base + local
                _offer(user, sums[local], size, excluded, factors, scale, users, rule, work)
        if work.state[0] >= trigger:
            trigger = _drop_weak(highest, scale, rule, work)
    sums[:width] = 0
    return trigger


@njit(cache=True, nogil=True)
def _walk(
    entries: Any, segment: int, excluded: int, factors: Any, highest: float, scale: _Scale,
    trigger: int, lists: Lists, users: Users, rule: Rule, work: Work,
) -> int:  # fmt: skip
    """As `_scan`, by way of the postings: few accumulators of this segment are not zero."""
    sums, base = work.sums, segment << SEGMENT_BITS
    for entry in entries:
        for part in range(1 if rule.num_rescored else 2):
            bounds = lists.tail if part else lists.head
            for place in range(bounds[entry, segment], bounds[entry, segment + 1]):
                local = lists.packed[place] & np.uint32(SEGMENT - 1)
                value = sums[local]
                sums[local] = 0
                if value > work.state[2]:
                    user = base + np.int64(local)
                    _offer(user, value, len(entries), excluded, factors, scale, users, rule, work)
                    if work.state[0] >= trigger:
                        trigger = _drop_weak(highest, scale, rule, work)
    return trigger


@njit(cache=True, nogil=True)
def _offer(
    user: int, value: Any, size: int, excluded: int, factors: Any,
    scale: _Scale, users: Users, rule: Rule, work: Work,
) -> None:  # fmt: skip
    """Take up a user whose similarity may be high enough; a duplicate's is kept negative."""
    common = value & ((np.uint32(1) << scale.count_bits) - np.uint32(1))
    cosine = (value >> scale.count_bits) / scale.unit * factors[users.fields[user]]
    score = cosine * rule.shrink[common]
    if score >= work.state[1] and user != excluded and users.alive[user]:
        theirs = users.offsets[user + 1] - users.offsets[user]
        if common > rule.max_jaccard * (size + theirs - common):
            score = -score
        place = int(work.state[0])
        work.user[place], work.score[place] = user, score
        work.state[0] += 1


@njit(cache=True, nogil=True)
def _drop_weak(highest: float, scale: _Scale, rule: Rule, work: Work) -> int:
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
    return ROOM + 2 * max(kept, num_kept)


@njit(cache=True, nogil=True)
def _rescore(entries: Any, values: Any, factors: Any, users: Users, rule: Rule, work: Work) -> None:
    """Similarities of the candidates from the full weights, in float64; duplicates negative."""
    for place in range(len(entries)):
        work.dense[entries[place]] = values[place]
    for place in range(int(work.state[0])):
        user = work.user[place]
        begin, end = users.offsets[user], users.offsets[user + 1]
        cosine, common = 0.0, 0
        for at in range(begin, end):
            weight = work.dense[users.entries[at]]
            cosine += np.float64(weight) * np.float64(users.values[at])
            common += weight > 0
        similarity = cosine * factors[users.fields[user]] * rule.shrink[common]
        if common > rule.max_jaccard * (len(entries) + end - begin - common):
            similarity = -similarity
        work.score[place] = similarity
    for place in range(len(entries)):
        work.dense[entries[place]] = 0


@njit(cache=True, nogil=True)
def _rank(num_found: int, work: Work, rows: Any, scores: Any) -> int:
    """Write the best, ties by user; returns the duplicates at least as similar as the last one."""
    by_user = np.argsort(work.user[:num_found])
    order = by_user[np.argsort(-work.score[:num_found][by_user], kind="mergesort")]
    kept = 0
    for place in order[: len(rows)]:
        if work.score[place] > 0:
            rows[kept], scores[kept] = work.user[place], work.score[place]
            kept += 1
    least = scores[kept - 1] if kept == len(rows) else 0.0
    num_duplicates = 0
    for place in range(num_found):
        num_duplicates += work.score[place] < 0 and -work.score[place] >= least
    return num_duplicates
