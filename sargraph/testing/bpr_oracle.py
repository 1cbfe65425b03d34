"""Naive oracle of BPR: loss, gradient and score, one number at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sargraph.core.types import DoubleArray

Triple = tuple[int, int, int]
"""(user, chosen item, other item)"""


class BPROracle:
    """score(u, i) = <p_u, q_i> + b_i on plain arrays [users, dim], [items, dim], [items]."""

    def __init__(self, user: DoubleArray, item: DoubleArray, bias: DoubleArray) -> None:
        self.user, self.item, self.bias = user, item, bias

    def score(self, user: int, item: int) -> float:
        """The product of the vectors, and the bias."""
        product = sum(p * q for p, q in zip(self.user[user], self.item[item], strict=True))
        return float(product + self.bias[item])

    def loss(self, triples: Sequence[Triple], regularisation: float) -> float:
        """Mean of ln(1 + exp(-margin)) and of the weighted squares."""
        total = 0.0
        for user, chosen, other in triples:
            margin = self.score(user, chosen) - self.score(user, other)
            squares = sum(x * x for x in self.user[user])
            for item in (chosen, other):
                squares += sum(x * x for x in self.item[item]) + self.bias[item] ** 2
            total += math.log1p(math.exp(-margin)) + regularisation * squares
        return total / len(triples)

    def gradient(
        self, triples: Sequence[Triple], regularisation: float
    ) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
        """Derivatives of the loss by the three arrays, as the paper writes them."""
        by_user, by_item = np.zeros_like(self.user), np.zeros_like(self.item)
        by_bias = np.zeros_like(self.bias)
        for user, chosen, other in triples:
            margin = self.score(user, chosen) - self.score(user, other)
            pull = math.exp(-margin) / (1 + math.exp(-margin))
            by_user[user] += 2 * regularisation * self.user[user]
            by_user[user] -= pull * (self.item[chosen] - self.item[other])
            for item, sign in ((chosen, 1), (other, -1)):
                by_item[item] += 2 * regularisation * self.item[item]
                by_item[item] -= sign * pull * self.user[user]
                by_bias[item] += 2 * regularisation * self.bias[item] - sign * pull
        count = len(triples)
        return by_user / count, by_item / count, by_bias / count
