"""Where simulated columns go: CSV with KuaiSAR's spelling, or Parquet with native types."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sargraph.events.simulation.columns import Column, Decimal, Repeated, num_rows, part_of

Format: TypeAlias = Literal["csv", "parquet"]
FORMATS: tuple[Format, ...] = ("csv", "parquet")

ROW_GROUP = 250_000
"""Rows written at a time, and rows of a Parquet row group."""


class Sink(AbstractContextManager["Sink"]):
    """One file of a log; columns may come in several parts, each of the same names."""

    @abstractmethod
    def write(self, columns: Mapping[str, Column]) -> None:
        """Add rows; the first call fixes the names and types."""

    @abstractmethod
    def close(self) -> None:
        """Finish the file; nothing can be added after."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class CsvSink(Sink):
    """A CSV file with a header; lists are quoted JSON, clock times as 2023-05-22 15:53:20.

    Cost: a few hundred ns per row. Texts must hold no comma, quote or line break.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def write(self, columns: Mapping[str, Column]) -> None:
        """Add rows; the first call writes the header."""
        if self._file is None:
            self._file = self._path.open("wb")
            self._file.write((",".join(columns) + "\n").encode())
        values = {name: _spelled(column) for name, column in columns.items()}
        for start in range(0, num_rows(columns), ROW_GROUP):
            self._file.write(
                _lines([part_of(column, start, ROW_GROUP) for column in values.values()])
            )


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
    return _spelled_values(pa.array(column) if isinstance(column, np.ndarray) else column)


def _spelled_values(values: pa.Array) -> pa.Array:
    if pa.types.is_list(values.type):
        words = values.cast(pa.list_(pa.string()))
        return pc.binary_join_element_wise('"[', pc.binary_join(words, ", "), ']"', "")
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.timestamp("s"), safe=False)
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    return values if pa.types.is_string(values.type) else values.cast(pa.string())


class ParquetSink(Sink):
    """A Parquet file with native types, one row group per `ROW_GROUP` rows of a write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()

    def write(self, columns: Mapping[str, Column]) -> None:
        """Add rows; the first call fixes the schema."""
        length = num_rows(columns)
        for start in range(0, max(length, 1), ROW_GROUP):
            rows = min(ROW_GROUP, length - start)
            table = pa.table(
                {name: _native(part_of(c, start, ROW_GROUP), rows) for name, c in columns.items()}
            )
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


class LogFiles(AbstractContextManager["LogFiles"]):
    """The files of a simulated log in one format; the truth is Parquet in any."""

    def __init__(self, folder: Path, format: Format) -> None:
        self._folder, self._format = folder, format
        self._open: dict[str, Sink] = {}
        self._stack = ExitStack()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def write(self, name: str, columns: Mapping[str, Column], part: int | None = None) -> None:
        """Add rows to a file. In Parquet a numbered part of a log is a file of its own."""
        if part is not None and self._format == "parquet":
            (self._folder / name).mkdir(exist_ok=True)
            with ParquetSink(self._folder / name / f"part-{part:04d}.parquet") as sink:
                sink.write(columns)
            return
        if name not in self._open:
            self._open[name] = self._stack.enter_context(self._sink(name))
        self._open[name].write(columns)

    def _sink(self, name: str) -> Sink:
        if self._format == "parquet" or name.startswith("truth/"):
            return ParquetSink(self._folder / f"{name}.parquet")
        return CsvSink(self._folder / f"{name}.csv")
