"""SKNN, V-SKNN and STAN: what users with a like session chose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np
from pydantic import Field

from sargraph.core.config import Config
from sargraph.core.scorer import Requests
from sargraph.core.types import DoubleArray, FloatArray, IntArray
from sargraph.evaluation.baselines.choices import Source
from sargraph.evaluation.baselines.session_kernel import Probes, Rule, score_sessions
from sargraph.evaluation.baselines.session_store import (
    CurrentSessions,
    Unit,
    has_clock,
    stored_sessions,
)
from sargraph.evaluation.term_matrix import inverse
from sargraph.events.events import Events
from sargraph.events.split import Split

_DAY = 86_400_000
"""Milliseconds."""

Weighting: TypeAlias = Literal["same", "div", "linear", "quadratic", "log"]


class SKNNConfig(Config):
    """Settings of SKNN."""

    k: int = Field(100, ge=1)
    """Neighbours whose items are scored."""
    max_sessions: int | None = Field(5000, ge=1)
    """Of the sessions that share an item, the latest so many are compared; none = all, as always
    in a log without a clock, where no session is later than another."""
    max_events: int | None = Field(50, ge=1)
    """Latest events of a request's session that are read; none = all."""
    unit: Unit = "user"
    """A stored session is all that a user chose, or what was chosen in one session."""
    source: Source = "both"
    """Where the choices were made, in training and in histories."""


class VSKNNConfig(SKNNConfig):
    """Settings of V-SKNN."""

    weighting: Weighting = "div"
    """How an item of the request's session counts by its place in the similarity."""
    lead_weighting: Weighting = "div"
    """How a neighbour counts by the place of the latest item that it shares."""
    by_length: bool = True
    """Divide by sqrt(|s| |n|) as SKNN does; false = by |s| alone, as the authors' code does."""
    idf_weight: float = Field(0.0, ge=0)
    """How much more items count that few sessions hold."""


class STANConfig(SKNNConfig):
    """Settings of STAN."""

    position_decay: float = Field(1.02, gt=0)
    """Places from the end of the request's session after which an item counts 1/e (λ1)."""
    time_decay: float | None = Field(5.0, gt=0)
    """Days between the ends of two sessions after which a neighbour counts 1/e (λ2); none = no
    factor of time, as always in a log without a clock."""
    item_decay: float = Field(2.05, gt=0)
    """Places from the latest shared item in a neighbour after which an item counts 1/e (λ3)."""


class SKNN:
    """score(i) = sum over the k nearest sessions n that hold i of |s ∩ n| / sqrt(|s| |n|).

    s is the request's session, what its user chose before (`max_events`), n a session of another
    user in training, both as sets of items. In a log with a clock n holds only what was chosen
    strictly before the request, and n is one of the `max_sessions` that were active last. Equally
    near sessions (in float32) are taken by row. Items of s are scored as well.
    Cost: see `score_sessions`; memory a few numbers for each training choice.
    Raises BadInputError for unit "session" in a log without sessions.
    Source: Jannach and Ludewig, When Recurrent Neural Networks meet the Neighborhood for
    Session-Based Recommendation (RecSys 2017).
    """

    name = "SKNN"

    def __init__(self, events: Events, split: Split, config: SKNNConfig | None = None) -> None:
        self.config = config = config or SKNNConfig()
        self._sessions = _Sessions(events, split, config)

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Sums of similarities, float32 [n, c]; 0 without a history, -inf for padding."""
        return self._sessions.score(requests, candidates, _same, _same, _cosine)


class VSKNN:
    """score(i) = f(i) times the sum over the k nearest sessions n that hold i of v(n) sim(s, n).

    sim(s, n) = sum over i in s ∩ n of w(i) / sqrt(|s| |n|), or the sum / |s| without `by_length`.
    With L the events of s, an item whose latest place is p (1 = oldest) has w(i) = p / L ("div"),
    max(0, 1 - (L - p) / 10) ("linear"), (p / L)^2 ("quadratic"), 1 / log10(L - p + 1.7) ("log") or
    1 ("same"). v(n) depends on the latest item that n shares, the step = L - p + 1 from the end:
    1 / step, max(0, 1 - step / 10), 1 / step^2, 1 / log10(step + 1.7) or 1.
    f(i) = 1 + idf_weight ln(sessions / sessions that hold i), both before the request.
    Neighbours, cost and errors as in SKNN; sessions of similarity 0 are none.
    Source: Ludewig and Jannach, Evaluation of session-based recommendation algorithms (User
    Modeling and User-Adapted Interaction, 2018).
    """

    name = "V-SKNN"

    def __init__(self, events: Events, split: Split, config: VSKNNConfig | None = None) -> None:
        self.config = config = config or VSKNNConfig()
        self._sessions = _Sessions(
            events, split, config, by_length=config.by_length, idf_weight=config.idf_weight
        )

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Weighted sums of similarities, float32 [n, c]; 0 without a history, -inf for padding."""
        weight, lead = _WEIGHTS[self.config.weighting], _LEADS[self.config.lead_weighting]
        scale = _cosine if self.config.by_length else _mean
        return self._sessions.score(requests, candidates, weight, lead, scale)


