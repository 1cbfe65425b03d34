"""Resolution: how fine the times of a log are, whatever unit they are written in."""

from __future__ import annotations

import numpy as np

from sargraph.core.types import IntArray
from sargraph.events.schema import TimeKind

HOUR, DAY = 3_600_000, 86_400_000

UNITS = {"day": DAY, "hour": HOUR, "minute": 60_000, "second": 1_000, "millisecond": 1}

REAL = ("millisecond", "second", "minute", "hour")
"""Resolutions of real times: within a day the order is known."""

SAME_SHARE = 0.9
"""Share of the times that must lie on a grid for the grid to be their resolution."""

_SAMPLE = 200_000


def resolution_of(time: IntArray, time_kind: TimeKind) -> str:
    """The coarsest grid on which SAME_SHARE of the times lie, whatever its offset (a time zone).

    One of `UNITS`, "month" (all on one day of the month), "one time", "place" (an order, no
    clock), or "none" for no times. Read off a regular sample of `time`, which holds no NO_TIME.
    """
    if not len(time):
        return "none"
    if time_kind != "ms":
        return "place"
    time = time[:: max(1, len(time) // _SAMPLE)]
    if time.min() == time.max():
        return "one time"
    unit = next(name for name, size in UNITS.items() if _mode(time % size)[1] >= SAME_SHARE)
    return "month" if unit == "day" and _mode(_day_of_month(time))[1] >= SAME_SHARE else unit


def local_midnights(time: IntArray, every: IntArray) -> IntArray:
    """`time` in the time zone in which most of the dates `every` of a log are midnights, ms.

    Cost: one sort of `every`.
    """
    offset = _mode(every % DAY)[0]
    return time - offset + (DAY if offset > DAY // 2 else 0)


def _mode(values: IntArray) -> tuple[int, float]:
    """The commonest value and its share."""
    found, counts = np.unique(values, return_counts=True)
    return int(found[counts.argmax()]), float(counts.max() / len(values))


def _day_of_month(time: IntArray) -> IntArray:
    """Day of the month (0 = the first) in the time zone in which the times are midnights."""
    date = local_midnights(time, time).astype("datetime64[ms]")
    day = date.astype("datetime64[D]") - date.astype("datetime64[M]")
    return np.asarray(day.astype(np.int64))
