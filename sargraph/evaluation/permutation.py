"""The paired permutation test: were the two arms swapped user by user, how large is chance?"""

from __future__ import annotations

import numpy as np

from sargraph.core.rng import make_rng
from sargraph.core.types import CodeArray, DoubleArray

_BLOCK_CELLS = 1 << 17  # a block of flips stays in the cache


def permutation_p(differences: DoubleArray, *, seed: int, num_permutations: int = 5000) -> float:
    """Two-sided p of a mean difference of zero: the signs of user differences are exchangeable.

    Exact where all sign flips are at most `num_permutations`: their share with |mean| >= the
    observed one. Else p = (1 + drawn flips with |mean| >= the observed one) / (1 + flips), so
    never zero. Users without a difference change nothing; NaN gives NaN.
    Cost: O(permutations x users that differ), in blocks.
    """
    if np.isnan(differences).any():
        return float("nan")
    changed = differences[differences != 0]
    if len(changed) == 0:
        return 1.0
    if len(changed) < 60 and 1 << len(changed) <= num_permutations:
        signs = np.arange(1 << len(changed))[:, None] >> np.arange(len(changed)) & 1
        return _num_extreme(signs.astype(np.uint8), changed) / len(signs)
    rng, extreme = make_rng(seed, "signs"), 0
    block = max(1, _BLOCK_CELLS // len(changed))
    for start in range(0, num_permutations, block):
        height = min(block, num_permutations - start)
        bits = np.frombuffer(rng.bytes(-(-height * len(changed) // 8)), np.uint8)
        kept = np.unpackbits(bits)[: height * len(changed)].reshape(height, len(changed))
        extreme += _num_extreme(kept, changed)
    return (1 + extreme) / (1 + num_permutations)


def _num_extreme(kept: CodeArray, changed: DoubleArray) -> int:
    """Rows of `kept` (1 = sign kept) whose flipped sum is as far from zero as the observed one."""
    total = float(changed.sum())
    slack = 1e-12 * float(np.abs(changed).sum())
    sums = 2 * (kept.astype(np.float64) @ changed) - total
    return int((np.abs(sums) >= abs(total) - slack).sum())
