"""Which items each user chose: the pairs that are no negatives, and those that are no news."""

from __future__ import annotations

import numpy as np

from sargraph.core.ragged import Ragged
from sargraph.core.types import BoolArray
from sargraph.events.events import Events


def known_positives(events: Events) -> Ragged:
    """User row -> distinct rows of the items the user ever chose, ascending. Cost: one sort."""
    return seen_items(events, np.ones(len(events), dtype=bool))


def seen_items(events: Events, mask: BoolArray) -> Ragged:
    """User row -> distinct rows of the items the user chose in the masked events, ascending.

    Impressions that were not chosen do not count as seen. `mask` bool [n events].
    """
    rows = np.flatnonzero(mask & events.is_positive)
    num_items = max(len(events.items), 1)
    pairs = np.unique(events.user[rows] * num_items + events.item[rows])
    return Ragged.group(pairs // num_items, pairs % num_items, len(events.users))
