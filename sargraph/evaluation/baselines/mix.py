"""Mix: two scorers added, each in units of its own spread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from sargraph.core.rng import make_rng
from sargraph.core.scorer import Requests, Scorer
from sargraph.core.types import NO_ROW, FloatArray, IntArray
from sargraph.events.events import Events
from sargraph.events.split import TRAIN, Split, requests_for

WEIGHTS = tuple(float(w) for w in np.linspace(0, 1, 11))
"""The weights of the second scorer that are tried."""

_SAMPLE_REQUESTS, _SAMPLE_ITEMS = 256, 4096


class Mix:
    """score(i) = (1 - weight) first(i) / spread_1 + weight second(i) / spread_2.

    The spreads are numbers fixed beforehand (see `spread`), so that a candidate's score does not
    depend on the other candidates. They are the same for all requests: a request whose second
    scores are large (a long history) leans on the second scorer more, as a linear model would.
    A spread of 0 leaves its scorer out. Cost: that of both.
    """

    def __init__(
        self,
        first: Scorer,
        second: Scorer,
        weight: float,
        spreads: tuple[float, float],
        name: str | None = None,
    ) -> None:
        self.name = name or f"{first.name} + {second.name}"
        self.first, self.second, self.weight = first, second, weight
        self._factors = [
            share / size if size > 0 else 0.0
            for share, size in zip((1 - weight, weight), spreads, strict=True)
        ]

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """The weighted sum of both scorers' scores, float32 [n, c]."""
        total = np.zeros(candidates.shape)
        valid = candidates != NO_ROW
        for factor, scorer in zip(self._factors, (self.first, self.second), strict=True):
            if factor:  # a weight of 0 gives the other scorer's ranking exactly
                scores = np.asarray(scorer.score(requests, candidates), dtype=np.float64)
                total += factor * np.where(valid, scores, 0.0)
        return np.where(valid, total, -np.inf).astype(np.float32)


def spread(
    scorer: Scorer, events: Events, split: Split, task: Literal["search", "recommend"], seed: int
) -> float:
    """How far apart a scorer puts the items of one training request.

    sqrt(mean over requests of the variance of the scores over items), for at most 256 training
    requests of the task and 4,096 items of the catalogue, drawn by the seed. 0 without a request.
    Cost: about a million scores.
    """
    rng = make_rng(seed, "mix", "spread")
    requests = requests_for(events, split, TRAIN, task)
    drawn = rng.permutation(len(requests))[:_SAMPLE_REQUESTS]
    items = rng.permutation(len(events.items))[:_SAMPLE_ITEMS].astype(np.int64)
    if len(drawn) == 0:
        return 0.0
    candidates = np.broadcast_to(items, (len(drawn), len(items)))
    scores = scorer.score(requests.take(np.sort(drawn)), candidates)
    return float(np.sqrt(scores.astype(np.float64).var(axis=1).mean()))


def tune_mix(
    first: Scorer,
    second: Scorer,
    spreads: tuple[float, float],
    validate: Callable[[Scorer], float],
    weights: Sequence[float] = WEIGHTS,
    name: str | None = None,
) -> Mix:
    """The mix with the weight that `validate` (higher is better) likes best.

    Equal scores go to the first weight in the list. `validate` must not see the test part.
    """
    mixes = [Mix(first, second, weight, spreads, name) for weight in weights]
    scores = [validate(mix) for mix in mixes]
    return mixes[int(np.argmax(scores))]
