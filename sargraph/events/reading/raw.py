"""Raw tables: the needed columns of one file as texts, each row with its place in the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from sargraph.core.errors import DataError, RecipeError, nearest
from sargraph.core.types import IntArray
from sargraph.events.reading.formats import READERS
from sargraph.events.reading.quarantine import MAX_TEXT
from sargraph.events.reading.workspace import Workspace, literal, quoted
from sargraph.events.recipe import FileSource

PLACE = "__place"
"""Column of the row's place among the rows that could be read, from 0."""


@dataclass(frozen=True)
class RawTable:
    """A file read as texts: `numbers` int64 [n] is each row's number in the file, from 1."""

    work: Workspace
    table: str
    file: str
    header: list[str]
    columns: list[str]
    numbers: IntArray
    num_rejects: int

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def num_rows(self) -> int:
        """Rows of the file, with those that could not be read."""
        return len(self) + self.num_rejects

    def column(self, names: tuple[str, ...]) -> str:
        """The first of the header names that the file has, as SQL. Raises RecipeError."""
        return quoted(resolve(names, self.header, self.file))

    def select(self, expressions: Mapping[str, str], where: str = "true") -> pa.Table:
        """Evaluate SQL expressions on every row, in the order of the file."""
        wanted = ", ".join(f"{sql} AS {quoted(name)}" for name, sql in expressions.items())
        query = f"SELECT {wanted} FROM {self.table} WHERE {where} ORDER BY {PLACE}"
        return self.work.connection.sql(query).to_arrow_table()

    def quarantine(self, reason: str, rows: IntArray) -> None:
        """Put rows (places from 0) in quarantine with the texts of their columns."""
        if len(rows) == 0:
            return
        bad = self.work.register(pa.table({"bad": rows}))
        shown = ", ".join(
            f"{literal(name + '=')} || coalesce({quoted(name)}, '')" for name in self.columns
        )
        text = f"left(concat_ws(', ', {shown}), {MAX_TEXT})"
        texts = self.select({"text": text}, f"{PLACE} IN (SELECT bad FROM {bad})")["text"]
        numbers = self.numbers[rows].tolist()
        self.work.quarantine.add(self.file, reason, zip(numbers, texts.to_pylist(), strict=True))

    def drop(self) -> None:
        """Free the memory of the table."""
        self.work.connection.execute(f"DROP TABLE {self.table}")


def load(
    work: Workspace, path: Path, source: FileSource, wanted: list[tuple[str, ...]]
) -> RawTable:
    """Read the wanted columns of a file; rows that cannot be read go to quarantine.

    Raises DataError (unreadable or empty file) and RecipeError (no such column).
    """
    relation = READERS.get(source.format)(work, path, source)
    names = list(dict.fromkeys(resolve(w, relation.header, path.name) for w in wanted))
    table = work.new_name("raw")
    columns = ", ".join(map(quoted, names))
    try:
        work.connection.execute(
            f"CREATE TABLE {table} AS SELECT row_number() OVER () - 1 AS {PLACE}, {columns} "
            f"FROM {relation.sql}"
        )
        [(size,)] = work.connection.execute(f"SELECT count(*) FROM {table}").fetchall()
    except duckdb.Error as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"{path} cannot be read ({reason}); mend or fetch the file again") from None
    rejects = relation.rejects()
    if size + len(rejects) == 0:
        raise DataError(f"{path} holds no rows; expected at least one below the header")
    for number, reason, text in rejects:
        work.quarantine.add(path.name, reason, [(number, text)])
    refused = [0, *(row for row, _, _ in rejects)]
    # Blank lines are no rows, yet the scan counts them: a refused row may lie beyond the rows.
    was_read = np.ones(max(size + len(rejects), *refused) + 1, dtype=bool)
    was_read[refused] = False
    numbers = np.flatnonzero(was_read)[:size].astype(np.int64)
    return RawTable(work, table, path.name, relation.header, names, numbers, len(rejects))


def resolve(names: tuple[str, ...], header: list[str], file: str) -> str:
    """The first of `names` in the header. Raises RecipeError naming the nearest column."""
    for name in names:
        if name in header:
            return name
    wanted = " or ".join(f"'{name}'" for name in names)
    raise RecipeError(
        f"{file} has no column {wanted} (its columns: {', '.join(header[:20])}); "
        f"{nearest(names[0], header)}"
    )
