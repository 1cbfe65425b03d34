"""Drawing columns from the rows of a matrix of shares, many at once."""

from __future__ import annotations

import numpy as np

from sargraph.core.types import DoubleArray, IntArray


def ladder_of(shares: DoubleArray) -> DoubleArray:
    """Running sums of each row (sums to 1 where drawn from), each row one step above the last."""
    ladder = np.cumsum(shares, axis=1)
    return np.asarray(ladder / ladder[:, -1:] + np.arange(len(shares))[:, None])


def draw_rungs(ladder: DoubleArray, rows: IntArray, uniform: DoubleArray) -> IntArray:
    """One column per entry, drawn from row `rows[i]` of the shares with `uniform` in [0, 1).

    Cost: one search over the whole ladder per entry, O(log(rows x columns)).
    """
    width = ladder.shape[1]
    found = np.searchsorted(ladder.ravel(), rows + uniform, side="right")
    return np.asarray(np.clip(found - rows * width, 0, width - 1), dtype=np.int64)
