"""Raw tables: the fields of one file as a stream of batches, in the order of the file."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from sargraph.core.errors import DataError, RecipeError, nearest
from sargraph.core.types import IntArray
from sargraph.events.reading.columns import Column
from sargraph.events.reading.formats import READERS, Reject, Relation
from sargraph.events.reading.quarantine import MAX_TEXT
from sargraph.events.reading.workspace import Workspace, literal, quoted
from sargraph.events.recipe import FileSource

BATCH_ROWS = 1 << 19


@dataclass
class RawTable:
    """A file that is scanned in its own order.

    An entry is what the reader makes of a row: the row itself, or one of several where a format
    packs them (`relation.row` then names the row). `columns` are those that a quarantined row
    shows. `rejects` are the rows that the reader refused, known after the first scan.
    `may_be_empty`: it is one of several files, or need not be there at all.
    """

    work: Workspace
    path: Path
    relation: Relation
    may_be_empty: bool = False
    columns: list[str] = field(default_factory=list)
    num_entries: int = 0
    rejects: list[Reject] = field(default_factory=list)

    @property
    def file(self) -> str:
        """Name of the file."""
        return self.path.name

    @property
    def is_packed(self) -> bool:
        """True where one row of the file gives several entries."""
        return self.relation.row is not None

    def column(self, names: tuple[str, ...]) -> str:
        """The first of the header names that the file has, as SQL. Raises RecipeError."""
        name = resolve(names, self.relation.header, self.file)
        if name not in self.columns:
            self.columns.append(name)
        return quoted(name)

    def typed_column(self, names: tuple[str, ...]) -> Column:
        """As `column`, with its type."""
        name = resolve(names, self.relation.header, self.file)
        return Column(self.column(names), self.relation.types.get(name, "VARCHAR"))

    def scan(self, expressions: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
        """Evaluate SQL expressions on every entry, in the order of the file, batch by batch.

        Raises DataError (unreadable or empty file). Cost: one pass over the file.
        """
        wanted = ", ".join(f"{sql} AS {quoted(name)}" for name, sql in expressions.items())
        self.num_entries = 0
        try:
            result = self.work.connection.sql(f"SELECT {wanted} FROM {self.relation.sql}")
            reader = result.to_arrow_reader(BATCH_ROWS)
            for batch in reader:
                self.num_entries += batch.num_rows
                yield batch
            if self.num_entries == 0:  # every row was refused: the columns still have their types
                yield pa.RecordBatch.from_pylist([], schema=reader.schema)
        except duckdb.Error as error:
            raise unreadable(self.path, error) from None
        self.rejects = self.relation.rejects()
        if self.num_entries + len(self.rejects) == 0 and not self.may_be_empty:
            raise DataError(f"{self.path} holds no rows; expected at least one below the header")

    def row_numbers(self) -> IntArray:
        """Number in the file (from 1) of the row of each entry, for unpacked formats.

        A refused row may lie beyond the rows: behind a quote that does not close, blank lines are
        counted like any other.
        """
        refused = [0, *(row for row, _, _ in self.rejects)]
        was_read = np.ones(max(self.num_entries + len(self.rejects), *refused) + 1, dtype=bool)
        was_read[refused] = False
        return np.flatnonzero(was_read)[: self.num_entries].astype(np.int64)

    def texts_of(self, places: IntArray) -> list[str]:
        """What a person should see of the entries at these places (from 0, rising)."""
        bad = self.work.register(pa.table({"bad": places}))
        shown = ", ".join(
            f"{literal(name + '=')} || coalesce(CAST({quoted(name)} AS VARCHAR), '')"
            for name in self.columns
        )
        found = self.work.connection.sql(
            f"SELECT left(concat_ws(', ', {shown}), {MAX_TEXT}) AS text FROM "
            f"(SELECT row_number() OVER () - 1 AS __place, * FROM {self.relation.sql}) "
            f"WHERE __place IN (SELECT bad FROM {bad}) ORDER BY __place"
        )
        texts: list[str] = found.to_arrow_table()["text"].to_pylist()
        return texts


def unreadable(path: Path, error: duckdb.Error) -> DataError:
    """What to say of a file that DuckDB cannot read."""
    reason = str(error).strip().splitlines()[0]
    if isinstance(error, duckdb.OutOfMemoryException):
        return DataError(f"{path}: {reason}; give a larger --memory-limit")
    return DataError(f"{path} cannot be read ({reason}); mend or fetch the file again")


def open_raw(work: Workspace, path: Path, source: FileSource) -> RawTable:
    """Make a file ready to be scanned. Raises DataError."""
    # Large systems write a part for every task, also for one that had nothing to write.
    may_be_empty = source.many or getattr(source, "optional", False)
    try:
        relation = READERS.get(source.format)(work, path, source)
        return RawTable(work, path, relation, may_be_empty)
    except duckdb.Error as error:
        raise unreadable(path, error) from None
    except csv.Error as error:
        raise DataError(
            f"the header of {path} cannot be read ({error}); expected short column names"
        ) from None


def resolve(names: tuple[str, ...], header: list[str], file: str) -> str:
    """The first of `names` in the header. Raises RecipeError naming the nearest column."""
    for name in names:
        if name in header:
            return name
    wanted = " or ".join(f"'{name}'" for name in names)
    raise RecipeError(
        f"{file} has no column {wanted} (its columns: {', '.join(header[:20])}); "
        f"{_other_format(header) or nearest(names[0], header)}"
    )


def _other_format(header: list[str]) -> str:
    """What the header of a file looks like that is read in the wrong format; empty if nothing."""
    if header and header[0].startswith("{"):
        return "its first line is a JSON object: set format = 'jsonl'"
    between = [sign for sign in (",", ";", "\t", "|") if len(header) == 1 and sign in header[0]]
    return f"set delimiter = {between[0]!r} in the recipe" if between else ""
