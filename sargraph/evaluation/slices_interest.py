"""New interests: targets that share nothing with what the user did or typed before."""

from __future__ import annotations

import numpy as np

from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, NO_TIME, BoolArray, IntArray
from sargraph.events.events import Events
from sargraph.events.searches import search_numbers


def new_interests(events: Events, visible: BoolArray, requests: Requests) -> BoolArray:
    """True where the target shares no category or term with the user's history, bool [n].

    A target without categories and terms is no new interest: nothing is known of it; to a user
    without a history every other target is new. Chosen items count with their categories (of any
    level) and terms, queries with their terms; only `visible` events strictly before `as_of` do,
    and none of the request's own search (`search_numbers`), however long before the click it began.
    Cost: O(features of the visible events, sorted).
    """
    features = item_features(events)
    number = search_numbers(events)
    event, found = _typed_and_chosen(events, visible, features)
    wanted = features.take(requests.target)
    if len(found) == 0:
        return wanted.lengths > 0
    width = max(int(found.max()), int(wanted.values.max(initial=0))) + 1
    known_since = _KnownSince(events.user[event] * width + found, number[event], events.time[event])
    request = wanted.row_of_value
    own = np.where(requests.event != NO_ROW, number[requests.event], NO_ROW)[request]
    # Untimed events stand before every request, whatever its time.
    as_of = np.maximum(requests.as_of, NO_TIME + 1)[request]
    known = known_since.before(requests.user[request] * width + wanted.values, own, as_of)
    num_known = np.bincount(request[known], minlength=len(requests))
    return np.asarray((wanted.lengths > 0) & (num_known == 0))


class _KnownSince:
    """When each user first met each feature, and when first in another search than then.

    Takes (pair, search, time) of all occurrences, -1 for those outside search, the earliest first.
    """

    def __init__(self, pair: IntArray, search: IntArray, time: IntArray) -> None:
        order = np.argsort(pair, kind="stable")
        pair, search, time = pair[order], search[order], time[order]
        self._pairs, first = np.unique(pair, return_index=True)
        self._search, self._time = search[first], time[first]
        lengths = np.diff(np.r_[first, len(pair)])
        is_other = search != np.repeat(self._search, lengths)
        later = np.where(is_other, time, np.iinfo(np.int64).max)
        self._elsewhere = np.minimum.reduceat(later, first)

    def before(self, pair: IntArray, own: IntArray, as_of: IntArray) -> BoolArray:
        """True where the pair was met strictly before `as_of` outside the search `own` (or -1)."""
        place = np.minimum(np.searchsorted(self._pairs, pair), len(self._pairs) - 1)
        in_own = (own != NO_ROW) & (self._search[place] == own)
        since = np.where(in_own, self._elsewhere[place], self._time[place])
        return np.asarray((self._pairs[place] == pair) & (since < as_of))


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
) -> tuple[IntArray, IntArray]:
    """(event, feature) of all features in visible events, earliest first in each user."""
    rows = np.flatnonzero(visible)
    parts = [
        _expand(rows[events.is_positive[rows]], events.item, features),
        _expand(rows[events.query[rows] != NO_ROW], events.query, events.query_terms),
    ]
    event, found = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(event, kind="stable")  # rows of events rise with time within a user
    return event[order], found[order]


def _expand(rows: IntArray, column: IntArray, features: Ragged) -> tuple[IntArray, IntArray]:
    """(event, feature) pairs of the given events, whose features hang on one of their columns."""
    taken = features.take(column[rows])
    return rows[taken.row_of_value], taken.values
