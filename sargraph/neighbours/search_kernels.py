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
WALK = 4
"""With fewer than one posting per so many users a segment's postings are gone through again."""
ROOM = 128
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
    trigger = ROOM + max(rule.k, rule.num_rescored)
    num_users = len(users.fields)
    for segment in range(lists.head.shape[1] - 1):
        total = _add_entries(entries, multipliers, segment, scale.count_bits, lists, rule, work)
        if total == 0:
            continue
        base = segment << SEGMENT_BITS
        width = min(SEGMENT, num_users - base)
        if total * WALK < width:
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
        if rule.num_rescored == 0:
            tail, end = lists.tail[entry, segment], lists.tail[entry, segment + 1]
            if tail == high:  # a single segment, or a short list: one loop is enough
                high = end
            elif end > tail:
                _add(work.sums, lists.packed, tail, end, multiplier, count_bits)
                total += end - tail
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
    """Look at the accumulators of a segment, take up the high ones and set all to zero.

    As long as nothing is known of what is high, those come first that are among the highest of
    their chunks: nearly all others are then too low to be looked at closely.
    """
    top = np.uint32(0xFFFFFFFF)
    num_kept = max(rule.k, rule.num_rescored)
    if work.state[1] == 0 and width > 2 * CHUNK * num_kept:
        high = _highest_chunks(work.sums[:width], num_kept)
        if high > 1:
            work.state[2] = high - 1
            _take_up(base, width, size, excluded, factors, highest, scale, width, top,
                     users, rule, work)  # fmt: skip
            work.state[2] = 0
            if work.state[0] >= num_kept:
                trigger = _drop_weak(highest, scale, rule, work)
            top = high - np.uint32(1)
    trigger = _take_up(base, width, size, excluded, factors, highest, scale, trigger, top,
                       users, rule, work)  # fmt: skip
    work.sums[:width] = 0
    return trigger


@njit(cache=True, nogil=True)
def _highest_chunks(sums: Any, num_kept: int) -> Any:
    """The highest accumulator of the chunk that is the `num_kept`-th by it."""
    most = np.zeros(-(-len(sums) // CHUNK), np.uint32)
    for chunk in range(len(most)):
        highest = np.uint32(0)
        for local in range(chunk * CHUNK, min((chunk + 1) * CHUNK, len(sums))):
            highest = max(highest, sums[local])
        most[chunk] = highest
    return np.partition(most, len(most) - num_kept)[len(most) - num_kept]


@njit(cache=True, nogil=True)
def _take_up(
    base: int, width: int, size: int, excluded: int, factors: Any, highest: float,
    scale: _Scale, trigger: int, top: Any, users: Users, rule: Rule, work: Work,
) -> int:  # fmt: skip
    """Take up users whose accumulators are over the floor and at most `top`."""
    # Arrays are taken out of their tuples before the loop: compiled code counts references to
    # what it takes out.
    sums, out_user, out_score = work.sums, work.user, work.score
    fields, alive, offsets, shrink = users.fields, users.alive, users.offsets, rule.shrink
    found, least, floor = int(work.state[0]), work.state[1], np.uint32(work.state[2])
    for start in range(0, width, CHUNK):
        stop = min(start + CHUNK, width)
        most = np.uint32(0)
        for local in range(start, stop):
            most = max(most, sums[local])
        if most <= floor:
            continue
        for local in range(start, stop):
            if floor < sums[local] <= top:
                found = _offer(
                    base + local, sums[local], size, excluded, factors, shrink, rule.max_jaccard,
                    scale.count_bits, scale.unit, least, fields, alive, offsets,
                    out_user, out_score, found,
                )  # fmt: skip
        if found >= trigger:
            work.state[0] = found
            trigger = _drop_weak(highest, scale, rule, work)
            found, least, floor = int(work.state[0]), work.state[1], np.uint32(work.state[2])
    work.state[0] = found
    return trigger


@njit(cache=True, nogil=True)
def _walk(
    entries: Any, segment: int, excluded: int, factors: Any, highest: float, scale: _Scale,
    trigger: int, lists: Lists, users: Users, rule: Rule, work: Work,
) -> int:  # fmt: skip
    """As `_scan`, by way of the postings: few accumulators of this segment are not zero."""
    sums, out_user, out_score, packed = work.sums, work.user, work.score, lists.packed
    fields, alive, offsets, shrink = users.fields, users.alive, users.offsets, rule.shrink
    found, least, floor = int(work.state[0]), work.state[1], np.uint32(work.state[2])
    for entry in entries:
        for part in range(1 if rule.num_rescored else 2):
            bounds = lists.tail if part else lists.head
            for place in range(bounds[entry, segment], bounds[entry, segment + 1]):
                local = np.int64(packed[place] & np.uint32(SEGMENT - 1))
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
                trigger = _drop_weak(highest, scale, rule, work)
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
    return ROOM + max(kept, num_kept)


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
