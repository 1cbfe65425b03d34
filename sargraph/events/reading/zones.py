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
    jump (PEP 495, fold = 0). Cost: O(n log days) and two look-ups in the zone per distinct day.
    """
    place = ZoneInfo(zone)
    day = np.clip(np.asarray(local_ms, dtype=np.int64) // DAY, _FIRST_DAY, _LAST_DAY)
    days, member = np.unique(day, return_inverse=True)
    morning = np.array([_offset(int(d) * DAY, place) for d in days], dtype=np.int64)
    evening = np.array([_offset((int(d) + 1) * DAY, place) for d in days], dtype=np.int64)
    offsets = morning[member]
    for changing in np.flatnonzero(morning != evening).tolist():
        first, last = int(days[changing]) * DAY, (int(days[changing]) + 1) * DAY
        is_after = (member == changing) & (local_ms >= _jump(first, last, place))
        offsets[is_after] = evening[changing]
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
