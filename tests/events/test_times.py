"""Times: exact integers out of every way of writing, and wrong units found out."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import pytest

from sargraph.core.errors import DataError
from sargraph.core.types import NO_TIME
from sargraph.events.reading.recipe_fields import TimeColumn
from sargraph.events.reading.times import check_unit, time_faults, time_sql

T0 = 1684742000000


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def _read(connection: duckdb.DuckDBPyConnection, text: str | None, **how: str) -> int | None:
    sql = time_sql(TimeColumn(column=("t",), **how), lambda names: f'"{names[0]}"')  # type: ignore[arg-type]
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
    sql = time_sql(date, lambda names: f'"{names[0]}"')
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
