"""Hot, warm and cold: requests by what training, features and history know of an item or a user."""

from __future__ import annotations

import numpy as np

from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, BoolArray, IntArray
from sargraph.events.events import Events


def item_slices(events: Events, is_train: BoolArray, requests: Requests) -> dict[str, BoolArray]:
    """Requests by their target: `item hot` (has training events), `item warm` (none, but terms or
    categories), `item cold` (nothing is known of it). `is_train` bool [n events]; masks bool [n].
    """
    has_features = events.item_terms.lengths > 0
    if events.categories is not None:
        has_features = has_features | (events.categories.of_item.lengths > 0)
    trained = _trained(events.item, is_train, len(events.items))
    return _apart("item", trained[requests.target], has_features[requests.target])


def user_slices(
    events: Events, is_train: BoolArray, has_history: BoolArray, requests: Requests
) -> dict[str, BoolArray]:
    """Requests by their user: `user hot` (has training events), `user warm` (none, but a history
    before `as_of` or users that they follow), `user cold` (nothing is known of them).

    `has_history` bool [n]: any visible event of the user strictly before `as_of`, see
    `slices.history_lengths`; masks bool [n].
    """
    known = has_history
    if events.follows is not None:
        known = known | (events.follows.lengths > 0)[requests.user]
    trained = _trained(events.user, is_train, len(events.users))
    return _apart("user", trained[requests.user], known)


def _trained(rows: IntArray, is_train: BoolArray, size: int) -> BoolArray:
    used = rows[is_train & (rows != NO_ROW)]
    return np.asarray(np.bincount(used, minlength=size) > 0)


def _apart(name: str, hot: BoolArray, known: BoolArray) -> dict[str, BoolArray]:
    return {f"{name} hot": hot, f"{name} warm": ~hot & known, f"{name} cold": ~hot & ~known}