class STAN:
    """score(i) = sum over the k nearest sessions n that hold i of sim(s, n) exp(-|q_i - q*| / λ3).

    sim(s, n) = sum over i in s ∩ n of w(i) / (sqrt(sum over s of w^2) sqrt|n|)
    exp(-|t_s - t_n| / λ2), with w(i) = exp((p_i - L) / λ1), p_i the latest place of i among the L
    events of s, t_s and t_n the times of the newest events of s and of n, q_i the latest place of
    i in n, and q* that of the latest item of n that s holds. Without a clock, or where s or n has
    no time, there is no factor of time. Scores are float32: a neighbour over 100 λ2 away counts 0.
    Neighbours, cost and errors as in SKNN.
    Source: Garg et al., Sequence and Time Aware Neighborhood for Session-based Recommendations:
    STAN (SIGIR 2019).
    """

    name = "STAN"

    def __init__(self, events: Events, split: Split, config: STANConfig | None = None) -> None:
        self.config = config = config or STANConfig()
        time_decay = np.inf if config.time_decay is None else config.time_decay * _DAY
        self._sessions = _Sessions(
            events, split, config, time_decay=time_decay, item_decay=config.item_decay
        )

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Decayed sums of similarities, float32 [n, c]; 0 without a history, -inf for padding."""
        return self._sessions.score(requests, candidates, self._weight, _same, _unit)

    def _weight(self, place: IntArray, length: IntArray) -> DoubleArray:
        return np.exp((place - length) / self.config.position_decay)


class _Sessions:
    """What the three have in common: the stored sessions, and the way to ask them."""

    def __init__(
        self,
        events: Events,
        split: Split,
        config: SKNNConfig,
        *,
        by_length: bool = True,
        idf_weight: float = 0.0,
        time_decay: float = np.inf,
        item_decay: float = np.inf,
    ) -> None:
        self._stored = stored_sessions(events, split, config.source, config.unit)
        self._current = CurrentSessions.of(events, split, config.source, config.max_events)
        longest = int(np.diff(self._stored.offsets).max(initial=0))
        self._rule = Rule(
            k=config.k,
            max_sessions=(config.max_sessions or 0) if has_clock(events) else 0,
            by_length=by_length,
            time_decay=float(time_decay),
            by_distance=np.exp(-np.arange(longest) / item_decay),
            idf_weight=float(idf_weight),
        )

    def score(
        self,
        requests: Requests,
        candidates: IntArray,
        weight: Callable[[IntArray, IntArray], DoubleArray],
        lead: Callable[[IntArray, IntArray], DoubleArray],
        scale: Callable[[IntArray, DoubleArray], DoubleArray],
    ) -> FloatArray:
        """Scores of the candidates, float32 [n, c]; see `CurrentSessions.probes`."""
        scores = np.zeros(candidates.shape, dtype=np.float32)
        if candidates.size == 0:
            return scores
        probes: Probes = self._current.probes(requests, weight, lead, scale)
        shared = candidates.strides[0] == 0
        lists = np.require(candidates[:1] if shared else candidates, np.int64, ["C", "W"])
        score_sessions(probes, self._stored, self._rule, lists, scores)
        return scores


def _same(place: IntArray, length: IntArray) -> DoubleArray:
    return np.ones(len(place))


_WEIGHTS: dict[Weighting, Callable[[IntArray, IntArray], DoubleArray]] = {
    "same": _same,
    "div": lambda place, length: place / length,
    "linear": lambda place, length: np.maximum(0.0, 1 - (length - place) / 10),
    "quadratic": lambda place, length: (place / length) ** 2,
    "log": lambda place, length: 1 / np.log10(length - place + 1.7),
}
_LEADS: dict[Weighting, Callable[[IntArray, IntArray], DoubleArray]] = {
    "same": _same,
    "div": lambda place, length: 1 / (length - place + 1),
    "linear": lambda place, length: np.maximum(0.0, 1 - (length - place + 1) / 10),
    "quadratic": lambda place, length: 1 / (length - place + 1) ** 2,
    "log": lambda place, length: 1 / np.log10(length - place + 2.7),
}
"""Weights by place; published for places and for steps from the end."""


def _cosine(size: IntArray, squares: DoubleArray) -> DoubleArray:
    return np.sqrt(inverse(size.astype(np.float64)))


def _mean(size: IntArray, squares: DoubleArray) -> DoubleArray:
    return inverse(size.astype(np.float64))


def _unit(size: IntArray, squares: DoubleArray) -> DoubleArray:
    return np.sqrt(inverse(squares))
