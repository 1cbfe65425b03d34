"""Metrics of one target among candidates: exact expectations over fair draws among ties.

With b candidates better than the target and t tied with it, the rank r is uniform on
b + 1 .. b + t + 1. Every metric here is its mean over these ranks, so a constant scorer gets what
chance gets. Each function returns float64 [n], one value per request.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sargraph.core.errors import BadInputError, nearest
from sargraph.core.types import DoubleArray
from sargraph.evaluation.ranks import Ranks


def hit_rate(ranks: Ranks, k: int) -> DoubleArray:
    """HR@k = P(r <= k) = clip(k - b, 0, t + 1) / (t + 1)."""
    block = ranks.tied + 1
    return np.asarray(np.clip(k - ranks.better, 0, block) / block, dtype=np.float64)


def ndcg(ranks: Ranks, k: int) -> DoubleArray:
    """NDCG@k = E[1 / log2(r + 1) if r <= k else 0]; with one target the ideal gain is 1."""
    return _mean_gain(ranks, 1 / np.log2(np.arange(2, k + 2)))


def reciprocal_rank(ranks: Ranks) -> DoubleArray:
    """E[1 / r]; its mean over requests is the MRR. Cost: O(n + candidates)."""
    last = int(ranks.pessimistic.max(initial=1))
    return _mean_gain(ranks, 1 / np.arange(1, last + 1))


def auc(ranks: Ranks) -> DoubleArray:
    """(c - r) / (c - 1) for c candidates; 0.5 where the target is the only one."""
    pairs = ranks.count - 1
    above = (ranks.count - ranks.realistic) / np.maximum(pairs, 1)
    return np.where(pairs > 0, above, 0.5)


def metric_names(cutoffs: Sequence[int]) -> list[str]:
    """The names that `metric` understands, for the given cutoffs."""
    return [f"{name}@{k}" for name in ("HR", "NDCG") for k in cutoffs] + ["MRR", "AUC"]


def metric(ranks: Ranks, name: str, k: int | None = None) -> DoubleArray:
    """One metric by name: `metric(ranks, "ndcg", 10)` or `metric(ranks, "NDCG@10")`.

    Raises BadInputError for an unknown name, or a missing or meaningless cutoff.
    """
    family, _, cutoff = name.lower().partition("@")
    if family in ("mrr", "auc") and not cutoff and k is None:
        return reciprocal_rank(ranks) if family == "mrr" else auc(ranks)
    if family not in ("hr", "ndcg"):
        raise BadInputError(f"unknown metric '{name}'; {nearest(name, metric_names((1, 5, 10)))}")
    if cutoff:
        k = int(cutoff) if cutoff.isdigit() else 0
    if k is None or k < 1:
        raise BadInputError(f"metric '{name}' got cutoff {k}, expected 1 or more, as in @10")
    return hit_rate(ranks, k) if family == "hr" else ndcg(ranks, k)


def _mean_gain(ranks: Ranks, gains: DoubleArray) -> DoubleArray:
    """Mean over the tie block of `gains[rank - 1]`, zero beyond the last gain."""
    up_to = np.concatenate([[0.0], np.cumsum(gains)])
    last = np.minimum(ranks.pessimistic, len(gains))
    first = np.minimum(ranks.better, len(gains))
    mean = (up_to[last] - up_to[first]) / (ranks.tied + 1)
    # Without ties the gain itself: a difference of sums would be off in the last digits.
    return np.where(ranks.tied == 0, np.append(gains, 0.0)[first], mean)
