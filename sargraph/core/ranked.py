"""Ranked lists: the k best rows per probe, with a fixed order among ties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sargraph.core.types import NO_ROW, FloatArray, IntArray


@dataclass(frozen=True)
class Ranked:
    """The best rows per probe, best first.

    `rows` int64 [probes, k], `scores` float32 [probes, k]; where fewer than k exist the tail
    holds row -1 and score -inf.
    """

    rows: IntArray
    scores: FloatArray

    def __post_init__(self) -> None:
        if self.rows.shape != self.scores.shape or self.rows.ndim != 2:
            raise ValueError(
                f"rows {self.rows.shape} and scores {self.scores.shape} must be one matrix"
            )

    def __len__(self) -> int:
        return len(self.rows)

    def valid(self, probe: int) -> list[tuple[int, float]]:
        """(row, score) of one probe without the empty tail."""
        return [
            (int(r), float(s))
            for r, s in zip(self.rows[probe], self.scores[probe], strict=True)
            if r != NO_ROW
        ]


def top_k(scores: FloatArray, k: int) -> Ranked:
    """The k highest of each row of `scores` [probes, candidates]; ties go to the lower column.

    Columns with score -inf are never returned. Cost: O(probes x candidates) plus a sort of k
    (and of whatever ties with the k-th best).
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    probes, width = scores.shape
    rows = np.full((probes, k), NO_ROW, dtype=np.int64)
    best = np.full((probes, k), -np.inf, dtype=np.float32)
    for probe in range(probes):
        chosen = _best_columns(scores[probe], min(k, width))
        rows[probe, : len(chosen)] = chosen
        best[probe, : len(chosen)] = scores[probe, chosen]
    return Ranked(rows, best)


def _best_columns(scores: FloatArray, k: int) -> IntArray:
    """Columns of the k best finite scores, best first, ties by column."""
    if k < len(scores):
        threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
        candidates = np.flatnonzero(scores >= threshold)
    else:
        candidates = np.arange(len(scores))
    candidates = candidates[scores[candidates] > -np.inf]
    order = np.lexsort((candidates, -scores[candidates]))
    return candidates[order[:k]].astype(np.int64)
