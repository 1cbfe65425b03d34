"""Slices: the same requests seen apart, so that a mean does not hide where a model helps."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from sargraph.core.errors import BadInputError, nearest
from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, NO_TIME, BoolArray, IntArray
from sargraph.evaluation.slices_gap import GAP_NAMES, gap_slices
from sargraph.evaluation.slices_interest import new_interests
from sargraph.evaluation.slices_known import item_slices, user_slices
from sargraph.events.events import Events
from sargraph.events.split import Split

HISTORY_EDGES = (0, 5, 20)
"""Longest history of each bucket but the last: 0, 1-5, 6-20, over 20."""

_NEW = "new interest"
_ACTIVITY = re.compile(r"activity (\d+|\d+-\d+|>\d+)")

MIN_REQUESTS, MIN_USERS = 500, 100
"""A slice with fewer prints "too few" instead of a figure."""


def request_slices(events: Events, split: Split, requests: Requests) -> dict[str, BoolArray]:
    """Every slice of a report, masks bool [n] over the requests.

    History length; activity; what training knows of the user and of the item; the time since the
    last search (where times are milliseconds); new interests. Slices of one kind do not overlap.
    Cost: O(events + n log events).
    """
    chosen = history_lengths(events, split.visible & events.is_positive, requests)
    visible = history_lengths(events, split.visible, requests)
    return {
        **history_slices(chosen),
        **activity_slices(events, split, requests),
        **user_slices(events, split.is_train, visible > 0, requests),
        **item_slices(events, split.is_train, requests),
        **gap_slices(events, split.visible, requests),
        _NEW: new_interests(events, split.visible, requests),
    }


def history_lengths(events: Events, visible: BoolArray, requests: Requests) -> IntArray:
    """Number of the user's visible events strictly before `as_of`, int64 [n].

    `visible` bool [n events] says what may stand in a history. Untimed events count as before;
    the request's own event never counts. Cost: O(events + n log events).
    """
    rows = np.flatnonzero(visible)
    times, place = np.unique(events.time[rows], return_inverse=True)
    as_of = _after_untimed(requests.as_of)
    # Events are sorted by (user, time), so (user, place of the time) is one rising key.
    keys = events.user[rows] * (len(times) + 1) + place
    first = requests.user * (len(times) + 1)
    before = np.searchsorted(keys, first + np.searchsorted(times, as_of))
    counts = before - np.searchsorted(keys, first)
    return counts - (_own_is_visible(events, visible, requests) & _own_before(events, requests))


def history_slices(lengths: IntArray, edges: Sequence[int] = HISTORY_EDGES) -> dict[str, BoolArray]:
    """Requests by history length: `history 0`, `history 1-5`, ..., `history >20`."""
    return bucket_slices("history", lengths, edges)


def bucket_slices(name: str, values: IntArray, edges: Sequence[int]) -> dict[str, BoolArray]:
    """Values >= 0 parted at rising edges, each the highest of its bucket: `name 0-5`, `name >5`."""
    slices: dict[str, BoolArray] = {}
    low = 0
    for edge in edges:
        part = f"{name} {low}" if low == edge else f"{name} {low}-{edge}"
        slices[part] = (values >= low) & (values <= edge)
        low = edge + 1
    return slices | {f"{name} >{low - 1}": values >= low}


def activity_slices(events: Events, split: Split, requests: Requests) -> dict[str, BoolArray]:
    """Requests by how often the user chose in training, parted at the quartiles of their users."""
    rows = np.flatnonzero(split.is_train & events.is_positive)
    chosen = np.bincount(events.user[rows], minlength=len(events.users))
    edges = quartile_edges(chosen[np.unique(requests.user)])
    return bucket_slices("activity", chosen[requests.user], edges)


def quartile_edges(lengths: IntArray) -> tuple[int, ...]:
    """Distinct quartiles of the lengths, edges for `bucket_slices`."""
    if len(lengths) == 0:
        return HISTORY_EDGES
    quartiles = np.quantile(lengths, [0.25, 0.5, 0.75], method="inverted_cdf")
    return tuple(int(edge) for edge in np.unique(quartiles))


def fixed_names() -> tuple[str, ...]:
    """Names of the slices that do not depend on a data set: all but those by activity."""
    known = (f"{who} {what}" for who in ("user", "item") for what in ("hot", "warm", "cold"))
    return (*history_slices(np.empty(0, dtype=np.int64)), *known, *GAP_NAMES, _NEW)


def check_name(name: str) -> None:
    """Refuse what no data set can have as a slice. Raises BadInputError (names the nearest)."""
    if name not in fixed_names() and not _ACTIVITY.fullmatch(name):
        hint = nearest(name, (*fixed_names(), "activity 0-5"))
        raise BadInputError(f"there is no slice '{name}'; {hint}")


def too_few(
    num_requests: int,
    num_users: int,
    min_requests: int = MIN_REQUESTS,
    min_users: int = MIN_USERS,
) -> bool:
    """True where a slice is too small for a figure."""
    return num_requests < min_requests or num_users < min_users


def _after_untimed(as_of: IntArray) -> IntArray:
    """`as_of` such that untimed events are strictly before it, whatever it is."""
    return np.maximum(as_of, NO_TIME + 1)


def _own_is_visible(events: Events, visible: BoolArray, requests: Requests) -> BoolArray:
    own = requests.event
    return np.where(own == NO_ROW, False, visible[own] & (events.user[own] == requests.user))


def _own_before(events: Events, requests: Requests) -> BoolArray:
    return np.asarray(events.time[requests.event] < _after_untimed(requests.as_of))
