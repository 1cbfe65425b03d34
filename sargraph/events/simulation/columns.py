"""Columns of a simulated log: arrays, values that repeat, numbers written as decimals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from sargraph.core.types import NO_ROW, Array, IntArray


@dataclass(frozen=True)
class Repeated:
    """The column `values[rows]`; values are turned into text once however often they stand."""

    values: pa.Array
    rows: IntArray


@dataclass(frozen=True)
class Decimal:
    """Whole numbers that KuaiSAR's CSV files write as 7.0; integers in Parquet."""

    values: IntArray


Column: TypeAlias = Array | pa.Array | Repeated | Decimal | str
"""A column; a text stands for one value in all rows."""


def id_lists(rows: IntArray) -> pa.Array:
    """Rows of a padded matrix (-1 = none) as lists of ids (row + 1)."""
    known = rows != NO_ROW
    offsets = np.concatenate([[0], np.cumsum(known.sum(axis=1))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(rows[known] + 1))


def part_of(column: Column, start: int, rows: int) -> Column:
    """The `rows` rows from `start` on, or what there is of them."""
    if isinstance(column, str):
        return column
    if isinstance(column, Repeated):
        return Repeated(column.values, column.rows[start : start + rows])
    if isinstance(column, Decimal):
        return Decimal(column.values[start : start + rows])
    return column[start : start + rows]


def num_rows(columns: Mapping[str, Column]) -> int:
    """Number of rows; 0 where all columns are texts."""
    for column in columns.values():
        if isinstance(column, Repeated):
            return len(column.rows)
        if isinstance(column, Decimal):
            return len(column.values)
        if not isinstance(column, str):
            return len(column)
    return 0
