"""Naive oracle of TransE: distance, loss, gradient and scores, one number at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sargraph.core.types import DoubleArray

Triple = tuple[int, int, int]
"""(head, relation, tail)"""


class TransEOracle:
    """d(h, r, t) = ||h + r - t|| on plain arrays [nodes, dim], [relations, dim]."""

    def __init__(self, node: DoubleArray, relation: DoubleArray) -> None:
        self.node, self.relation = node, relation

    def distance(self, triple: Triple) -> float:
        """How far the step from the head ends from the tail."""
        return math.sqrt(sum(x * x for x in self._gap(triple)))

    def loss(self, pairs: Sequence[tuple[Triple, Triple]], margin: float) -> float:
        """The mean over (known, corrupted) of what is missing to the margin."""
        return sum(self._missing(*pair, margin) for pair in pairs) / len(pairs)

    def gradient(
        self, pairs: Sequence[tuple[Triple, Triple]], margin: float
    ) -> tuple[DoubleArray, DoubleArray]:
        """Derivatives of the loss by nodes and by relations."""
        by_node, by_relation = np.zeros_like(self.node), np.zeros_like(self.relation)
        for known, corrupt in pairs:
            if self._missing(known, corrupt, margin) <= 0:
                continue
            for triple, sign in ((known, 1), (corrupt, -1)):
                head, relation, tail = triple
                unit = sign * np.array(self._gap(triple)) / self.distance(triple)
                by_node[head] += unit
                by_relation[relation] += unit
                by_node[tail] -= unit
        return by_node / len(pairs), by_relation / len(pairs)

    def _missing(self, known: Triple, corrupt: Triple, margin: float) -> float:
        return max(0.0, margin + self.distance(known) - self.distance(corrupt))

    def _gap(self, triple: Triple) -> list[float]:
        head, relation, tail = triple
        parts = zip(self.node[head], self.relation[relation], self.node[tail], strict=True)
        return [float(h + r - t) for h, r, t in parts]


def query_from_words(words: Sequence[DoubleArray], contains: DoubleArray) -> DoubleArray:
    """unit(mean over words of t - r_contains) of known words; 0 without one."""
    if not words:
        return np.zeros_like(contains)
    total = np.zeros_like(contains)
    for word in words:
        total += (word - contains) / len(words)
    return np.asarray(total / math.sqrt(sum(x * x for x in total)))


def step_score(start: DoubleArray, step: DoubleArray, end: DoubleArray) -> float:
    """-||a + r - i||^2."""
    return -float(sum((a + r - i) ** 2 for a, r, i in zip(start, step, end, strict=True)))
