"""Slates: requests together with the items that the user was shown, for re-ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, BoolArray, FloatArray, IntArray
from sargraph.events.events import Events
from sargraph.events.schema import IMPRESSION, POSITIVE_ACTIONS

_LAST = np.iinfo(np.int64).max

NO_QUERY = "searches without a query"
NO_MOMENT = "without a time or a session"
ALONE = "nothing else shown"
NOT_SHOWN = "not among the shown"
CLASH = "several lists at one time"


@dataclass(frozen=True)
class Slates:
    """Requests, and the items shown at each.

    `shown` (n rows): item rows in shown order, each once, the target among them. `price` float32
    [items shown in all] is the price of each, NaN = unknown, None where the log has none. `counts`:
    the choices looked at, those left out by reason, and the requests.
    """

    requests: Requests
    shown: Ragged
    price: FloatArray | None = None
    counts: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.requests)

    @cached_property
    def _index(self) -> tuple[IntArray, IntArray, IntArray, IntArray, int]:
        """Events of the requests and keys of (request, item), sorted, each with its order."""
        by_event = np.argsort(self.requests.event, kind="stable")
        width = int(self.shown.values.max(initial=0)) + 1
        keys = self.shown.row_of_value * width + self.shown.values
        order = np.argsort(keys, kind="stable")
        return self.requests.event[by_event], by_event, keys[order], order, width

    def find(self, requests: Requests, candidates: IntArray) -> IntArray:
        """Where each candidate [n, c] stands in `shown.values`; -1 = it was not shown, int64.

        Requests are known by their event, so they may come in any order and choice.
        Cost: O(n c log(items shown)).
        """
        events, by_event, keys, order, width = self._index
        if len(keys) == 0:
            return np.full(candidates.shape, NO_ROW, dtype=np.int64)
        at = np.minimum(np.searchsorted(events, requests.event), len(events) - 1)
        is_known = (events[at] == requests.event)[:, None] & (candidates >= 0)
        wanted = by_event[at][:, None] * width + candidates
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        is_known &= (keys[place] == wanted) & (candidates < width)
        return np.where(is_known, order[place], NO_ROW)


def slate_requests(
    events: Events,
    chosen: BoolArray | IntArray,
    source: Literal["search", "recommend"] | None = None,
    *,
    actions: Sequence[int] = POSITIVE_ACTIONS,
) -> Slates:
    """One request per choice among items that were shown together: "which of these?"

    `chosen` names the events that may be targets (mask or rows), such as `split.rows(TEST)`; those
    of `source` (both without it) with an action of `actions` are. What was shown are the
    impressions, of any part, with the user, session and time of the choice, and the item chosen;
    other items chosen at that time, by any positive action, are no negatives and stay out (but for
    a choice without a position where the shown have some: it was made elsewhere). They stand in
    the order of their positions; where the log has none at that time, in the order of the log.

    Left out and counted: choices without a time or a session, with nothing else shown, whose item
    has no position where the others have one, and those whose items claim one position twice (two
    lists at one time that cannot be told apart). `as_of` is the time of the choice.
    Cost: O(events + items shown, sorted).
    """
    targets, counts = _targets(events, chosen, source, actions)
    owner, row = _shown_beside(events, targets)
    slot = np.concatenate([owner, np.arange(len(targets))])
    row = np.concatenate([row, targets])
    place = _places(events, row)
    order = np.lexsort((row, place, slot))
    shown = Ragged.group(slot[order], row[order], len(targets))
    fits = _put_away(shown, place[order], _places(events, targets), counts)
    kept = shown.take(fits)
    counts["requests"] = len(fits)
    return Slates(
        _requests(events, targets[fits]),
        Ragged(events.item[kept.values], kept.offsets),
        None if events.price is None else events.price[kept.values],
        counts,
    )


def _targets(
    events: Events, chosen: BoolArray | IntArray, source: str | None, actions: Sequence[int]
) -> tuple[IntArray, dict[str, int]]:
    """Event rows of the choices that can have a slate, rising, and the counts so far."""
    rows = np.unique(np.arange(len(events), dtype=np.int64)[chosen])
    rows = rows[np.isin(events.columns["action"][rows], actions) & (events.item[rows] != NO_ROW)]
    if source is not None:
        rows = rows[(events.is_search if source == "search" else events.is_recommend)[rows]]
    counts = {"choices": len(rows)}
    asks = events.is_recommend[rows] | (events.query[rows] != NO_ROW)
    counts[NO_QUERY] = int((~asks).sum())
    rows = rows[asks]
    fits = events.is_timed[rows] & (events.session[rows] != NO_ROW)
    counts[NO_MOMENT] = int((~fits).sum())
    return rows[fits], counts


def _requests(events: Events, rows: IntArray) -> Requests:
    query = np.where(events.is_search[rows], events.query[rows], NO_ROW)
    return Requests(events.user[rows], query, events.time[rows], events.item[rows], rows)


def _places(events: Events, rows: IntArray) -> IntArray:
    """Positions, an unknown one behind all others."""
    position = events.columns["position"][rows].astype(np.int64)
    return np.where(position == NO_ROW, _LAST, position)


def _shown_beside(events: Events, targets: IntArray) -> tuple[IntArray, IntArray]:
    """(place in `targets`, event row) of the other items shown at each target, each item once.

    Items chosen from the same list are left out.
    """
    moment = _moments(events)
    is_shown = (events.columns["action"] == IMPRESSION) & (events.item != NO_ROW)
    rows = np.flatnonzero(is_shown & np.isin(moment, moment[targets]))
    rows = rows[np.lexsort((_places(events, rows), moment[rows]))]
    low, high = (np.searchsorted(moment[rows], moment[targets], side=s) for s in ("left", "right"))
    lengths = high - low
    owner = np.repeat(np.arange(len(targets)), lengths)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    row = rows[np.repeat(low, lengths) + within]
    first = np.zeros(len(row), dtype=bool)
    first[np.unique(owner * len(events.items) + events.item[row], return_index=True)[1]] = True
    kept = first & (events.item[row] != events.item[targets][owner])
    placed = moment[rows[events.columns["position"][rows] != NO_ROW]]
    kept &= ~_chosen_then(events, moment, moment[targets][owner], events.item[row], placed)
    return owner[kept], row[kept]


def _chosen_then(
    events: Events, moment: IntArray, when: IntArray, item: IntArray, placed: IntArray
) -> BoolArray:
    """True where the item was chosen from the list of that moment; `placed`: lists with places.

    A choice without a place where the list has some was made elsewhere, such as on an item's page.
    """
    chosen = np.flatnonzero(events.is_positive & np.isin(moment, when))
    from_list = (events.columns["position"][chosen] != NO_ROW) | ~np.isin(moment[chosen], placed)
    chosen = chosen[from_list]
    moments = np.unique(when)
    width = max(len(events.items), 1)
    pairs = np.searchsorted(moments, moment[chosen]) * width + events.item[chosen]
    return np.isin(np.searchsorted(moments, when) * width + item, pairs)


def _moments(events: Events) -> IntArray:
    """One number for each (user, time, session) of events sorted by user and time, int64 [n]."""
    changes = (np.diff(events.user) != 0) | (np.diff(events.time) != 0)
    run = np.concatenate([np.zeros(min(len(events), 1), np.int64), np.cumsum(changes)])
    return run * (int(events.session.max(initial=NO_ROW)) + 2) + events.session + 1


def _put_away(shown: Ragged, place: IntArray, own: IntArray, counts: dict[str, int]) -> IntArray:
    """Rows of the slates that can be used; counts the others under their first fault.

    `place` of each shown item in order, `own` that of each target.
    """
    owner, size = shown.row_of_value, len(shown)
    repeats = (place[1:] == place[:-1]) & (place[1:] != _LAST) & (owner[1:] == owner[:-1])
    has_places = np.bincount(owner[place != _LAST], minlength=size) > 0
    faults = {
        ALONE: shown.lengths < 2,
        NOT_SHOWN: has_places & (own == _LAST),
        CLASH: np.bincount(owner[1:][repeats], minlength=size) > 0,
    }
    fits = np.ones(size, dtype=bool)
    for reason, bad in faults.items():
        counts[reason] = int((fits & bad).sum())
        fits &= ~bad
    return np.flatnonzero(fits)
