"""One int64 key per pair of rows, without overflow."""

from __future__ import annotations

import numpy as np

from sargraph.core.errors import DataError
from sargraph.core.types import IntArray


def pair_keys(first: IntArray, second: IntArray, num_first: int, num_second: int) -> IntArray:
    """`first * num_second + second`, int64 [n]: equal keys, equal pairs, in the order of pairs.

    Rows may be of any integer type: the product is taken in int64. Raises DataError where the
    number of possible pairs reaches 2^63.
    """
    if int(num_first) * int(num_second) >= 2**63:
        raise DataError(
            f"{num_first} x {num_second} possible pairs do not fit into 64 bits; "
            "sort the two columns instead"
        )
    return np.asarray(first, dtype=np.int64) * int(num_second) + np.asarray(second, dtype=np.int64)
