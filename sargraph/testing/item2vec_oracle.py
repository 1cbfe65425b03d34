"""Naive oracle of item2vec: pairs, loss, gradient and user means, one number at a time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from sargraph.core.types import DoubleArray

Example = tuple[int, int, list[int]]
"""(centre, context, negatives)"""


def pairs_of_user(
    choices: Sequence[tuple[int, int | None]], window: int
) -> Counter[tuple[int, int]]:
    """How often (centre, context) occurs; `choices` are (item, time), time None where unknown.

    An item without a time belongs to every choice of the user and counts once; timed ones belong
    together when at most `window` apart in the order of time, ties as given.
    """
    untimed = sorted({item for item, time in choices if time is None})
    dated = [(time, place, item) for place, (item, time) in enumerate(choices) if time is not None]
    timed = [item for _, _, item in sorted(dated)]
    found: Counter[tuple[int, int]] = Counter()
    for here, item in enumerate(untimed):
        for other in [*untimed[here + 1 :], *timed]:
            found.update(_both(item, other))
    for here, item in enumerate(timed):
        for there in range(here + 1, min(here + window, len(timed) - 1) + 1):
            found.update(_both(item, timed[there]))
    return found


def _both(one: int, other: int) -> list[tuple[int, int]]:
    return [] if one == other else [(one, other), (other, one)]


class Item2vecOracle:
    """Skip-gram with negative sampling on plain arrays, both [items, dim]."""

    def __init__(self, item: DoubleArray, context: DoubleArray) -> None:
        self.item, self.context = item, context

    def loss(self, examples: Sequence[Example]) -> float:
        """Mean of ln(1 + exp(-x)) of the context and of ln(1 + exp(x)) of each negative."""
        total = 0.0
        for centre, other, label in _labelled(examples):
            product = float(self.item[centre] @ self.context[other])
            total += math.log1p(math.exp(-product if label else product))
        return total / len(examples)

    def gradient(self, examples: Sequence[Example]) -> tuple[DoubleArray, DoubleArray]:
        """Derivatives as the updates of word2vec: sigmoid of the product minus the label."""
        by_item, by_context = np.zeros_like(self.item), np.zeros_like(self.context)
        for centre, other, label in _labelled(examples):
            product = float(self.item[centre] @ self.context[other])
            error = 1 / (1 + math.exp(-product)) - label
            by_item[centre] += error * self.context[other]
            by_context[other] += error * self.item[centre]
        return by_item / len(examples), by_context / len(examples)


def _labelled(examples: Sequence[Example]) -> Iterator[tuple[int, int, int]]:
    """(centre, item, 1 or 0); a negative that is the context itself is no negative."""
    for centre, context, negatives in examples:
        yield centre, context, 1
        yield from ((centre, other, 0) for other in negatives if other != context)


def mean_vector(rows: Sequence[DoubleArray], dim: int) -> DoubleArray:
    """The mean of the rows that are not zero; 0 without one."""
    known = [row for row in rows if any(row)]
    total = np.zeros(dim)
    for row in known:
        total += row / len(known)
    return total
