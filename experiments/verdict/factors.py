"""A cheap model with training seeds: matrix factors learned by pairs (BPR, Rendle et al. 2009)."""

from __future__ import annotations

import numba
import numpy as np

from sargraph.core.rng import make_rng
from sargraph.core.scorer import Requests
from sargraph.core.types import BoolArray, DoubleArray, FloatArray, IntArray
from sargraph.events.events import Events


class Factors:
    """score(u, i) = <p_u, q_i>; the seed draws the start, the order and the negatives."""

    def __init__(
        self, events: Events, is_train: BoolArray, seed: int, dim: int = 16, num_epochs: int = 15
    ) -> None:
        self.name = "factors"
        rows = np.flatnonzero(is_train & events.is_positive)
        rng = make_rng(seed, "factors")
        self._users = rng.normal(scale=0.1, size=(len(events.users), dim))
        self._items = rng.normal(scale=0.1, size=(len(events.items), dim))
        for _ in range(num_epochs):
            order = rows[rng.permutation(len(rows))]
            negatives = rng.integers(0, len(events.items), len(rows))
            _pass(
                events.user[order], events.item[order], negatives,
                self._users, self._items, 0.05, 0.01,
            )  # fmt: skip

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Inner products, float32 [n, c]."""
        found = np.einsum("nd,ncd->nc", self._users[requests.user], self._items[candidates])
        return np.where(candidates < 0, -np.inf, found).astype(np.float32)


@numba.njit(cache=False)
def _pass(
    users: IntArray,
    items: IntArray,
    negatives: IntArray,
    user_table: DoubleArray,
    item_table: DoubleArray,
    rate: float,
    decay: float,
) -> None:
    """One pass of stochastic gradients over (user, chosen item, drawn item)."""
    for n in range(len(users)):
        p, q, r = user_table[users[n]], item_table[items[n]], item_table[negatives[n]]
        gap = 0.0
        for d in range(len(p)):
            gap += p[d] * (q[d] - r[d])
        step = rate / (1 + np.exp(gap))
        for d in range(len(p)):
            at, up, down = p[d], q[d], r[d]
            p[d] += step * (up - down) - rate * decay * at
            q[d] += step * at - rate * decay * up
            r[d] += -step * at - rate * decay * down
