"""Slices: the same requests seen apart, by what is known of the user and how new the target is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, NO_TIME, BoolArray, IntArray
from sargraph.events.events import Events

HISTORY_EDGES = (0, 5, 20)
"""Longest history of each bucket but the last: 0, 1-5, 6-20, over 20."""

MIN_REQUESTS, MIN_USERS = 500, 100
"""A slice with fewer prints "too few" instead of a figure."""


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
    slices: dict[str, BoolArray] = {}
    low = 0
    for edge in edges:
        name = f"history {low}" if low == edge else f"history {low}-{edge}"
        slices[name] = (lengths >= low) & (lengths <= edge)
        low = edge + 1
    return slices | {f"history >{low - 1}": lengths >= low}


def quartile_edges(lengths: IntArray) -> tuple[int, ...]:
    """Distinct quartiles of the lengths, to be passed to `history_slices`."""
    if len(lengths) == 0:
        return HISTORY_EDGES
    quartiles = np.quantile(lengths, [0.25, 0.5, 0.75], method="inverted_cdf")
    return tuple(int(edge) for edge in np.unique(quartiles))


def new_interests(events: Events, visible: BoolArray, requests: Requests) -> BoolArray:
    """True where the target shares no term with what the user did or typed before, bool [n].

    A target without terms is no new interest: nothing is known of it. Visible events count with
    the terms of their item and of their query; the request's own query does not count.
    Cost: O(terms of the visible events, sorted).
    """
    users, terms, times = _typed_and_chosen(events, visible)
    num_terms = max(len(events.terms), 1)
    pairs, first = np.unique(users * num_terms + terms, return_index=True)
    earliest = times[first]
    wanted = events.item_terms.take(requests.target)
    request = wanted.row_of_value
    key = requests.user[request] * num_terms + wanted.values
    place = np.minimum(np.searchsorted(pairs, key), max(len(pairs) - 1, 0))
    if len(pairs) == 0:
        return wanted.lengths > 0
    as_of = _after_untimed(requests.as_of)[request]
    known = (pairs[place] == key) & (earliest[place] < as_of)
    num_known = np.bincount(request[known], minlength=len(requests))
    return np.asarray((wanted.lengths > 0) & (num_known == 0))


def too_few(
    num_requests: int,
    num_users: int,
    min_requests: int = MIN_REQUESTS,
    min_users: int = MIN_USERS,
) -> bool:
    """True where a slice is too small for a figure."""
    return num_requests < min_requests or num_users < min_users


def _typed_and_chosen(events: Events, visible: BoolArray) -> tuple[IntArray, IntArray, IntArray]:
    """(user, term, time) of the terms in visible events, earliest first within each user."""
    rows = np.flatnonzero(visible)
    parts = [
        _expand(events, rows[events.is_positive[rows]], events.item, events.item_terms),
        _expand(events, rows[events.query[rows] != NO_ROW], events.query, events.query_terms),
    ]
    event, terms = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(event, kind="stable")  # rows of events rise with time within a user
    return events.user[event[order]], terms[order], events.time[event[order]]


def _expand(
    events: Events, rows: IntArray, column: IntArray, terms: Ragged
) -> tuple[IntArray, IntArray]:
    """(event, term) pairs of the given events, whose terms hang on one of their columns."""
    taken = terms.take(column[rows])
    return rows[taken.row_of_value], taken.values


def _after_untimed(as_of: IntArray) -> IntArray:
    """`as_of` such that untimed events are strictly before it, whatever it is."""
    return np.maximum(as_of, NO_TIME + 1)


def _own_is_visible(events: Events, visible: BoolArray, requests: Requests) -> BoolArray:
    own = requests.event
    return np.where(own == NO_ROW, False, visible[own] & (events.user[own] == requests.user))


def _own_before(events: Events, requests: Requests) -> BoolArray:
    return np.asarray(events.time[requests.event] < _after_untimed(requests.as_of))
