"""Time zones: offsets of local times, against the standard library one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from sargraph.events.reading.zones import zone_offsets

HOUR = 3_600_000
ZONES = (
    "Asia/Shanghai",
    "Europe/London",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
)


def _local(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def _naive(local_ms: int, zone: str) -> int:
    moment = datetime(1970, 1, 1) + timedelta(milliseconds=local_ms)
    offset = moment.replace(tzinfo=ZoneInfo(zone), fold=0).utcoffset()
    assert offset is not None
    return round(offset.total_seconds() * 1000)


@pytest.mark.parametrize("zone", ZONES)
def test_offsets_are_those_of_the_database(zone: str) -> None:
    rng = np.random.default_rng(0)
    times = rng.integers(_local("1995-01-01"), _local("2035-01-01"), 500)
    edges = np.arange(_local("2023-01-01"), _local("2024-01-01"), 13 * HOUR // 7)
    local = np.concatenate([times, edges])
    assert zone_offsets(local, zone).tolist() == [_naive(int(t), zone) for t in local]


def test_a_time_shown_twice_is_the_first_and_a_skipped_one_keeps_the_old_offset() -> None:
    spring = [
        _local(f"2023-03-26 {clock}") for clock in ("00:59:59.999", "01:00", "01:30", "02:00")
    ]
    autumn = [
        _local(f"2023-10-29 {clock}") for clock in ("00:59", "01:30", "01:59:59.999", "02:00")
    ]
    assert zone_offsets(np.array(spring), "Europe/London").tolist() == [0, 0, 0, HOUR]
    assert zone_offsets(np.array(autumn), "Europe/London").tolist() == [HOUR, HOUR, HOUR, 0]


def test_times_beyond_all_calendars_do_not_fail() -> None:
    far = np.array([-(2**62), 2**62, 0])
    assert zone_offsets(far, "Asia/Shanghai")[2] == 8 * HOUR
    assert len(zone_offsets(np.empty(0, np.int64), "Asia/Shanghai")) == 0
