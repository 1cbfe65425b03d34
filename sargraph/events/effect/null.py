"""What a measured value is compared with: its distribution where the mechanism is absent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sargraph.core.types import DoubleArray, IntArray

MAX_P = 0.01
"""An effect is found where p is below this; the null interval covers 1 - MAX_P."""

MAX_BLOCKS = 5_000
"""Users are flipped in at most so many blocks."""


@dataclass(frozen=True)
class Measured:
    """A value, its null distribution, and how many users and pairs it rests on."""

    value: float
    null: DoubleArray
    users: int
    pairs: int

    def row(self, effect: str) -> dict[str, object]:
        """One row of the table of effects; NaN where nothing could be compared."""
        if not self.pairs:
            numbers = dict.fromkeys(("value", "null_mean", "low", "high", "p"), float("nan"))
            return {"effect": effect, **numbers, "found": False, "users": 0, "pairs": 0}
        low, high = np.quantile(self.null, [MAX_P / 2, 1 - MAX_P / 2])
        reached = self.null >= self.value - 1e-12
        p = (1 + int(reached.sum())) / (1 + len(self.null))
        return {
            "effect": effect,
            "value": self.value,
            "null_mean": float(self.null.mean()),
            "low": float(low),
            "high": float(high),
            "p": p,
            "found": p < MAX_P,
            "users": self.users,
            "pairs": self.pairs,
        }


NOTHING = Measured(0.0, np.zeros(1), 0, 0)
"""There was nothing to compare."""


def flip_signs(
    own: DoubleArray,
    other: DoubleArray,
    user: IntArray,
    num_draws: int,
    rng: np.random.Generator,
) -> Measured:
    """Compare paired values `own` and `other` [n] that the null makes exchangeable.

    The value is mean(own). The null distribution is mean(other) + mean of the differences with
    the sign of each user's flipped at random: all pairs of a user go together, so that what is
    alike within a user does not count as evidence. Cost: O(draws x min(users, MAX_BLOCKS)).
    """
    if not len(own):
        return NOTHING
    users, row = np.unique(user, return_inverse=True)
    block = row % MAX_BLOCKS
    total = np.bincount(block, weights=own - other)
    signs = rng.integers(0, 2, size=(num_draws, len(total)), dtype=np.int8) * 2 - 1
    null = float(other.mean()) + signs @ total / len(own)
    return Measured(float(own.mean()), np.asarray(null), len(users), len(own))


def shuffled_within(group: IntArray, rng: np.random.Generator) -> IntArray:
    """A random order of rows that keeps each group's places: group[result] == group.

    `group` must be sorted. Cost: O(n log n).
    """
    return np.asarray(np.lexsort((rng.random(len(group)), group)), dtype=np.int64)
