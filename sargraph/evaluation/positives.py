"""Which items each user chose: the pairs that are no negatives, and those that are no news."""

from __future__ import annotations

import numpy as np

from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, NO_TIME, BoolArray
from sargraph.events.events import Events
from sargraph.events.split import TRAIN, VALID, Split


def known_positives(events: Events) -> Ragged:
    """User row -> distinct rows of the items the user ever chose, ascending. Cost: one sort."""
    return seen_items(events, np.ones(len(events), dtype=bool))


def chosen_until_validation(events: Events, split: Split) -> Ragged:
    """As `known_positives`, of training and validation alone: what validation may know.

    Negatives that avoided test choices would let early stopping and tuning read the test part.
    """
    return seen_items(events, (split.part == TRAIN) | (split.part == VALID))


def seen_items(events: Events, mask: BoolArray) -> Ragged:
    """User row -> distinct rows of the items the user chose in the masked events, ascending.

    Impressions that were not chosen do not count as seen. `mask` bool [n events].
    """
    rows = np.flatnonzero(mask & events.is_positive)
    num_items = max(len(events.items), 1)
    pairs = np.unique(events.user[rows] * num_items + events.item[rows])
    return Ragged.group(pairs // num_items, pairs % num_items, len(events.users))


def chosen_before(events: Events, visible: BoolArray, requests: Requests) -> BoolArray:
    """True where the user chose the target strictly before `as_of`, in either source, bool [n].

    `visible` bool [n events] says which events may stand in a history. Untimed events count as
    before; the request's own event never counts. Cost: one sort of the visible choices.
    """
    num_items = max(len(events.items), 1)
    counted = visible & events.is_positive
    rows = np.flatnonzero(counted)
    pair = events.user[rows] * num_items + events.item[rows]
    wanted, place = np.unique(requests.user * num_items + requests.target, return_inverse=True)
    asked = np.isin(pair, wanted)
    rows, pair = rows[asked], np.searchsorted(wanted, pair[asked])
    times = np.unique(events.time[rows])
    width = len(times) + 1
    keys = np.sort(pair * width + np.searchsorted(times, events.time[rows]))
    # Untimed events stand before every request, whatever its time.
    as_of = np.maximum(requests.as_of, NO_TIME + 1)
    first = place.astype(np.int64) * width
    before = np.searchsorted(keys, first + np.searchsorted(times, as_of))
    own = requests.event
    is_own = own != NO_ROW
    if len(events):
        same = (events.user[own] == requests.user) & (events.item[own] == requests.target)
        is_own &= counted[own] & same & (events.time[own] < as_of)
    return np.asarray(before - np.searchsorted(keys, first) > is_own)
