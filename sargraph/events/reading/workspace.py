"""Where raw logs are worked on: a DuckDB connection, scratch files, and the quarantine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa

from sargraph.events.reading.quarantine import Quarantine


@dataclass
class Workspace:
    """What the steps of one ingestion share."""

    connection: duckdb.DuckDBPyConnection
    scratch: Path
    quarantine: Quarantine = field(default_factory=Quarantine)
    _names: int = 0

    def new_name(self, kind: str) -> str:
        """A table name not used before."""
        self._names += 1
        return f"{kind}_{self._names}"

    def register(self, table: pa.Table) -> str:
        """Make an Arrow table known to DuckDB; returns its name."""
        name = self.new_name("arrow")
        self.connection.register(name, table)
        return name


@contextmanager
def workspace() -> Iterator[Workspace]:
    """A workspace whose scratch files vanish at the end."""
    with TemporaryDirectory(prefix="sargraph.") as folder:
        connection = duckdb.connect(config={"temp_directory": f"{folder}/spill"})
        try:
            yield Workspace(connection, Path(folder))
        finally:
            connection.close()


def quoted(name: str) -> str:
    """A column or table name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL."""
    return "'" + text.replace("'", "''") + "'"
