"""Seeds: how much of an arm's mean is the luck of its training seeds, apart from its users.

Model of an arm's user means [seeds, users]: x_su = mu + a_u + b_s + e_su, with independent a
(user), b (seed) and e (user in this seed). The mean over both has the variance

    var(a) / U  +  var(b) / S  +  var(e) / (S U).

Resampling users alone sees the first and the last term. The middle one is estimated here, by the
moments of a two-way layout (e.g. Searle, Casella and McCulloch, Variance Components, 1992, 4.3).
Resampling the seed means as they are would count e three times (Owen, Annals of Applied Statistics
1, 2007), and S seeds about their own mean would show only (S - 1) / S of their variance.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri, stdtrit

from sargraph.core.rng import make_rng
from sargraph.core.types import DoubleArray


def seed_variance(means: DoubleArray) -> DoubleArray:
    """var(b) / S of each column of `means` [seeds, users, columns], never below zero.

    The variance of the S seed means less the residual mean square over U, divided by S. Zero with
    one seed: what one seed cannot show. Cost: O(seeds x users) per column.
    """
    num_seeds, num_users, num_columns = means.shape
    if num_seeds < 2:
        return np.zeros(num_columns)
    by_seed = means.mean(axis=1)
    between = by_seed.var(axis=0, ddof=1)
    if num_users < 2:
        return np.asarray(between / num_seeds, dtype=np.float64)
    by_user = means.mean(axis=0)
    # Sum over seeds of the squares left after both means, without an array of all residuals.
    total = (means**2).sum(axis=(0, 1))
    total -= num_seeds * (by_user**2).sum(axis=0) + num_users * (by_seed**2).sum(axis=0)
    total += num_seeds * num_users * by_seed.mean(axis=0) ** 2
    noise = np.maximum(total, 0) / ((num_seeds - 1) * (num_users - 1))
    return np.asarray(np.maximum(between - noise / num_users, 0) / num_seeds, dtype=np.float64)


def resample_seeds(
    means: DoubleArray, *, seed: int, num_resamples: int = 1000, arm: str = ""
) -> DoubleArray:
    """Deviations of the mean over resampled training seeds from the arm's mean.

    Takes user means [seeds, users, columns], returns [resamples, columns]: the deviations of the
    seed means, stretched so that their resampled mean has the variance `seed_variance`. The drawn
    seeds are the same for all columns; arms of different names draw apart. Zero with one seed.
    """
    num_seeds, _, num_columns = means.shape
    if num_seeds < 2:
        return np.zeros((num_resamples, num_columns))
    by_seed = means.mean(axis=1)
    away = by_seed - by_seed.mean(axis=0)
    plain = by_seed.var(axis=0) / num_seeds
    away *= np.sqrt(
        np.divide(seed_variance(means), plain, out=np.zeros_like(plain), where=plain > 0)
    )
    drawn = make_rng(seed, "seeds", arm).integers(0, num_seeds, (num_resamples, num_seeds))
    return np.asarray(away[drawn].mean(axis=1), dtype=np.float64)


def degrees_of_freedom(parts: list[tuple[DoubleArray, int]]) -> DoubleArray:
    """Satterthwaite's degrees of freedom of a sum of variances, [columns].

    (sum V)^2 / sum (V^2 / nu) over the parts (V [columns], its own degrees of freedom nu >= 1);
    infinite where all variances are zero.
    """
    total = np.sum([variance for variance, _ in parts], axis=0)
    below = np.sum([variance**2 / own for variance, own in parts], axis=0)
    some = below > 0
    found = np.divide(total**2, below, out=np.full_like(total, np.inf), where=some)
    return np.asarray(found, dtype=np.float64)


def student(probability: float, degrees: DoubleArray) -> DoubleArray:
    """Quantiles of Student's t, the normal ones where the degrees of freedom are infinite."""
    finite = np.where(np.isfinite(degrees), degrees, 1.0)
    normal = float(ndtri(probability))
    found = np.where(np.isfinite(degrees), stdtrit(finite, probability), normal)
    return np.asarray(found, dtype=np.float64)
