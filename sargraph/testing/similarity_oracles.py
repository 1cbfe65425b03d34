"""Naive oracles of the similarity measures: dictionaries, sets, recursion and loops."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache


def weighted_jaccard(u: Mapping[int, float], v: Mapping[int, float]) -> float:
    """Sum of minima over sum of maxima; 0 if there is nothing."""
    entries = set(u) | set(v)
    least = sum(min(u.get(x, 0.0), v.get(x, 0.0)) for x in entries)
    most = sum(max(u.get(x, 0.0), v.get(x, 0.0)) for x in entries)
    return least / most if most else 0.0


def cosine(u: Mapping[int, float], v: Mapping[int, float]) -> float:
    """Inner product over the product of the lengths; 0 if either has no length."""
    product = sum(u[x] * v[x] for x in u if x in v)
    lengths = math.hypot(*u.values()) * math.hypot(*v.values())
    return product / lengths if lengths else 0.0


def stan(
    s: Sequence[int],
    n: Sequence[int],
    gap: float | None,
    position_decay: float,
    time_decay: float | None,
) -> float:
    """STAN: items of s weighted by their latest place, n as a set; `gap` None = a time is none."""
    weight = {}
    for place, item in enumerate(s, start=1):
        weight[item] = math.exp((place - len(s)) / position_decay)
    if not s or not n:
        return 0.0
    shared = sum(weight[item] for item in set(s) & set(n))
    norm = math.sqrt(sum(w**2 for w in weight.values())) * math.sqrt(len(set(n)))
    factor = 1.0 if gap is None or time_decay is None else math.exp(-abs(gap) / time_decay)
    return shared / norm * factor


def lcs_length(a: Sequence[int], b: Sequence[int]) -> int:
    """The textbook's recursion over the last items of both."""

    @cache
    def length(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return 0
        if a[i - 1] == b[j - 1]:
            return length(i - 1, j - 1) + 1
        return max(length(i - 1, j), length(i, j - 1))

    return length(len(a), len(b))


def lcs_similarity(a: Sequence[int], b: Sequence[int]) -> float:
    """Length of the longest common subsequence over the longer length; 0 if there is nothing."""
    longest = max(len(a), len(b))
    return lcs_length(a, b) / longest if longest else 0.0


def soft_alignment(
    u: Sequence[int],
    weights: Sequence[float],
    v: Sequence[int],
    vectors: Sequence[Sequence[float]],
    half_life: float,
) -> float:
    """Weighted mean over u of the best of v, a cosine times a factor of the ranks from the newest.

    `vectors` need not be of length 1.
    """
    if not v or not sum(weights):
        return 0.0
    total = 0.0
    for n, (item, weight) in enumerate(zip(u, weights, strict=True)):
        rank = len(u) - 1 - n
        total += weight * max(
            _cosine(vectors[item], vectors[other])
            * 0.5 ** (abs(rank - (len(v) - 1 - m)) / half_life)
            for m, other in enumerate(v)
        )
    return total / sum(weights)


def _cosine(x: Sequence[float], y: Sequence[float]) -> float:
    lengths = math.hypot(*x) * math.hypot(*y)
    return sum(a * b for a, b in zip(x, y, strict=True)) / lengths if lengths else 0.0
