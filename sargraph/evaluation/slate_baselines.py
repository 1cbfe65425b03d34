"""Baselines that re-rank what was shown: as it stood, the cheapest first, the latest touched first.

They know a candidate by the event of its request, so they answer any choice of the requests of
their slates, in any order. A candidate that was not shown at its request has the score NaN, which
earns nothing and is counted; padding (-1) scores -inf.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from sargraph.core.errors import DataError
from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, NO_TIME, BoolArray, DoubleArray, FloatArray, IntArray
from sargraph.evaluation.slates import Slates
from sargraph.events.events import Events

_DEAREST = float(np.finfo(np.float32).max)


class ShownOrder:
    """The order of the page: score(i) = -(place of i in the slate, from 0).

    Its score is what the platform's own ranking earned from the users who saw it, and is favoured
    by them: people look at the top first.
    """

    name = "shown order"

    def __init__(self, slates: Slates) -> None:
        self._slates = slates
        self._place = _places(slates)

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Negative places, float32 [n, c]."""
        return _looked_up(self._slates, -self._place, requests, candidates)


class PriceOrder:
    """The cheapest first: score(i) = -(price of i as it was shown).

    Equal prices are left as ties; items whose price is unknown stand last, and tie.
    Raises DataError where the log has no prices.
    """

    name = "price order"

    def __init__(self, slates: Slates) -> None:
        if slates.price is None:
            raise DataError(
                "price order needs prices, and these events have none; ingest the log with a "
                "recipe that names `price` or `slate_price`"
            )
        self._slates = slates
        known = np.asarray(slates.price, dtype=np.float64)
        self._price: DoubleArray = np.where(np.isnan(known), _DEAREST, known)

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Negative prices, float32 [n, c]."""
        return _looked_up(self._slates, -self._price, requests, candidates)


class RecentlyTouched:
    """The items that the user chose most recently first, then the others.

    An item is touched by each visible choice of the user (click, play, like, purchase; no
    impression) strictly before `as_of`, in this session or an earlier one. With t(i) the latest of
    them, the touched items of a slate are ranked by t(i); at equal times the one later in the log
    is the more recent. `then` says how the untouched ones follow: in shown order, or as ties.
    `visible` bool [n events] says which choices count (such as `Split.visible`; all without it).
    Cost: O(n c log events).
    """

    def __init__(
        self,
        events: Events,
        slates: Slates,
        visible: BoolArray | None = None,
        *,
        then: Literal["shown", "ties"] = "shown",
    ) -> None:
        self.name = f"recently touched, then {'shown order' if then == 'shown' else 'ties'}"
        self._slates = slates
        place = _places(slates)
        # From 0 down to, but not at, -1: below every touched item, whose scores begin at 1.
        lengths = slates.shown.lengths[slates.shown.row_of_value]
        self._rest: DoubleArray = -place / lengths if then == "shown" else np.zeros(len(place))
        chosen = events.is_positive if visible is None else events.is_positive & visible
        self._touches = _Touches(events, np.flatnonzero(chosen))

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Place by recency (the most recent the highest), else at most 0; float32 [n, c]."""
        scores = _looked_up(self._slates, self._rest, requests, candidates)
        latest = self._touches.latest(requests, candidates)
        rank = 1 + np.argsort(np.argsort(latest, axis=1, kind="stable"), axis=1, kind="stable")
        touched = (latest != NO_ROW) & np.isfinite(scores)
        scores[touched] = rank[touched]
        return scores


class _Touches:
    """The event rows of choices, sorted by (user, item, time), with one rising key for these."""

    def __init__(self, events: Events, rows: IntArray) -> None:
        self._num_items = len(events.items)
        pair = events.user[rows] * self._num_items + events.item[rows]
        order = np.argsort(pair, kind="stable")  # rows rise with time within a user
        self.rows = rows[order]
        self._pairs = np.unique(pair)
        self._times = np.unique(events.time[rows])
        self._keys = self._key(pair[order], events.time[self.rows])

    def _key(self, pair: IntArray, time: IntArray) -> IntArray:
        width = len(self._times) + 1
        return np.asarray(
            np.searchsorted(self._pairs, pair) * width + np.searchsorted(self._times, time)
        )

    def latest(self, requests: Requests, candidates: IntArray) -> IntArray:
        """The event row of the user's latest choice of each candidate before `as_of`, -1 = none."""
        if len(self.rows) == 0:
            return np.full(candidates.shape, NO_ROW, dtype=np.int64)
        pair = requests.user[:, None] * self._num_items + candidates
        slot = np.minimum(np.searchsorted(self._pairs, pair), len(self._pairs) - 1)
        as_of = np.maximum(requests.as_of, NO_TIME + 1)[:, None]  # untimed: before everything
        before = np.searchsorted(self._keys, self._key(pair, as_of)) - 1
        # The touch before the key is of this pair, unless the pair has none so early.
        first = np.searchsorted(self._keys, slot * (len(self._times) + 1))
        found = (self._pairs[slot] == pair) & (candidates >= 0) & (before >= first)
        return np.where(found, self.rows[before], NO_ROW)


def _places(slates: Slates) -> DoubleArray:
    """The place of each shown item in its slate, from 0."""
    shown = slates.shown
    starts = shown.offsets[:-1][shown.row_of_value]
    return np.asarray(np.arange(len(shown.values)) - starts, dtype=np.float64)


def _looked_up(
    slates: Slates, values: DoubleArray, requests: Requests, candidates: IntArray
) -> FloatArray:
    """The value of each candidate at its request: NaN where it was not shown, -inf for padding."""
    at = slates.find(requests, candidates)
    scores = np.append(values, np.nan)[at]  # -1 is the last
    return np.where(candidates == NO_ROW, -np.inf, scores).astype(np.float32)
