"""Scorers that cheat, each in one way: what an audit that works must catch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, BoolArray, FloatArray, IntArray
from sargraph.events.events import Events
from sargraph.events.split import Split
from sargraph.testing.leak_chance import ConstantVectors


@dataclass(frozen=True)
class Counting:
    """Scores an item by how often the user chose it among the events of a mask.

    `strictly_before` also wants them before the request (`as_of`); without it the whole of the
    mask counts, whenever it was. `query_too` adds the user's searches, by a number of the query.
    `avoid_target` leaves the target's own pair out, as a split with twins asks.
    """

    events: Events
    mask: BoolArray
    strictly_before: bool = False
    ties_too: bool = False
    query_too: bool = False
    order_too: bool = False
    avoid_target: bool = False
    name: str = "counting"

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Counts, float32 [n, c]; -inf for padding."""
        rows = [self._one(requests, candidates, n) for n in range(len(requests))]
        scores = np.array(rows, dtype=np.float32).reshape(candidates.shape)
        return np.where(candidates == NO_ROW, np.float32(-np.inf), scores)

    def _one(self, requests: Requests, candidates: IntArray, n: int) -> FloatArray:
        events, as_of = self.events, requests.as_of[n]
        seen = self.mask & (events.user == requests.user[n])
        if self.strictly_before:
            seen &= (events.time < as_of) | (self.ties_too & (events.time == as_of))
            seen &= np.arange(len(events)) != requests.event[n]
        if self.avoid_target:
            seen &= events.item != requests.target[n]
        chosen = events.item[seen & events.is_positive]
        counts = np.bincount(chosen, minlength=len(events.items) + 1).astype(np.float64)
        if self.query_too:
            counts += 1e-3 * float((events.query[seen] + 1).sum())
        if self.order_too and len(chosen):
            counts[chosen[-1]] += 0.5
        return np.asarray(counts[candidates[n]], dtype=np.float32)


def whole_history(events: Events, split: Split) -> Counting:
    """Reads all that the user ever did, the future included."""
    everything = np.ones(len(events), dtype=np.bool_)
    return Counting(events, everything, query_too=True, order_too=True, name="whole history")


def ties_history(events: Events, split: Split) -> Counting:
    """Reads what happened at the very time of the request, which nobody knew then."""
    return Counting(events, split.visible, strictly_before=True, ties_too=True, name="ties")


def honest_history(events: Events, split: Split) -> Counting:
    """Reads what it may: visible events strictly before the request, no twin of the target."""
    return Counting(
        events, split.visible, strictly_before=True, query_too=True, order_too=True,
        avoid_target=split.twins, name="honest history",
    )  # fmt: skip


def trained_on_everything(events: Events, split: Split) -> Counting:
    """Learns from all events, held out or not; reads no history."""
    return Counting(events, np.ones(len(events), dtype=np.bool_), name="trained on everything")


def twin_reader(events: Events, split: Split) -> Counting:
    """Reads history as it may, but does not leave the target's own pair out of it."""
    return Counting(events, split.visible, strictly_before=True, name="twin reader")


class TargetReader:
    """Gives the point to the very item that the request holds as its target: always rank one."""

    name = "target reader"

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """1 for the target, else 0, float32 [n, c]; -inf for padding."""
        scores = (candidates == requests.target[:, None]).astype(np.float32)
        return np.where(candidates == NO_ROW, np.float32(-np.inf), scores)


class TargetVectors(ConstantVectors):
    """Scores lists honestly, but its vectors, which rank whole catalogues, hold the target."""

    name = "target vectors"

    def encode(self, requests: Requests) -> FloatArray:
        """The target as a number, float32 [n, 1]."""
        return requests.target[:, None].astype(np.float32)
