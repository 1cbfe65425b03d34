"""Where raw logs are worked on: a DuckDB connection, scratch files, quarantine and ledger."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa

from sargraph.core.errors import ConfigError
from sargraph.events.reading.ledger import Ledger
from sargraph.events.reading.quarantine import Quarantine

MAX_THREADS = 1024


@dataclass
class Workspace:
    """What the steps of one ingestion share."""

    connection: duckdb.DuckDBPyConnection
    scratch: Path
    quarantine: Quarantine = field(default_factory=Quarantine)
    ledger: Ledger = field(default_factory=Ledger)
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
def workspace(memory_limit: str = "1GB", threads: int = 0) -> Iterator[Workspace]:
    """A workspace whose scratch files vanish at the end.

    DuckDB keeps to `memory_limit` and spills to the scratch folder; 0 `threads` means all cores.
    The order of rows never depends on the number of threads.
    Raises ConfigError for a limit DuckDB does not understand, or a number of threads out of range.
    """
    with TemporaryDirectory(prefix="sargraph.") as folder:
        if not 0 <= threads <= MAX_THREADS:
            raise ConfigError(f"got {threads} threads, expected 1..{MAX_THREADS}, or 0 for all")
        if memory_limit.lstrip().startswith("-"):
            raise ConfigError(f"got memory limit '{memory_limit}'; give a size such as 1GB")
        settings: dict[str, Any] = {"memory_limit": memory_limit}
        settings["temp_directory"] = f"{folder}/spill"
        if threads:
            settings["threads"] = str(threads)
        try:
            connection = duckdb.connect(config=settings)
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(
                f"got memory limit '{memory_limit}' ({reason}); give a size such as 1GB"
            ) from None
        try:
            yield Workspace(connection, Path(folder))
        finally:
            connection.close()


def quoted(name: str) -> str:
    """A column or table name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def file_literal(path: Path) -> str:
    """A path as SQL for DuckDB's readers: its `*`, `?` and `[` stand for themselves."""
    return literal(re.sub(r"([*?\[])", r"[\1]", str(path)))


def literal(text: str) -> str:
    """A text as SQL."""
    return "'" + text.replace("'", "''") + "'"
