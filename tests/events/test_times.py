"""Times: exact integers out of every way of writing, and wrong units found out."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import pytest

from sargraph.core.errors import DataError, RecipeError
from sargraph.core.types import NO_TIME
from sargraph.events.reading.columns import Column
from sargraph.events.reading.recipe_fields import TimeColumn, TimeUnit
from sargraph.events.reading.times import (
    EARLIEST,
    LATEST,
    check_unit,
    detect_unit,
    is_local_sql,
    time_faults,
    time_sql,
)

T0 = 1684742000000


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def _read(connection: duckdb.DuckDBPyConnection, text: str | None, **how: str) -> int | None:
    sql = time_sql(TimeColumn(column=("t",), **how), lambda names: Column(f'"{names[0]}"'))  # type: ignore[arg-type]
    [(value,)] = connection.execute(f"SELECT {sql} FROM (SELECT ? AS t)", [text]).fetchall()
    return value  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("1684742000000", "ms", T0),
        ("1684742000000.0", "ms", T0),
        ("1.684742e+12", "ms", T0),
        ("1.684742000001E12", "ms", T0 + 1),
        ("1684742000", "s", T0),
        ("1684742000.123", "s", T0 + 123),
        ("1684742000000999", "us", T0 + 1),
        ("1684742000000499", "us", T0),
        ("1684742000000500000", "ns", T0 + 1),
        ("1684742000000499999", "ns", T0),
        ("1.684742e+9", "s", T0),
        ("1684742000.0", "s", T0),
        ("9007199254740993", "ms", 2**53 + 1),
        ("9007199254740993", "s", None),
        ("infinity", "iso", None),
        ("12", "ordinal", 12),
        ("2023-05-22 07:53:20", "iso", T0),
        ("2023-05-22T07:53:20Z", "iso", T0),
        ("2023-05-22T15:53:20+08:00", "iso", T0),
        ("2023-05-22 15:53:20.250+0800", "iso", T0 + 250),
        ("2023-05-22T02:23:20-05:30", "iso", T0),
        ("2023-05-22", "iso", 1684713600000),
        ("", "ms", None),
        ("nan", "ms", None),
        ("inf", "s", None),
        ("1e400", "ms", None),
        ("9" * 30, "ms", None),
        ("2023-13-01", "iso", None),
        ("yesterday", "iso", None),
        (None, "ms", None),
    ],
)
def test_times_are_exact(
    connection: duckdb.DuckDBPyConnection, text: str | None, unit: str, expected: int | None
) -> None:
    assert _read(connection, text, unit=unit) == expected


def test_naive_times_take_the_declared_offset_and_others_their_own(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    beijing = {"unit": "iso", "utc_offset": "+08:00"}
    assert _read(connection, "2023-05-22 15:53:20", **beijing) == T0
    assert _read(connection, "2023-05-22 07:53:20Z", **beijing) == T0


def test_date_parts_and_no_time(connection: duckdb.DuckDBPyConnection) -> None:
    date = TimeColumn(unit="date", year=("y",), month=("m",))
    sql = time_sql(date, lambda names: Column(f'"{names[0]}"'))
    found = connection.execute(
        f"SELECT {sql} FROM (VALUES ('2009', '4'), ('2009', '13'), ('2009.0', '12')) v(y, m)"
    ).fetchall()
    april, december = (int(np.datetime64(f"2009-{m}", "ms").astype(int)) for m in ("04", "12"))
    assert [row[0] for row in found] == [april, None, december]
    assert _read(connection, "1", unit="none") == NO_TIME


@pytest.mark.parametrize(
    ("raw", "declared", "likely"),
    [
        (1684742000, "ms", "'s'"),
        (1684742000000000, "ms", "'us'"),
        (1684742000000, "s", "'ms'"),
        (1684742000000, "us", "'ms'"),
        (42, "ms", "no unit"),
    ],
)
def test_a_wrong_unit_is_refused_with_the_likely_one(raw: int, declared: str, likely: str) -> None:
    factor = {"s": 1000, "ms": 1, "us": 1e-3}[declared]
    times = np.array([raw * factor] * 3, dtype=np.int64)
    with pytest.raises(DataError, match=likely) as caught:
        check_unit(times, declared, "timestamp", "log.csv")
    assert "'timestamp'" in str(caught.value)


def test_the_median_decides_so_that_a_few_bad_values_do_not() -> None:
    check_unit(np.array([0, T0, T0]), "ms", "timestamp", "log.csv")


def test_faults_of_single_times() -> None:
    now = T0
    times = np.array([T0, 0, T0 + 2 * 86_400_000, NO_TIME, NO_TIME])
    faults = time_faults(times, np.array([False, False, False, True, False]), now)
    assert {reason: np.flatnonzero(mask).tolist() for reason, mask in faults.items()} == {
        "unreadable time": [3],
        "time before 1995": [1],
        "time in the future": [2],
    }


@pytest.mark.parametrize(
    ("value", "type_", "unit", "expected"),
    [
        (f"{T0}::BIGINT", "BIGINT", "ms", T0),
        ("1684742000::UINTEGER", "UINTEGER", "s", T0),
        ("9223372036854775807::BIGINT", "BIGINT", "s", None),
        ("1684742000000999::BIGINT", "BIGINT", "us", T0 + 1),
        ("1684742000000999999::BIGINT", "BIGINT", "ns", T0 + 1),
        ("1684742000.123::DOUBLE", "DOUBLE", "s", T0 + 123),
        ("'nan'::DOUBLE", "DOUBLE", "s", None),
        ("'inf'::DOUBLE", "DOUBLE", "ms", None),
        ("1684742000000.0::DOUBLE", "DOUBLE", "ms", T0),
        ("12::TINYINT", "TINYINT", "ordinal", 12),
        ("TIMESTAMP '2023-05-22 07:53:20'", "TIMESTAMP", "iso", T0),
        ("TIMESTAMP_NS '2023-05-22 07:53:20'", "TIMESTAMP", "iso", T0),
        ("TIMESTAMPTZ '2023-05-22 15:53:20+08'", "TIMESTAMP WITH TIME ZONE", "iso", T0),
        ("DATE '2023-05-22'", "DATE", "iso", 1684713600000),
        ("NULL::BIGINT", "BIGINT", "ms", None),
    ],
)
def test_native_columns_of_parquet_are_times_too(
    connection: duckdb.DuckDBPyConnection,
    value: str,
    type_: str,
    unit: TimeUnit,
    expected: int | None,
) -> None:
    sql = time_sql(TimeColumn(column=("t",), unit=unit), lambda names: Column("t", type_))
    assert connection.sql(f"SELECT {sql} FROM (SELECT {value} AS t)").fetchall() == [(expected,)]


def test_native_types_that_contradict_the_unit_are_refused() -> None:
    with pytest.raises(RecipeError, match="unit = 'iso'"):
        time_sql(TimeColumn(column=("t",)), lambda names: Column("t", "TIMESTAMP"))
    with pytest.raises(RecipeError, match="unit = 'auto'"):
        time_sql(TimeColumn(column=("t",), unit="iso"), lambda names: Column("t", "BIGINT"))


def test_elapsed_milliseconds_are_added(connection: duckdb.DuckDBPyConnection) -> None:
    time = TimeColumn(column=("day",), unit="iso", elapsed=("frame",))
    sql = time_sql(time, lambda names: Column(names[0]))
    rows = "('2016-05-09', '1500'), ('2016-05-09', ''), ('', '3'), ('2016-05-09', '9e18')"
    found = connection.sql(f"SELECT {sql} FROM (VALUES {rows}) v(day, frame)").fetchall()
    day = int(np.datetime64("2016-05-09", "ms").astype(int))
    assert [value for (value,) in found] == [day + 1500, None, None, None]


def test_a_constant_place_needs_no_column(connection: duckdb.DuckDBPyConnection) -> None:
    time = TimeColumn(unit="ordinal", constant=2)
    assert connection.sql(f"SELECT {time_sql(time, lambda _: Column('t'))}").fetchall() == [(2,)]


@pytest.mark.parametrize(
    ("text", "is_local"),
    [
        ("2023-05-22 15:53:20", True),
        ("2023-05-22", True),
        ("2023-05-22T07:53:20Z", False),
        ("2023-05-22 15:53:20+08", False),
        (" 2023-05-22T02:23:20-05:30 ", False),
        (None, False),
    ],
)
def test_only_times_without_an_offset_are_local(
    connection: duckdb.DuckDBPyConnection, text: str | None, is_local: bool
) -> None:
    time = TimeColumn(column=("t",), unit="iso", zone="Asia/Shanghai")
    sql = is_local_sql(time, lambda names: Column("t"))
    [(found,)] = connection.execute(f"SELECT {sql} FROM (SELECT ? AS t)", [text]).fetchall()
    assert found is is_local


@pytest.mark.parametrize(("unit", "factor"), [("s", 1e-3), ("ms", 1), ("us", 1e3), ("ns", 1e6)])
def test_ms_vs_s_is_told_from_the_values(unit: str, factor: float) -> None:
    values = np.linspace(EARLIEST, LATEST, 1000) * factor
    assert detect_unit(values, "timestamp", "log.csv") == unit
    broken = np.concatenate([values, np.full(300, np.nan), [0.0, -1.0, 42.0]])
    assert detect_unit(broken, "timestamp", "log.csv") == unit


def test_ms_vs_s_mixed_in_one_column_is_refused() -> None:
    values = np.array([T0] * 90 + [T0 // 1000] * 10)
    with pytest.raises(DataError, match="90 in 'ms'") as caught:
        detect_unit(values, "timestamp", "log.csv")
    assert "10 in 's'" in str(caught.value) and "'timestamp'" in str(caught.value)


@pytest.mark.parametrize("values", [[], [np.nan], [42.0, 43.0], [1e30, np.inf]])
def test_a_column_that_no_unit_fits_is_refused(values: list[float]) -> None:
    with pytest.raises(DataError, match="no one unit fits column 'timestamp'"):
        detect_unit(np.array(values), "timestamp", "log.csv")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-11-14 10:00:00 UTC", "2023-11-14T10:00:00"),
        ("2023-11-14T10:00:00.250Z", "2023-11-14T10:00:00.250"),
        ("2023-11-14 10:00+0800", "2023-11-14T02:00:00"),
        ("2023/11/14", "2023-11-14T00:00:00"),
        ("2023-11-14 10:00:00 PM", None),
        ("2023-11-14 10:00:00 CET", None),
        ("2023-11-14 10:00:00 Europe/Berlin", None),
        ("2023-11-14 10:00:00 garbage", None),
        ("2023-11-14T10:00:00+08:00:00", None),
        ("2023-11-14T10:00:00+99:99", None),
        ("x2023-11-14T10:00:00", None),
    ],
)
def test_what_stands_behind_an_iso_time_is_not_passed_over(
    connection: duckdb.DuckDBPyConnection, text: str, expected: str | None
) -> None:
    sql = time_sql(TimeColumn(column=("t",), unit="iso"), lambda names: Column("t"))
    [(found,)] = connection.execute(f"SELECT {sql} FROM (SELECT ? AS t)", [text]).fetchall()
    wanted = None if expected is None else int(np.datetime64(expected, "ms").astype(np.int64))
    assert found == wanted
