"""Times: SQL that turns a column into exact integers, and checks that refuse a wrong unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sargraph.core.errors import DataError, RecipeError
from sargraph.core.types import NO_TIME, BoolArray, IntArray
from sargraph.events.reading.columns import Column
from sargraph.events.reading.recipe_fields import TimeColumn
from sargraph.events.reading.zones import zone_offsets

__all__ = ["check_unit", "detect_unit", "is_local_sql", "time_faults", "time_sql", "zone_offsets"]

EARLIEST = int(np.datetime64("1995-01-01", "ms").astype(np.int64))
LATEST = int(np.datetime64("2100-01-01", "ms").astype(np.int64))
DAY = 86_400_000

MS_PER_UNIT = {"s": 1000.0, "ms": 1.0, "us": 1e-3, "ns": 1e-6}

MIXED_SHARE = 0.01
"""A unit that more than this share of the values fit is taken for meant."""

_PER_MS = {"us": 1000, "ns": 1_000_000}
_MAX_SECONDS = 9 * 10**15
_MAX_SUM = 4 * 10**18

# All of an ISO 8601 text: what stands behind a time must not be passed over, such as PM or CET.
_ISO = (
    r"\d{4}[-/]\d\d?[-/]\d\d?"
    r"([T ]\d\d?:\d\d(:\d\d(\.\d+)?)? ?([Zz]|UTC|[+-](0\d|1[0-4])(:?[0-5]\d)?)?)?"
)

_UTC = "(UTC|[Zz])$"

# A clock time, then an offset such as +08, +0800 or +08:00; a date alone cannot match.
_OFFSET = r"(:\d\d(?:\.\d+)?) ?([+-]\d\d):?(\d\d)?$"

ColumnOf = Callable[[tuple[str, ...]], Column]


def time_sql(time: TimeColumn, column: ColumnOf) -> str:
    """SQL for a BIGINT: ms since 1970 UTC or the place in the order; NULL where it cannot be read.

    `column` turns header names into a column. Whole numbers never go through a float, so that
    `1.684742e+12` loses nothing. With a `zone`, local times come out as they stand: see
    `is_local_sql`. Raises RecipeError where the column's type cannot hold the unit, and
    ValueError for the unit "auto", which `detect_unit` must settle first.
    """
    if time.unit == "none":
        return str(NO_TIME + 1) + " - 1"  # the literal itself would overflow when negated
    if time.unit == "ordinal" and time.constant is not None:
        return f"CAST({time.constant} AS BIGINT)"
    start = _date_sql(time, column) if time.unit == "date" else _moment_sql(time, column)
    if not time.elapsed:
        return start
    more = column(time.elapsed).integer
    in_range = f"{start} BETWEEN -{_MAX_SUM} AND {_MAX_SUM} AND abs({more}) <= {_MAX_SUM}"
    return f"CASE WHEN {in_range} THEN {start} + {more} END"


def _moment_sql(time: TimeColumn, column: ColumnOf) -> str:
    found = column(time.column)
    if time.unit == "auto":
        raise ValueError("the unit 'auto' must be settled by detect_unit before times are read")
    if time.unit == "iso":
        if found.is_number:
            raise RecipeError(f"{found.sql} holds numbers, not ISO texts; set unit = 'auto'")
        return _iso_sql(found, _default_offset(time))
    if found.is_moment:
        raise RecipeError(f"{found.sql} holds timestamps, not numbers; set unit = 'iso'")
    return _number_sql(found, time.unit)


def _number_sql(found: Column, unit: str) -> str:
    if unit == "s":
        return _seconds_sql(found)
    if unit not in _PER_MS:
        return found.integer
    size = _PER_MS[unit]
    whole, rest = f"({found.integer}) // {size}", f"({found.integer}) % {size}"
    return f"{whole} + CASE WHEN {rest} >= {size // 2} THEN 1 ELSE 0 END"


def _seconds_sql(found: Column) -> str:
    if found.is_number and not found.is_integer:
        return f"TRY_CAST(round({found.sql} * 1000) AS BIGINT)"
    whole = (
        f"CASE WHEN {found.integer} BETWEEN -{_MAX_SECONDS} AND {_MAX_SECONDS} "
        f"THEN {found.integer} * 1000 END"
    )
    if found.is_integer:
        return whole
    exact = f"TRY_CAST(round(TRY_CAST({found.text} AS DECIMAL(24, 6)) * 1000) AS BIGINT)"
    has_fraction = f"contains({found.text}, '.') OR contains(lower({found.text}), 'e')"
    return f"CASE WHEN {has_fraction} THEN {exact} ELSE {whole} END"


def _date_sql(time: TimeColumn, column: ColumnOf) -> str:
    parts = [column(names).number for names in (time.year, time.month, time.day) if names]
    whole = [f"TRY_CAST({part} AS INTEGER)" for part in parts] + ["1"] * (3 - len(parts))
    text = " || '-' || ".join(f"CAST({part} AS VARCHAR)" for part in whole)
    return f"epoch_ms(TRY_CAST({text} AS TIMESTAMP)) - {_default_offset(time)}"


def _iso_sql(found: Column, default_offset: int) -> str:
    if found.type == "TIMESTAMP WITH TIME ZONE":
        return f"epoch_ms({found.sql})"
    if found.is_moment:
        return f"epoch_ms({found.sql}) - {default_offset}"
    # The offset is cut off and applied here: versions of DuckDB differ in what a cast does with it.
    bare = f"regexp_replace(trim({found.text}), '{_UTC}', '+00:00')"
    hours = f"TRY_CAST(nullif(regexp_extract({bare}, '{_OFFSET}', 2), '') AS BIGINT)"
    minutes = f"coalesce(TRY_CAST(regexp_extract({bare}, '{_OFFSET}', 3) AS BIGINT), 0)"
    sign = f"CASE WHEN regexp_extract({bare}, '{_OFFSET}', 2) LIKE '-%' THEN -1 ELSE 1 END"
    naive = f"TRY_CAST(regexp_replace({bare}, '{_OFFSET}', '\\1') AS TIMESTAMP)"
    own = f"epoch_ms({naive}) - ({hours} * 60 + {sign} * {minutes}) * 60000"
    plain = f"epoch_ms(TRY_CAST({found.text} AS TIMESTAMP)) - {default_offset}"
    is_whole = f"regexp_full_match(trim({found.text}), '{_ISO}')"
    moment = f"CASE WHEN {_has_no_offset(found)} THEN {plain} ELSE {own} END"
    return f"CASE WHEN {is_whole} THEN {moment} END"


def is_local_sql(time: TimeColumn, column: ColumnOf) -> str:
    """SQL that is true where a time carries no offset of its own, so that the `zone` counts."""
    if time.unit == "date":
        return "true"
    found = column(time.column)
    if found.is_moment:
        return "false" if found.type == "TIMESTAMP WITH TIME ZONE" else "true"
    return f"coalesce({_has_no_offset(found)}, false)"


def _has_no_offset(found: Column) -> str:
    return f"NOT regexp_matches(trim({found.text}), '{_UTC}|{_OFFSET}')"


def _default_offset(time: TimeColumn) -> int:
    """Milliseconds that a local time is ahead of UTC; 0 where a zone will say it."""
    text = time.utc_offset
    size = int(text[1:3]) * 60 + int(text[4:6])
    return (-size if text[0] == "-" else size) * 60_000


def detect_unit(values: npt.NDArray[Any], column: str, file: str) -> str:
    """The one of s, ms, us, ns that puts the values between 1995 and 2100.

    `values` are numbers, NaN where there is none. The ranges of the units do not meet, so each
    value fits one or none. Raises DataError when none fits, or more than one in a hundred fit
    another: a log that mixes units cannot be read.
    """
    found = np.asarray(values, dtype=np.float64)
    fitting = {
        unit: int(np.sum((found >= least) & (found <= most))) for unit, least, most in RANGES
    }
    return choose_unit(fitting, int(np.sum(~np.isnan(found))), column, file)


RANGES = [(unit, EARLIEST / per, LATEST / per) for unit, per in MS_PER_UNIT.items()]
"""Unit, least and greatest number that it makes a time between 1995 and 2100."""


def choose_unit(fitting: Mapping[str, int], size: int, column: str, file: str) -> str:
    """As `detect_unit`, from the number of values that fit each unit and of all values."""
    meant = [unit for unit, count in fitting.items() if count > MIXED_SHARE * size]
    if len(meant) == 1 and fitting[meant[0]] > size / 2:
        return meant[0]
    shares = ", ".join(f"{count} in '{unit}'" for unit, count in fitting.items() if count)
    found = f"of its {size} numbers {shares or 'none'} lie between 1995 and 2100"
    raise DataError(
        f"{file}: no one unit fits column '{column}' ({found}); "
        "mend the file, or set `unit` in the recipe"
    )


def check_unit(times: IntArray, unit: str, column: str, file: str) -> None:
    """Refuse a numeric column whose median, read in the declared unit, is outside 1995..2100.

    `times` are ms as read by the declared unit. Raises DataError naming the likely unit.
    """
    if unit not in MS_PER_UNIT or len(times) == 0:
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
