"""Time zones: how far local times are ahead of UTC, by the rules of the IANA database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from sargraph.core.types import IntArray

DAY = 86_400_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_895  # 0001-01-01 and the day before 9999-12-31


def zone_offsets(local_ms: IntArray, zone: str) -> IntArray:
    """Milliseconds to subtract from local times of a zone to get UTC, int64 [n].

    `local_ms` are local wall-clock times, counted as if they were UTC. A time that a clock showed
    twice is taken for the first showing, and one that it skipped keeps the offset from before the
    jump (PEP 495, fold = 0). Cost: two look-ups in the zone per distinct day, and O(n) for each
    of the few days on which clocks changed.
    """
    place = ZoneInfo(zone)
    day = np.clip(np.asarray(local_ms, dtype=np.int64) // DAY, _FIRST_DAY, _LAST_DAY)
    if len(day) == 0:
        return np.empty(0, dtype=np.int64)
    first_day = int(day.min())
    occurs = np.zeros(int(day.max()) - first_day + 1, dtype=np.bool_)
    occurs[day - first_day] = True
    at_start = np.zeros(len(occurs), dtype=np.int64)
    jumps: list[tuple[int, int, int]] = []
    for number in np.flatnonzero(occurs).tolist():
        start, end = (first_day + number) * DAY, (first_day + number + 1) * DAY
        at_start[number], after = _offset(start, place), _offset(end, place)
        if at_start[number] != after:
            jumps.append((_jump(start, end, place), end, after))
    offsets = at_start[day - first_day]
    for start, end, after in jumps:
        offsets[(local_ms >= start) & (local_ms < end)] = after
    return offsets


def _jump(first: int, last: int, zone: ZoneInfo) -> int:
    """The first local time after `first` whose offset is that of `last`."""
    before = _offset(first, zone)
    while last - first > 1:
        middle = (first + last) // 2
        if _offset(middle, zone) == before:
            first = middle
        else:
            last = middle
    return last


def _offset(local_ms: int, zone: ZoneInfo) -> int:
    moment = (_EPOCH + timedelta(milliseconds=local_ms)).replace(tzinfo=zone)
    return round((moment.utcoffset() or timedelta()) / timedelta(milliseconds=1))
