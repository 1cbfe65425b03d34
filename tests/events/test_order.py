"""The order of events and the repeats among them, against sorts and dictionaries."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sargraph.core.rng import make_rng
from sargraph.core.types import NO_TIME
from sargraph.events.reading.order import find_repeats, order_events

Columns = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int32]]


def _log(rng: np.random.Generator, size: int, num_users: int, num_times: int) -> Columns:
    """Users, times with ties and gaps (NO_TIME), and items (-1 = none)."""
    time = rng.integers(0, num_times, size).astype(np.int64)
    time[rng.random(size) < 0.3] = NO_TIME
    user = rng.integers(0, num_users, size).astype(np.int32)
    return user, time, rng.integers(-1, 4, size).astype(np.int32)


def _naive_order(
    user: npt.NDArray[np.int32], time: npt.NDArray[np.int64], item: object
) -> list[int]:
    """Sort by user, time, then item for rows without a time, then place."""
    items = np.asarray(item)
    return sorted(
        range(len(user)),
        key=lambda row: (user[row], time[row], items[row] if time[row] == NO_TIME else 0, row),
    )


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(0, 200), st.integers(1, 5), st.integers(1, 40))
def test_order_is_that_of_a_sort_by_user_time_place(
    seed: int, size: int, num_users: int, num_times: int
) -> None:
    user, time, item = _log(make_rng(seed, "order"), size, num_users, num_times)
    assert order_events(user, time, item, num_users).tolist() == _naive_order(user, time, item)


def test_order_equals_lexsort_on_a_large_log_with_ties() -> None:
    rng = make_rng(0, "order")
    user = rng.integers(0, 500, 200_000).astype(np.int32)
    time = rng.integers(0, 300, 200_000).astype(np.int64)
    found = order_events(user, time, np.zeros(200_000, np.int32), 500)
    assert found.dtype == np.int32
    assert np.array_equal(found, np.lexsort((np.arange(200_000), time, user)))


def test_a_log_in_order_stays_as_it_is_and_an_empty_one_too() -> None:
    user, time = np.repeat(np.arange(9, dtype=np.int32), 7), np.tile(np.arange(7), 9)
    assert order_events(user, time, user, 9).tolist() == list(range(63))
    nothing = np.empty(0, np.int32)
    assert order_events(nothing, np.empty(0, np.int64), nothing, 0).tolist() == []


def _first_of_equals(*columns: npt.NDArray[np.generic]) -> list[int]:
    first: dict[tuple[object, ...], int] = {}
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [first.setdefault(row, place) for place, row in enumerate(rows)]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.sampled_from([0, 1, 5, 16, 17, 60, 400]), st.integers(1, 3))
def test_repeats_are_those_of_a_dictionary(seed: int, run: int, num_values: int) -> None:
    """Runs of one user and time up to 16 are compared pair by pair, longer ones through hashes."""
    rng = make_rng(seed, "repeats")
    user = np.repeat(np.arange(3, dtype=np.int32), run)
    time = np.repeat(np.array([NO_TIME, 5, 5], dtype=np.int64), run)
    item, query = rng.integers(-1, num_values, (2, 3 * run)).astype(np.int32)
    kind = rng.integers(0, 12, 3 * run).astype(np.int8)
    found = find_repeats(user, time, item, query, kind)
    assert found.tolist() == _first_of_equals(user, time, item, query, kind)


@pytest.mark.parametrize("size", [3, 5000])
def test_one_pair_repeated_thousands_of_times_is_one_event(size: int) -> None:
    same = np.zeros(size, dtype=np.int32)
    found = find_repeats(same, same.astype(np.int64), same, same - 1, same.astype(np.int8))
    assert found.tolist() == [0] * size
