"""Significance: intervals and tests over users (and seeds), and what they allow us to say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sargraph.core.rng import make_rng
from sargraph.core.types import DoubleArray, IntArray

POWER_FACTOR = 2.8
"""Standard errors that an effect must span to be found with 80 % power at the 5 % level."""

WORTHWHILE = 0.02
"""A claim is refuted when its gain is surely below this share of the baseline."""

LEVEL = 0.05
"""Level of the tests."""

_BLOCK_CELLS = 1 << 17  # a block of resamples stays in the cache


def mean_by_user(values: DoubleArray, users: IntArray) -> tuple[IntArray, DoubleArray]:
    """Distinct users, ascending, and the mean of each user's rows of `values` [n, columns]."""
    names, place, counts = np.unique(users, return_inverse=True, return_counts=True)
    sums = np.empty((len(names), values.shape[1]))
    for column in range(values.shape[1]):
        sums[:, column] = np.bincount(place, values[:, column], minlength=len(names))
    return names, sums / counts[:, None]


def resample_users(means: DoubleArray, *, seed: int, num_resamples: int = 1000) -> DoubleArray:
    """Means over resampled users of `means` [users, columns]: [resamples, columns].

    Each resample draws as many users as there are, with replacement, and the same ones for all
    columns. The same seed and number of users give the same draws.
    Cost: O(resamples x users) draws, and as many multiplications per column.
    """
    num_users, num_columns = means.shape
    rng = make_rng(seed, "users")
    resamples: DoubleArray = np.empty((num_resamples, num_columns))
    block = max(1, _BLOCK_CELLS // max(num_users, 1))
    for start in range(0, num_resamples, block):
        height = min(block, num_resamples - start)
        drawn = rng.integers(0, num_users, (height, num_users))
        drawn += np.arange(height)[:, None] * num_users
        counts = np.bincount(drawn.ravel(), minlength=height * num_users)
        resamples[start : start + height] = counts.reshape(height, num_users) @ means
    resamples /= num_users
    return resamples


def resample_seeds(by_seed: DoubleArray, *, seed: int, arm: str = "") -> DoubleArray:
    """Means over resampled training seeds of `by_seed` [resamples, seeds, columns].

    Arms of different names draw apart. Returns [resamples, columns].
    """
    num_resamples, num_seeds, _ = by_seed.shape
    drawn = make_rng(seed, "seeds", arm).integers(0, num_seeds, (num_resamples, num_seeds))
    picked = np.take_along_axis(by_seed, drawn[:, :, None], axis=1)
    return np.asarray(picked.mean(axis=1), dtype=np.float64)


def bootstrap_means(
    arms: Mapping[str, DoubleArray], *, seed: int, num_resamples: int = 1000
) -> dict[str, DoubleArray]:
    """Hierarchical resamples (users, then seeds) of the means of several arms.

    Maps each arm's user means [seeds, users, columns] to [resamples, columns]. All arms share the
    drawn users; their numbers of seeds and columns may differ. Cost: see `resample_users`.
    """
    flat = [np.moveaxis(means, 0, 1).reshape(means.shape[1], -1) for means in arms.values()]
    resamples = resample_users(np.hstack(flat), seed=seed, num_resamples=num_resamples)
    ends = np.cumsum([columns.shape[1] for columns in flat])
    found: dict[str, DoubleArray] = {}
    for (arm, means), part in zip(
        arms.items(), np.split(resamples, ends[:-1], axis=1), strict=True
    ):
        by_seed = part.reshape(num_resamples, means.shape[0], means.shape[2])
        found[arm] = resample_seeds(by_seed, seed=seed, arm=arm)
    return found


def interval(resamples: DoubleArray, level: float = 0.95) -> tuple[DoubleArray, DoubleArray]:
    """Lower and upper percentile bound of each column of `resamples` [resamples, columns]."""
    tail = (1 - level) / 2
    low, high = np.quantile(resamples, [tail, 1 - tail], axis=0)
    return low, high


def permutation_p(differences: DoubleArray, *, seed: int, num_permutations: int = 5000) -> float:
    """Two-sided p of a mean difference of zero: the signs of user differences are exchangeable.

    p = (1 + number of sign flips with |mean| >= the observed one) / (1 + flips), so never zero.
    Cost: O(permutations x users that differ), in blocks.
    """
    changed = differences[differences != 0]
    if len(changed) == 0:
        return 1.0
    rng = make_rng(seed, "signs")
    observed, extreme = abs(float(changed.sum())), 0
    slack = 1e-12 * float(np.abs(changed).sum())
    block = max(1, _BLOCK_CELLS // len(changed))
    for start in range(0, num_permutations, block):
        height = min(block, num_permutations - start)
        bits = np.frombuffer(rng.bytes(-(-height * len(changed) // 8)), np.uint8)
        kept = np.unpackbits(bits)[: height * len(changed)].reshape(height, len(changed))
        sums = 2 * (kept.astype(np.float64) @ changed) - changed.sum()
        extreme += int((np.abs(sums) >= observed - slack).sum())
    return (1 + extreme) / (1 + num_permutations)


def smallest_detectable(standard_error: float) -> float:
    """Smallest true difference found with 80 % power at the 5 % level: 2.8 standard errors."""
    return POWER_FACTOR * standard_error


def holm(p_values: DoubleArray) -> DoubleArray:
    """Holm's step-down correction: p values that hold for the whole family together.

    The j-th smallest of m (from 0) becomes max over i <= j of min(1, (m - i) p_i).
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p_values, kind="stable")
    scaled = p_values[order] * (len(p_values) - np.arange(len(p_values)))
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return corrected


@dataclass(frozen=True)
class Comparison:
    """A model against a baseline: absolute difference of user means, and what it allows to say.

    `low`, `high`: 95 % interval of the difference; `p`: paired permutation test; `detectable`:
    smallest detectable difference; `baseline`: the baseline's mean.
    """

    difference: float
    low: float
    high: float
    p: float
    detectable: float
    baseline: float

    def share(self, value: float) -> float:
        """A difference as a share of the baseline's mean; infinite where that is zero."""
        if self.baseline > 0:
            return value / self.baseline
        return float(np.sign(value) * np.inf) if value else 0.0

    def verdict(self, p: float | None = None) -> str:
        """The verdict in words (see `verdict`); `p` takes the place of the uncorrected p."""
        return verdict(self.share(self.low), self.share(self.high), self.p if p is None else p)


def verdict(low: float, high: float, p: float) -> str:
    """The verdict on a claimed gain whose interval, as shares of the baseline, is low .. high.

    *shown*: low > 0 and p < 5 % (corrected where there are several comparisons). *refuted*:
    high < 2 %. *cannot tell*: neither, as wherever the smallest detectable effect is far over 5 %.
    """
    if low > 0:
        return "shown" if p < LEVEL else "cannot tell"
    return "refuted" if high < WORTHWHILE else "cannot tell"


def compare(
    ours: DoubleArray,
    theirs: DoubleArray,
    *,
    seed: int,
    num_resamples: int = 1000,
    num_permutations: int = 5000,
) -> Comparison:
    """Compare user means [seeds, users] of two arms that answered the same requests.

    The two may differ in the number of seeds. Raises ValueError when the users differ in number.
    """
    if ours.shape[1] != theirs.shape[1]:
        raise ValueError(f"{ours.shape[1]} and {theirs.shape[1]} users; expected the same users")
    arms = {"ours": ours[:, :, None], "theirs": theirs[:, :, None]}
    means = bootstrap_means(arms, seed=seed, num_resamples=num_resamples)
    resamples = means["ours"] - means["theirs"]
    low, high = interval(resamples)
    differences = ours.mean(axis=0) - theirs.mean(axis=0)
    return Comparison(
        difference=float(differences.mean()),
        low=float(low[0]),
        high=float(high[0]),
        p=permutation_p(differences, seed=seed, num_permutations=num_permutations),
        detectable=smallest_detectable(float(resamples.std(ddof=1))),
        baseline=float(theirs.mean()),
    )
