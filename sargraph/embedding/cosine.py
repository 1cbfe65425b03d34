"""Cosines of unit vectors that depend on nothing but the two vectors."""

from __future__ import annotations

import numpy as np

from sargraph.core.types import FloatArray

BLOCK = 1 << 20


def pair_cosines(left: FloatArray, right: FloatArray) -> FloatArray:
    """`cos(a, b) = Σ_d a_d · b_d` of vectors of length 1 (or 0), summed in double precision.

    `left` [rows, dim]; `right` [rows, dim], or [1, dim] for one vector with all. Returns float32
    [rows]. A matrix product rounds a row by where it stands in the matrix, so that two equal rows
    may differ in the last bit; here equal vectors have equal cosines, and ties are ties.
    Cost: O(rows · dim), about 10 times a matrix product; memory one block.
    """
    rows, dim = left.shape
    found = np.empty(rows, dtype=np.float32)
    step = max(1, BLOCK // max(dim, 1))
    for start in range(0, rows, step):
        block = slice(start, start + step)
        other = right if len(right) == 1 else right[block]
        found[block] = np.multiply(left[block], other, dtype=np.float64).sum(axis=1)
    return found
