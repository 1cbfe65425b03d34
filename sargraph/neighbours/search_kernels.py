"""Compiled search in an inverted index: adding up postings, keeping candidates, scoring them.

An accumulator is 4 bytes: the number of entries in common (low bits) under the score so far, so
that shrinkage by support costs no second array, and those of one segment of users stay in the
processor's cache. Scores there are whole numbers and a little off; how much is known, and whoever
may still be among the best is scored anew from the full weights, so the answer is exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from sargraph.neighbours.candidate_kernels import ROOM, drop_weak, scan, walk
from sargraph.neighbours.posting_kernels import SEGMENT, SEGMENT_BITS
from sargraph.neighbours.search_types import Lists, Probes, Rule, Scale, Users, Work

WALK = 4
"""With fewer than one posting per so many users a segment's postings are gone through again."""


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
        # Before anything is known of what is high a walk would take up everybody it meets.
        if work.state[1] > 0 and total * WALK < width:
            trigger = walk(
                entries, segment, excluded, factors, highest, scale, trigger,
                lists, users, rule, work,
            )  # fmt: skip
        else:
            trigger = scan(
                base, width, len(entries), excluded, factors, highest, scale, trigger,
                users, rule, work,
            )  # fmt: skip
    if work.state[0] > max(rule.k, rule.num_rescored):
        drop_weak(highest, scale, rule, work)


@njit(cache=True, nogil=True)
def _scale_of(entries: Any, values: Any, factors: Any, lists: Lists, rule: Rule) -> Scale:
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
    return Scale(count_bits, unit, slack)


@njit(cache=True, nogil=True)
def _add_entries(
    entries: Any, multipliers: Any, segment: int, count_bits: Any,
    lists: Lists, rule: Rule, work: Work,
) -> int:  # fmt: skip
    """Add all postings of one segment to the accumulators; returns how many there were."""
    total, sums, packed = 0, work.sums, lists.packed
    heads, tails, is_whole = lists.head, lists.tail, rule.num_rescored == 0
    for place in range(len(entries)):
        entry, multiplier = entries[place], multipliers[place]
        low, high = heads[entry, segment], heads[entry, segment + 1]
        if is_whole:
            tail, end = tails[entry, segment], tails[entry, segment + 1]
            if tail == high:  # a single segment, or a short list: one loop is enough
                high = end
            elif end > tail:
                _add(sums, packed, tail, end, multiplier, count_bits)
                total += end - tail
        _add(sums, packed, low, high, multiplier, count_bits)
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
def _rescore(entries: Any, values: Any, factors: Any, users: Users, rule: Rule, work: Work) -> None:
    """Similarities of the candidates from the full weights, in float64; duplicates negative."""
    # Taken out of their tuples before the loops, as in `candidate_kernels`.
    dense, offsets, of_user, weights = work.dense, users.offsets, users.entries, users.values
    fields, shrink, out_user, out_score = users.fields, rule.shrink, work.user, work.score
    for place in range(len(entries)):
        dense[entries[place]] = values[place]
    for place in range(int(work.state[0])):
        user = out_user[place]
        begin, end = offsets[user], offsets[user + 1]
        cosine, common = 0.0, 0
        for at in range(begin, end):
            weight = dense[of_user[at]]
            cosine += np.float64(weight) * np.float64(weights[at])
            common += weight > 0
        similarity = cosine * factors[fields[user]] * shrink[common]
        if common > rule.max_jaccard * (len(entries) + end - begin - common):
            similarity = -similarity
        out_score[place] = similarity
    for place in range(len(entries)):
        dense[entries[place]] = 0


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
