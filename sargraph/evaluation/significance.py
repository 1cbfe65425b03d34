"""Significance: intervals and tests over users and training seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from sargraph.core.rng import make_rng
from sargraph.core.types import DoubleArray, IntArray
from sargraph.evaluation.permutation import permutation_p
from sargraph.evaluation.seeds import degrees_of_freedom, resample_seeds, seed_variance, student
from sargraph.evaluation.verdict import reason, verdict

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


@dataclass(frozen=True)
class Estimate:
    """A mean over users and seeds (or a difference of two), column by column.

    `value`, `standard_error`, `degrees` (of freedom) [columns]; `resamples` [resamples, columns].
    """

    value: DoubleArray
    standard_error: DoubleArray
    degrees: DoubleArray
    resamples: DoubleArray

    def interval(self, level: float = 0.95) -> tuple[DoubleArray, DoubleArray]:
        """Lower and upper bound of each column.

        Percentiles of the resamples, their distance from the value stretched by t / z for the
        degrees of freedom: five seeds are few, and their percentiles alone would be too narrow.
        NaN with one user, of whose likes nothing is known.
        """
        tail = (1 - level) / 2
        stretch = student(1 - tail, self.degrees) / student(1 - tail, np.array(np.inf))
        bounds = np.quantile(self.resamples - self.value, [tail, 1 - tail], axis=0) * stretch
        low, high = self.value + np.where(np.isnan(self.standard_error), np.nan, bounds)
        return low, high


def bootstrap_means(
    arms: Mapping[str, DoubleArray], *, seed: int, num_resamples: int = 1000
) -> dict[str, Estimate]:
    """Hierarchical bootstrap (users, then seeds) of the means of several arms.

    Takes each arm's user means [seeds, users, columns]; all arms share the drawn users, their
    numbers of seeds and columns may differ. A resample is the mean over drawn users (of the mean
    over seeds) plus the deviation of the drawn seeds (`seeds.resample_seeds`), which has the
    variance var(a)/U + var(b)/S + var(e)/(SU) of the model in `seeds`.
    Cost: see `resample_users`, for the columns of all arms; the number of seeds adds little.
    """
    by_user = {arm: means.mean(axis=0) for arm, means in arms.items()}
    drawn = resample_users(
        np.hstack(list(by_user.values())), seed=seed, num_resamples=num_resamples
    )
    ends = np.cumsum([means.shape[1] for means in by_user.values()])
    found: dict[str, Estimate] = {}
    for (arm, means), users in zip(arms.items(), np.split(drawn, ends[:-1], axis=1), strict=True):
        luck = resample_seeds(means, seed=seed, num_resamples=num_resamples, arm=arm)
        found[arm] = _estimate(by_user[arm], [means], users + luck)
    return found


def bootstrap_difference(
    ours: DoubleArray, theirs: DoubleArray, *, seed: int, num_resamples: int = 1000
) -> Estimate:
    """Hierarchical bootstrap of the paired difference of two arms' user means [seeds, users, c]."""
    by_user = ours.mean(axis=0) - theirs.mean(axis=0)
    resamples = resample_users(by_user, seed=seed, num_resamples=num_resamples)
    options = {"seed": seed, "num_resamples": num_resamples}
    resamples += resample_seeds(ours, arm="ours", **options)
    resamples -= resample_seeds(theirs, arm="theirs", **options)
    return _estimate(by_user, [ours, theirs], resamples)


def _estimate(by_user: DoubleArray, arms: list[DoubleArray], resamples: DoubleArray) -> Estimate:
    """The estimate of user means [users, columns] that came from arms [seeds, users, columns]."""
    num_users = len(by_user)
    unknown = np.full(by_user.shape[1], np.nan)
    users = by_user.var(axis=0, ddof=1) / num_users if num_users > 1 else unknown
    parts = [(users, max(num_users - 1, 1))]
    parts += [(seed_variance(means), len(means) - 1) for means in arms if len(means) > 1]
    total = np.sum([variance for variance, _ in parts], axis=0)
    return Estimate(by_user.mean(axis=0), np.sqrt(total), degrees_of_freedom(parts), resamples)


def smallest_detectable(standard_error: float, degrees: float = np.inf) -> float:
    """Smallest true difference found with 80 % power at the 5 % level.

    (t_.975 + t_.8) standard errors: 2.8 where the degrees of freedom are many.
    """
    spans = student(0.975, np.array(degrees)) + student(0.8, np.array(degrees))
    return float(spans) * standard_error


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

    `low`, `high`: 95 % interval of the difference; `p`: see `compare`; `detectable`: smallest
    detectable difference; `baseline`: the baseline's mean.
    """

    difference: float
    low: float
    high: float
    p: float
    detectable: float
    baseline: float

    def share(self, value: float) -> float:
        """A difference as a share of the baseline's mean; NaN where that is not above zero."""
        return share(value, self.baseline)

    def verdict(self, p: float | None = None) -> str:
        """The verdict in words (see `verdict`); `p` takes the place of the uncorrected p."""
        return verdict(self.low, self.share(self.high), self.p if p is None else p)

    def reason(self, p: float | None = None) -> str:
        """Why the verdict is what it is (see `verdict.reason`)."""
        high, seen = self.share(self.high), self.share(self.detectable)
        return reason(self.low, high, self.p if p is None else p, seen)


def share(value: float, baseline: float) -> float:
    """A difference as a share of the baseline's mean; NaN where that is not above zero."""
    return value / baseline if baseline > 0 else float("nan")


def compare(
    ours: DoubleArray,
    theirs: DoubleArray,
    *,
    seed: int,
    num_resamples: int = 1000,
    num_permutations: int = 5000,
) -> Comparison:
    """Compare user means [seeds, users] of two arms that answered the same requests.

    The two may differ in the number of seeds. `p` is the paired permutation test over users, which
    takes the trained models as given; with several seeds it is the larger of that and the t test of
    the difference with the hierarchical standard error, which asks about models trained anew.
    Raises ValueError when the users differ in number.
    """
    if ours.shape[1] != theirs.shape[1]:
        raise ValueError(f"{ours.shape[1]} and {theirs.shape[1]} users; expected the same users")
    found = bootstrap_difference(
        ours[:, :, None], theirs[:, :, None], seed=seed, num_resamples=num_resamples
    )
    (low,), (high,) = found.interval()
    differences = ours.mean(axis=0) - theirs.mean(axis=0)
    p = permutation_p(differences, seed=seed, num_permutations=num_permutations)
    if max(len(ours), len(theirs)) > 1:
        p = max(p, _student_p(found))
    error, degrees = float(found.standard_error[0]), float(found.degrees[0])
    return Comparison(
        difference=float(differences.mean()),
        low=float(low),
        high=float(high),
        p=p,
        detectable=smallest_detectable(error, degrees),
        baseline=float(theirs.mean()),
    )


def _student_p(found: Estimate) -> float:
    """Two-sided p of a difference of zero by Student's t; 1 where nothing differs."""
    value, error = abs(float(found.value[0])), float(found.standard_error[0])
    if value == 0 or np.isnan(error):
        return 1.0
    if error == 0:
        return 0.0
    degrees = min(float(found.degrees[0]), 1e9)
    return float(2 * stdtr(degrees, -value / error))
