"""Naive oracle of LightGCN: neighbours, layers, scores and loss, one number at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sargraph.core.types import DoubleArray

Row = tuple[int, int, int, list[int]]
"""(user, chosen item, other item, terms of the query), all as nodes"""


class LightGCNOracle:
    """Raw vectors [nodes, dim] and undirected edges; an edge given twice is one."""

    def __init__(self, raw: DoubleArray, edges: Sequence[tuple[int, int]], num_layers: int) -> None:
        self.raw, self.num_layers = raw, num_layers
        self.neighbours: list[set[int]] = [set() for _ in raw]
        for one, other in edges:
            self.neighbours[one].add(other)
            self.neighbours[other].add(one)

    def final(self) -> DoubleArray:
        """The mean of all layers, the raw vectors among them."""
        layer, total = self.raw, self.raw.copy()
        for _ in range(self.num_layers):
            layer = self._next(layer)
            total += layer
        return total / (self.num_layers + 1)

    def score(self, final: DoubleArray, user: int, item: int, terms: Sequence[int]) -> float:
        """<u + mean of the terms, i>."""
        total = 0.0
        for place in range(final.shape[1]):
            asked = float(final[user, place])
            for term in terms:
                asked += float(final[term, place]) / len(terms)
            total += asked * float(final[item, place])
        return total

    def loss(self, rows: Sequence[Row], regularisation: float) -> float:
        """Mean of ln(1 + exp(-margin)) and of the weighted squares of the raw vectors."""
        final, total = self.final(), 0.0
        for user, chosen, other, terms in rows:
            of_chosen, of_other = (self.score(final, user, i, terms) for i in (chosen, other))
            squares = sum(self._square(node) for node in (user, chosen, other))
            squares += sum(self._square(term) for term in terms) / max(len(terms), 1)
            total += math.log1p(math.exp(of_other - of_chosen)) + regularisation * squares
        return total / len(rows)

    def _next(self, layer: DoubleArray) -> DoubleArray:
        found = np.zeros_like(layer)
        for node, around in enumerate(self.neighbours):
            for other in around:
                found[node] += layer[other] / math.sqrt(len(around) * len(self.neighbours[other]))
        return found

    def _square(self, node: int) -> float:
        return sum(float(x) ** 2 for x in self.raw[node])
