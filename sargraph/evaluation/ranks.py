"""Ranks: where the target stands among its candidates, ties and broken scores made explicit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sargraph.core.types import BoolArray, DoubleArray, FloatArray, IntArray


@dataclass(frozen=True)
class Ranks:
    """How many candidates stand above and beside the target of each request, each int64 [n].

    `better`: other candidates with a higher score; `tied`: other candidates with the same score;
    `count`: all candidates, the target among them; `num_nan`: scores of the request that were NaN.
    """

    better: IntArray
    tied: IntArray
    count: IntArray
    num_nan: IntArray

    def __len__(self) -> int:
        return len(self.better)

    @property
    def optimistic(self) -> IntArray:
        """Rank from 1 if the target came first among those it ties with, int64 [n]."""
        return self.better + 1

    @property
    def pessimistic(self) -> IntArray:
        """Rank from 1 if the target came last among those it ties with, int64 [n]."""
        return self.better + self.tied + 1

    @property
    def realistic(self) -> DoubleArray:
        """Mean of the optimistic and the pessimistic rank: its expectation under fair draws."""
        return self.better + 1 + self.tied / 2

    def take(self, rows: IntArray | BoolArray) -> Ranks:
        """The ranks of the chosen requests (rows or mask)."""
        return Ranks(self.better[rows], self.tied[rows], self.count[rows], self.num_nan[rows])

    @classmethod
    def concat(cls, parts: Sequence[Ranks]) -> Ranks:
        """The ranks of consecutive chunks of requests as one."""
        none = np.empty(0, dtype=np.int64)
        return cls(
            np.concatenate([none, *(part.better for part in parts)]),
            np.concatenate([none, *(part.tied for part in parts)]),
            np.concatenate([none, *(part.count for part in parts)]),
            np.concatenate([none, *(part.num_nan for part in parts)]),
        )


def rank_target(
    scores: FloatArray | DoubleArray,
    target_column: int | IntArray = 0,
    valid: BoolArray | None = None,
) -> Ranks:
    """Rank the target of each row of `scores` [n, c] among the valid candidates of the row.

    `target_column` is one column for all rows or int64 [n]; `valid` bool [n, c] says which
    columns hold a candidate (default: those whose score is not -inf); the target always counts.
    NaN earns nothing: a NaN target comes last, a NaN candidate counts as better than the target.
    Cost: O(n c), a few temporary boolean matrices.
    """
    rows = np.arange(len(scores))
    columns = np.broadcast_to(np.asarray(target_column, dtype=np.int64), rows.shape)
    target = scores[rows, columns][:, None]
    is_nan = np.isnan(scores)
    others = ~np.isneginf(scores) if valid is None else valid.copy()
    others[rows, columns] = False
    better = others & ((scores > target) | is_nan | np.isnan(target))
    num_nan = (is_nan & others).sum(axis=1) + is_nan[rows, columns]
    return Ranks(
        better=better.sum(axis=1, dtype=np.int64),
        tied=(others & (scores == target)).sum(axis=1, dtype=np.int64),
        count=others.sum(axis=1, dtype=np.int64) + 1,
        num_nan=num_nan.astype(np.int64),
    )
