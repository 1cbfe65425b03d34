"""The studies: null comparisons, planted effects, training seeds, coverage of intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from sargraph.core.progress import progress
from sargraph.core.rng import make_rng
from sargraph.core.types import DoubleArray
from sargraph.evaluation.significance import (
    Comparison,
    bootstrap_difference,
    bootstrap_means,
    compare,
)

REPETITIONS = 200
"""Comparisons behind each share of verdicts."""

EFFECT = 0.05
"""The planted gain, as a share of the baseline."""

_Rng = np.random.Generator
Pair = tuple[DoubleArray, DoubleArray]


def swapped(ours: DoubleArray, theirs: DoubleArray, rng: _Rng) -> Pair:
    """Two arms [users], exchanged for each user by a fair coin: no difference but chance."""
    coin = rng.random(len(ours)) < 0.5
    return np.where(coin, ours, theirs), np.where(coin, theirs, ours)


def _halved(means: DoubleArray) -> DoubleArray:
    """The gain at half the rank (rounded up), at place ten for targets beyond it."""
    ranks = np.full(len(means), 20.0)
    hit = means > 0
    ranks[hit] = 2 ** (1 / means[hit]) - 1
    return np.maximum(means, 1 / np.log2(np.ceil(ranks / 2 - 1e-9) + 1))


def null_pairs(ours: DoubleArray, theirs: DoubleArray, seed: int) -> Iterator[Pair]:
    """Exactly null comparisons of two real arms [users], one after the other."""
    for trial in range(REPETITIONS):
        rng = make_rng(seed, "null", str(trial))
        first, second = swapped(ours, theirs, rng)
        yield first[None], second[None]


def gain_pairs(ours: DoubleArray, theirs: DoubleArray, seed: int) -> Iterator[Pair]:
    """Comparisons of users drawn anew whose first arm is truly better by EFFECT of the mean.

    Users [users] are drawn with replacement, each with arms swapped by a coin, and the first arm's
    rank is halved for a share of them such that the expected gain is met exactly.
    """
    mean = (ours.mean() + theirs.mean()) / 2
    room = (_halved(ours) - ours + _halved(theirs) - theirs).mean() / 2
    for trial in range(REPETITIONS):
        rng = make_rng(seed, "gain", str(trial))
        users = rng.integers(0, len(ours), len(ours))
        first, second = swapped(ours[users], theirs[users], rng)
        better = rng.random(len(users)) < EFFECT * mean / room
        yield np.where(better, _halved(first), first)[None], second[None]


def seed_pairs(means: DoubleArray, size: int, seed: int, *, fixed: bool = False) -> Iterator[Pair]:
    """Comparisons of `size` trainings of one model with `size` others; `fixed`: their means only.

    `means` [trainings, users].
    """
    for trial in range(REPETITIONS):
        drawn = make_rng(seed, "seeds", str(trial)).permutation(len(means))[: 2 * size]
        pair = means[drawn[:size]], means[drawn[size:]]
        yield (pair[0].mean(0, keepdims=True), pair[1].mean(0, keepdims=True)) if fixed else pair


def tally(name: str, pairs: Iterator[Pair]) -> dict[str, Any]:
    """Shares of verdicts, with the binomial interval of "shown", and what could be seen."""
    found = [
        compare(*next(pairs), seed=trial) for trial in progress(list(range(REPETITIONS)), name)
    ]
    words = Counter(each.verdict() for each in found)
    least, most = wilson(words["shown"], len(found))
    return {
        "study": name,
        **{word: words[word] / len(found) for word in ("shown", "refuted", "cannot tell")},
        "shown_low": least,
        "shown_high": most,
        "detectable": _mean_share(found, lambda each: each.detectable),
        "difference": _mean_share(found, lambda each: each.difference),
    }


def coverage(name: str, spread: tuple[float, float, float], users: int, seeds: int, arms: int,
             repetitions: int = 400) -> dict[str, Any]:  # fmt: skip
    """How often the 95 % interval holds the truth, on simulated users x seeds.

    `spread`: standard deviations over users (skewed), seeds, and users within a seed.
    """
    hits = 0
    for trial in range(repetitions):
        rng = make_rng(trial, "coverage", name)
        tables = [_table(spread, users, seeds, rng)[:, :, None] for _ in range(arms)]
        if arms == 2:
            found = bootstrap_difference(*tables, seed=trial)
        else:
            found = bootstrap_means({"arm": tables[0]}, seed=trial)["arm"]
        low, high = found.interval()
        hits += bool(low[0] <= 0 <= high[0])
    least, most = wilson(hits, repetitions)
    return {"study": name, "coverage": hits / repetitions, "low": least, "high": most}


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    z2, share = 1.959964**2, hits / trials
    centre = share + z2 / (2 * trials)
    half = np.sqrt(z2 * (share * (1 - share) / trials + z2 / (4 * trials**2)))
    return float((centre - half) / (1 + z2 / trials)), float((centre + half) / (1 + z2 / trials))


def _table(spread: tuple[float, float, float], users: int, seeds: int, rng: _Rng) -> DoubleArray:
    per_user = (rng.exponential(size=users) - 1) * spread[0]
    per_seed = rng.normal(size=(seeds, 1)) * spread[1]
    return per_user + per_seed + rng.normal(size=(seeds, users)) * spread[2]


def _mean_share(found: list[Comparison], of: Callable[[Comparison], float]) -> float:
    return float(np.mean([each.share(of(each)) for each in found]))
