"""Integers as callers give them, checked before compiled code, which reads without looking."""

from __future__ import annotations

from typing import Any

import numpy as np

from sargraph.core.errors import DataError
from sargraph.core.types import IntArray

LARGEST = np.iinfo(np.int64).max


def integers(what: str, values: Any, shape: tuple[int, ...] | None = None) -> IntArray:
    """`values` as int64, of the wanted `shape` where one is given; an empty list is of any type.

    Raises DataError for floats, masks, numbers of 2^63 and more, or another shape. Cost: O(1)
    for int64, else one copy.
    """
    array = np.asarray(values)
    if array.size and array.dtype.kind not in "iu":
        raise DataError(
            f"{what}: got values of type {array.dtype}, expected integers; convert them, "
            "a mask with np.flatnonzero"
        )
    if array.size and array.dtype == np.uint64 and array.max() > LARGEST:
        raise DataError(f"{what}: got {array.max()}, expected integers below 2^63")
    if shape is not None and array.shape != shape:
        raise DataError(f"{what}: got shape {array.shape}, expected {shape}; give one per row")
    return np.asarray(array, dtype=np.int64)


def rows_of(what: str, values: Any, limit: int, length: int | None = None) -> IntArray:
    """`values` as rows of a table of `limit` rows, int64 [n] (n = `length` where it is given).

    Raises DataError as `integers`, and for the first value that is not 0..limit - 1. Cost: O(n).
    """
    rows = integers(what, values, None if length is None else (length,))
    if rows.ndim != 1:
        raise DataError(f"{what}: got shape {rows.shape}, expected one dimension; use ravel()")
    if len(rows) and not 0 <= rows.min() <= rows.max() < limit:
        place = int(np.flatnonzero((rows < 0) | (rows >= limit))[0])
        raise DataError(f"{what}: got {rows[place]} at place {place}, expected 0..{limit - 1}")
    return rows
