"""The gap since the user's last search: whether a fresh intent stands behind a request."""

from __future__ import annotations

import numpy as np

from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, BoolArray, IntArray
from sargraph.events.events import Events
from sargraph.events.searches import search_numbers

_HOUR = 3_600_000
GAPS = {"<=1 h": _HOUR, "1 h-1 d": 24 * _HOUR, "1-3 d": 72 * _HOUR}
"""The longest gap of each bucket but the last, ms."""

_PREFIX = "gap since search"
GAP_NAMES = tuple(f"{_PREFIX} {name}" for name in (*GAPS, "longer", "never"))
"""The slices by gap, where a log has them."""

_NEVER = -1


def gap_slices(events: Events, visible: BoolArray, requests: Requests) -> dict[str, BoolArray]:
    """`gap since search <=1 h`, `1 h-1 d`, `1-3 d`, `longer`, `never`: disjoint masks bool [n].

    A request made from an untimed event has no moment and is in none of them. No slices where
    times are no milliseconds, or the log holds no timed search.
    """
    is_timed_search = events.is_search & events.is_timed
    if events.time_kind != "ms" or not is_timed_search.any():
        return {}
    gap = search_gaps(events, visible, requests)
    own = requests.event
    has_moment = own == NO_ROW
    has_moment |= events.is_timed[own]
    slices, above = {}, -1
    for name, longest in GAPS.items():
        slices[name] = (gap > above) & (gap <= longest)
        above = longest
    slices |= {"longer": gap > above, "never": gap == _NEVER}
    return {f"{_PREFIX} {name}": mask & has_moment for name, mask in slices.items()}


def search_gaps(events: Events, visible: BoolArray, requests: Requests) -> IntArray:
    """Milliseconds from the user's last visible search event strictly before `as_of` to `as_of`,
    int64 [n], -1 = none. Untimed events and those of the request's own search do not count.
    Cost: O(events + n log events).
    """
    rows = np.flatnonzero(visible & events.is_search & events.is_timed)
    if len(rows) == 0:
        return np.full(len(requests), _NEVER, dtype=np.int64)
    times = np.unique(events.time[rows])
    width = len(times) + 1
    # Events are sorted by (user, time), so (user, place of the time) is one rising key.
    keys = events.user[rows] * width + np.searchsorted(times, events.time[rows])
    asked = requests.user * width + np.searchsorted(times, requests.as_of)
    last = np.searchsorted(keys, asked) - 1
    number = _search_of(events)
    starts = np.r_[True, number[rows[1:]] != number[rows[:-1]]]
    before_run = np.maximum.accumulate(np.where(starts, np.arange(len(rows)), 0)) - 1
    has_own = (last >= 0) & (requests.event != NO_ROW)
    is_own = has_own & (number[rows[last]] == number[requests.event])
    last = np.where(is_own, before_run[last], last)
    found = (last >= 0) & (events.user[rows[last]] == requests.user)
    return np.where(found, requests.as_of - events.time[rows[last]], _NEVER)


def _search_of(events: Events) -> IntArray:
    """The search of each event; every other event is one of its own."""
    number = search_numbers(events)
    return np.where(number == NO_ROW, -2 - np.arange(len(events)), number)
