"""New interests: targets that share nothing with what the user did or typed before."""

from __future__ import annotations

import numpy as np

from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, NO_TIME, BoolArray, IntArray
from sargraph.events.events import Events


def new_interests(events: Events, visible: BoolArray, requests: Requests) -> BoolArray:
    """True where the target shares no category or term with the user's history, bool [n].

    A target without categories and terms is no new interest: nothing is known of it. Chosen items
    count with their categories (of any level) and terms, queries with their terms; only `visible`
    events strictly before `as_of` do, so the request's own query does not.
    Cost: O(features of the visible events, sorted).
    """
    features = item_features(events)
    users, found, times = _typed_and_chosen(events, visible, features)
    wanted = features.take(requests.target)
    if len(found) == 0:
        return wanted.lengths > 0
    width = max(int(found.max()), int(wanted.values.max(initial=0))) + 1
    pairs, first = np.unique(users * width + found, return_index=True)
    earliest = times[first]
    request = wanted.row_of_value
    key = requests.user[request] * width + wanted.values
    place = np.minimum(np.searchsorted(pairs, key), len(pairs) - 1)
    # Untimed events stand before every request, whatever its time.
    as_of = np.maximum(requests.as_of, NO_TIME + 1)[request]
    known = (pairs[place] == key) & (earliest[place] < as_of)
    num_known = np.bincount(request[known], minlength=len(requests))
    return np.asarray((wanted.lengths > 0) & (num_known == 0))


def item_features(events: Events) -> Ragged:
    """Each item's term rows, then its category rows, numbered after all terms."""
    terms = events.item_terms
    if events.categories is None:
        return terms
    categories = events.categories.of_item
    items = np.concatenate([terms.row_of_value, categories.row_of_value])
    values = np.concatenate([terms.values, len(events.terms) + categories.values])
    return Ragged.group(items, values, len(terms))


def _typed_and_chosen(
    events: Events, visible: BoolArray, features: Ragged
) -> tuple[IntArray, IntArray, IntArray]:
    """(user, feature, time) of all features in visible events, earliest first in each user."""
    rows = np.flatnonzero(visible)
    parts = [
        _expand(rows[events.is_positive[rows]], events.item, features),
        _expand(rows[events.query[rows] != NO_ROW], events.query, events.query_terms),
    ]
    event, found = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(event, kind="stable")  # rows of events rise with time within a user
    return events.user[event[order]], found[order], events.time[event[order]]


def _expand(rows: IntArray, column: IntArray, features: Ragged) -> tuple[IntArray, IntArray]:
    """(event, feature) pairs of the given events, whose features hang on one of their columns."""
    taken = features.take(column[rows])
    return rows[taken.row_of_value], taken.values
