"""Compiled loops of the neighbours of sessions: find, choose, and add up what they hold."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from sargraph.core.types import NO_ROW, NO_TIME, BoolArray, DoubleArray, IntArray

_NO_TIME, _NO_ROW = int(NO_TIME), int(NO_ROW)


class Stored(NamedTuple):
    """The sessions that may be neighbours, and for each item the sessions that hold it.

    Session n holds events a:b = offsets[n:n + 2] of `items` and `times` [events], oldest first;
    `distinct` [events] counts its different items up to each event, `user` [sessions] is whose it
    is. Item i stands in the sessions `holders` a:b = starts[i:i + 2], from the time `since` on,
    which rises within an item. `begins` [sessions] holds the first times of all, rising. All int64.
    """

    offsets: IntArray
    items: IntArray
    times: IntArray
    distinct: IntArray
    user: IntArray
    starts: IntArray
    holders: IntArray
    since: IntArray
    begins: IntArray


class Probes(NamedTuple):
    """What is asked: the session of each request, its different items newest first.

    Request r asks with a:b = offsets[r:r + 2] of `items` int64, of `weights` (of a shared item in
    the similarity) and of `leads` (of a neighbour whose latest shared item it is), float64.
    `scale` float64 [n] multiplies all similarities, `time` is that of the newest event (NO_TIME =
    none), and only events before `as_of` of other users than `user` are read, int64 [n].
    """

    offsets: IntArray
    items: IntArray
    weights: DoubleArray
    leads: DoubleArray
    scale: DoubleArray
    time: IntArray
    as_of: IntArray
    user: IntArray


class Rule(NamedTuple):
    """How neighbours are chosen and what they say.

    The `k` most similar of the `max_sessions` most recent (0 = of all); `by_length`: similarities
    are divided by sqrt|n|; `time_decay` in the unit of times (inf = no factor of time);
    `by_distance` float64 [longest session]: the weight of an item so many places from the latest
    shared one; `idf_weight`: how much rarer items count more.
    """

    k: int
    max_sessions: int
    by_length: bool
    time_decay: float
    by_distance: DoubleArray
    idf_weight: float


class Cells(NamedTuple):
    """Room to work in: what one request asks with and gets, per item [items]; all clean between.

    `is_shared` bool: an item of the probe; `totals` float64: scores so far; `read_by` int64: the
    number of the neighbour that named the item last, `touched` int64: the items that any named.
    """

    is_shared: BoolArray
    totals: DoubleArray
    read_by: IntArray
    touched: IntArray


@njit(cache=True, nogil=True)
def score_sessions(probes: Any, stored: Any, rule: Any, candidates: Any, scores: Any) -> None:
    """Fill `scores` float32 [n, c] for `candidates` int64 [n, c], or [1, c] that all share.

    Cost per request: the sessions that hold an item of the probe, a sort of those, the events of
    k of them, and c. Memory: some cells for each session and each item.
    """
    size, num_items = len(stored.user), len(stored.starts) - 1
    found, newest, sums = np.empty(size, np.int64), np.full(size, _NO_ROW), np.zeros(size)
    none, empty = np.zeros(num_items, np.int64), np.empty(num_items, np.int64)
    cells = Cells(np.zeros(num_items, np.bool_), np.zeros(num_items), none, empty)
    num_read = 0
    for r in range(len(scores)):
        asked = probes.items[probes.offsets[r] : probes.offsets[r + 1]]
        cells.is_shared[asked] = True
        count = _find(probes, stored, r, found, newest, sums)
        near, similarity = _nearest(probes, stored, rule, r, found[:count], sums)
        before, num_touched = num_read, 0
        for place in range(len(near)):
            num_read += 1
            weight = similarity[place] * probes.leads[newest[near[place]]]
            stop = _end(stored, near[place], probes.as_of[r])
            places = (stored.offsets[near[place]], stop)
            reads = (before, num_read)
            num_touched = _add(stored.items, places, weight, rule, reads, cells, num_touched)
        touched = cells.touched[:num_touched]
        if rule.idf_weight > 0:
            _favour_rare(stored, rule.idf_weight, probes.as_of[r], touched, cells.totals)
        row = candidates[r if len(candidates) > 1 else 0]
        for column in range(len(row)):
            scores[r, column] = cells.totals[row[column]] if row[column] != _NO_ROW else -np.inf
        cells.is_shared[asked] = False
        cells.totals[touched] = 0.0
        sums[found[:count]], newest[found[:count]] = 0.0, _NO_ROW


@njit(cache=True, nogil=True)
def _find(probes: Any, stored: Any, r: int, found: Any, newest: Any, sums: Any) -> int:
    """List the sessions of other users that held an item of the probe before `as_of`.

    Adds the weights of the shared items to `sums`, sets `newest` to the place of the latest one.
    """
    count = 0
    for place in range(probes.offsets[r], probes.offsets[r + 1]):
        item = probes.items[place]
        for posting in range(stored.starts[item], stored.starts[item + 1]):
            if stored.since[posting] >= probes.as_of[r]:
                break
            session = stored.holders[posting]
            if stored.user[session] == probes.user[r]:
                continue
            if newest[session] == _NO_ROW:  # items come newest first
                newest[session] = place
                found[count] = session
                count += 1
            sums[session] += probes.weights[place]
    return count


@njit(cache=True, nogil=True)
def _nearest(probes: Any, stored: Any, rule: Any, r: int, found: Any, sums: Any) -> Any:
    """The k most similar sessions and their similarities above 0; ties go to the lower row.

    They are compared in float32, so that what is equal but for the last bits is a tie.
    """
    near = np.sort(found)
    if 0 < rule.max_sessions < len(near):
        near = _latest(stored, near, probes.as_of[r], rule.max_sessions)
    similarity = np.empty(len(near))
    count = 0
    for session in near:
        stop = _end(stored, session, probes.as_of[r])
        alike = sums[session] * probes.scale[r]
        if rule.by_length:
            alike /= math.sqrt(stored.distinct[stop - 1])
        alike *= _nearness(probes.time[r], stored.times[stop - 1], rule.time_decay)
        if alike > 0:
            near[count], similarity[count] = session, alike
            count += 1
    near, similarity = near[:count], similarity[:count]
    if count > rule.k:
        best = np.argsort(-similarity.astype(np.float32), kind="mergesort")[: rule.k]
        near, similarity = near[best], similarity[best]
    return near, similarity


@njit(cache=True, nogil=True)
def _latest(stored: Any, sessions: Any, as_of: int, number: int) -> Any:
    """The sessions with the latest events before `as_of`, rising; ties go to the lower row."""
    times = np.empty(len(sessions), np.int64)
    for place in range(len(sessions)):
        times[place] = stored.times[_end(stored, sessions[place], as_of) - 1]
    # ~ turns the order round, and unlike - it does not run over at NO_TIME.
    return np.sort(sessions[np.argsort(~times, kind="mergesort")[:number]])


@njit(cache=True, nogil=True, inline="always")
def _end(stored: Any, session: int, as_of: int) -> int:
    """Where the events of a session before `as_of` end."""
    begin, end = stored.offsets[session], stored.offsets[session + 1]
    if stored.times[end - 1] < as_of:
        return int(end)
    return int(begin + np.searchsorted(stored.times[begin:end], as_of))


@njit(cache=True, nogil=True, inline="always")
def _nearness(time: int, other: int, decay: float) -> float:
    """exp(-|time - other| / decay), 1 where either has no time."""
    if time == _NO_TIME or other == _NO_TIME:
        return 1.0
    return math.exp(-abs(time - other) / decay)


@njit(cache=True, nogil=True)
def _add(
    items: Any, places: Any, weight: float, rule: Any, reads: Any, cells: Any, num_touched: int
) -> int:
    """Add what the neighbour at `places` (begin, stop) of `items` says of each item that it holds.

    An item counts by its latest place. `reads`: how many neighbours were read before the request,
    and with this one. Returns the number of touched items.
    """
    begin, latest = places[0], places[1] - 1
    while not cells.is_shared[items[latest]]:
        latest -= 1
    for place in range(places[1] - 1, begin - 1, -1):
        item = items[place]
        if cells.read_by[item] == reads[1]:
            continue
        if cells.read_by[item] <= reads[0]:  # a total of 0 would not tell: weights may be 0
            cells.touched[num_touched] = item
            num_touched += 1
        cells.read_by[item] = reads[1]
        cells.totals[item] += weight * rule.by_distance[abs(place - latest)]
    return num_touched


@njit(cache=True, nogil=True)
def _favour_rare(stored: Any, strength: float, as_of: int, items: Any, totals: Any) -> None:
    """Multiply by 1 + strength ln(sessions / sessions with the item), both before `as_of`."""
    num_sessions = np.searchsorted(stored.begins, as_of)
    for item in items:
        since = stored.since[stored.starts[item] : stored.starts[item + 1]]
        totals[item] *= 1 + strength * math.log(num_sessions / np.searchsorted(since, as_of))
