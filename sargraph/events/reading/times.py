"""Times: SQL that turns a column into exact integers, and checks that refuse a wrong unit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sargraph.core.errors import DataError
from sargraph.core.types import NO_TIME, BoolArray, IntArray
from sargraph.events.reading.recipe_fields import TimeColumn

EARLIEST = int(np.datetime64("1995-01-01", "ms").astype(np.int64))
LATEST = int(np.datetime64("2100-01-01", "ms").astype(np.int64))
DAY = 86_400_000

MS_PER_UNIT = {"s": 1000.0, "ms": 1.0, "us": 1e-3, "ns": 1e-6}
_SQL_FACTOR = {"s": "* 1000", "ms": "", "us": "/ 1000"}

# A clock time, then an offset such as +08, +0800 or +08:00; a date alone cannot match.
_OFFSET = r"(:\d\d(?:\.\d+)?) ?([+-]\d\d):?(\d\d)?$"


def time_sql(time: TimeColumn, column: Callable[[tuple[str, ...]], str]) -> str:
    """SQL for a BIGINT: ms since 1970 UTC or the place in the order; NULL where it cannot be read.

    `column` turns header names into a quoted column. Numbers go through DECIMAL, so that
    `1.684742e+12` loses nothing.
    """
    if time.unit == "none":
        return str(NO_TIME + 1) + " - 1"  # the literal itself would overflow when negated
    if time.unit == "date":
        parts = [column(names) for names in (time.year, time.month, time.day) if names]
        parts += ["'1'"] * (3 - len(parts))
        whole = [f"TRY_CAST(TRY_CAST({part} AS DOUBLE) AS INTEGER)" for part in parts]
        text = " || '-' || ".join(f"CAST({part} AS VARCHAR)" for part in whole)
        return f"epoch_ms(TRY_CAST({text} AS TIMESTAMP)) - {_offset_ms(time.utc_offset)}"
    if time.unit == "iso":
        return _iso_sql(column(time.column), _offset_ms(time.utc_offset))
    number = f"TRY_CAST({column(time.column)} AS DECIMAL(24, 6))"
    factor = _SQL_FACTOR.get(time.unit, "")
    return f"TRY_CAST(round({number} {factor}) AS BIGINT)"


def _iso_sql(column: str, default_offset: int) -> str:
    # The offset is cut off and applied here: versions of DuckDB differ in what a cast does with it.
    bare = f"regexp_replace(trim({column}), '[Zz]$', '+00:00')"
    hours = f"TRY_CAST(nullif(regexp_extract({bare}, '{_OFFSET}', 2), '') AS BIGINT)"
    minutes = f"coalesce(TRY_CAST(regexp_extract({bare}, '{_OFFSET}', 3) AS BIGINT), 0)"
    sign = f"CASE WHEN regexp_extract({bare}, '{_OFFSET}', 2) LIKE '-%' THEN -1 ELSE 1 END"
    offset = f"coalesce(({hours} * 60 + {sign} * {minutes}) * 60000, {default_offset})"
    naive = f"TRY_CAST(regexp_replace({bare}, '{_OFFSET}', '\\1') AS TIMESTAMP)"
    return f"epoch_ms({naive}) - {offset}"


def _offset_ms(text: str) -> int:
    size = int(text[1:3]) * 60 + int(text[4:6])
    return (-size if text[0] == "-" else size) * 60_000


def check_unit(times: IntArray, unit: str, column: str, file: str) -> None:
    """Refuse a numeric column whose median, read in the declared unit, is outside 1995..2100.

    `times` are ms as read by the declared unit. Raises DataError naming the likely unit.
    """
    if unit not in _SQL_FACTOR or len(times) == 0:
        return
    median = float(np.median(times))
    if EARLIEST <= median <= LATEST:
        return
    raw = median / MS_PER_UNIT[unit]
    likely = [u for u, factor in MS_PER_UNIT.items() if EARLIEST <= raw * factor <= LATEST]
    advice = f"it looks like '{likely[0]}'" if likely else "no unit of s, ms, us, ns fits"
    raise DataError(
        f"{file}: column '{column}' is declared in '{unit}' but its median {raw:.0f} is not a time "
        f"between 1995 and 2100; {advice}: change `unit` in the recipe"
    )


def time_faults(times: IntArray, is_null: BoolArray, now: int) -> dict[str, BoolArray]:
    """Masks of rows whose time is unreadable, implausible, or more than a day after `now`."""
    timed = times != NO_TIME
    return {
        "unreadable time": is_null,
        "time before 1995": timed & (times < EARLIEST),
        "time in the future": timed & (times > now + DAY),
    }
