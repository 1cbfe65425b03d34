"""Where simulated columns go: CSV with KuaiSAR's spelling, or Parquet with native types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Protocol, Self, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sargraph.core.types import NO_ROW, Array, IntArray

Format: TypeAlias = Literal["csv", "parquet"]
FORMATS: tuple[Format, ...] = ("csv", "parquet")

ROW_GROUP = 250_000
"""Rows written at a time, and rows of a Parquet row group."""


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


class Sink(Protocol):
    """One file of a log; columns may come in several parts, each of the same names."""

    def write(self, columns: Mapping[str, Column]) -> None:
        """Add rows."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def id_lists(rows: IntArray) -> pa.Array:
    """Rows of a padded matrix (-1 = none) as lists of ids (row + 1)."""
    known = rows != NO_ROW
    offsets = np.concatenate([[0], np.cumsum(known.sum(axis=1))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(rows[known] + 1))


class CsvSink:
    """A CSV file with a header; lists are quoted JSON, clock times as 2023-05-22 15:53:20.

    Cost: a few hundred ns per row. Texts must hold no comma, quote or line break.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, columns: Mapping[str, Column]) -> None:
        """Add rows; the first call writes the header."""
        if self._file is None:
            self._file = self._path.open("wb")
            self._file.write((",".join(columns) + "\n").encode())
        values = {name: _spelled(column) for name, column in columns.items()}
        for start in range(0, _length(columns), ROW_GROUP):
            self._file.write(_lines([_part(column, start) for column in values.values()]))


def _lines(columns: list[Column]) -> memoryview:
    """The text of some rows, each ended by a line break."""
    texts = [column if isinstance(column, str) else _text(column) for column in columns]
    texts[-1] = pc.binary_join_element_wise(texts[-1], "", "\n")
    # A text stands for a whole column, but not in all columns at once.
    lines = pc.binary_join_element_wise(*texts, ",").cast(pa.large_string())
    offsets = np.frombuffer(lines.buffers()[1], dtype=np.int64)
    return memoryview(lines.buffers()[2])[: int(offsets[len(lines)])]


def _spelled(column: Column) -> Column:
    """Repeated values as texts, so that each is spelled once."""
    return Repeated(_text(column.values), column.rows) if isinstance(column, Repeated) else column


def _text(column: Column) -> pa.Array:
    if isinstance(column, Repeated):
        return column.values.take(pa.array(column.rows))
    if isinstance(column, Decimal):
        return pc.binary_join_element_wise(_text(column.values), "0", ".")
    values = pa.array(column) if isinstance(column, np.ndarray) else column
    if pa.types.is_list(values.type):
        words = values.cast(pa.list_(pa.string()))
        return pc.binary_join_element_wise('"[', pc.binary_join(words, ", "), ']"', "")
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.timestamp("s"), safe=False)
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    return values if pa.types.is_string(values.type) else values.cast(pa.string())


class ParquetSink:
    """A Parquet file with native types, one row group per `ROW_GROUP` rows of a write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, columns: Mapping[str, Column]) -> None:
        """Add rows; the first call fixes the schema."""
        length = _length(columns)
        for start in range(0, max(length, 1), ROW_GROUP):
            rows = min(ROW_GROUP, length - start)
            table = pa.table({name: _native(_part(c, start), rows) for name, c in columns.items()})
            if self._writer is None:
                self._writer = pq.ParquetWriter(self._path, table.schema)
            self._writer.write_table(table)


def _native(column: Column, rows: int) -> pa.Array:
    if isinstance(column, str):
        return pa.repeat(column, rows)
    if isinstance(column, Repeated):
        return column.values.take(pa.array(column.rows))
    if isinstance(column, Decimal):
        return pa.array(column.values)
    values = pa.array(column) if isinstance(column, np.ndarray) else column
    return values.cast(pa.int64()) if pa.types.is_boolean(values.type) else values


def _part(column: Column, start: int) -> Column:
    """`ROW_GROUP` rows from `start` on."""
    if isinstance(column, str):
        return column
    if isinstance(column, Repeated):
        return Repeated(column.values, column.rows[start : start + ROW_GROUP])
    if isinstance(column, Decimal):
        return Decimal(column.values[start : start + ROW_GROUP])
    return column[start : start + ROW_GROUP]


def _length(columns: Mapping[str, Column]) -> int:
    for column in columns.values():
        if isinstance(column, Repeated):
            return len(column.rows)
        if isinstance(column, Decimal):
            return len(column.values)
        if not isinstance(column, str):
            return len(column)
    return 0
