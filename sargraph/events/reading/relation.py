"""What a file format's reader gives: a relation that DuckDB can scan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from sargraph.core.errors import DataError

Reject: TypeAlias = tuple[int, str, str]
"""Row in the file (from 1, header not counted), reason, raw text."""

MAX_LINE_BYTES = 16_000_000


@dataclass(frozen=True)
class Relation:
    """A scannable file: header names, SQL to stand after FROM, and the rows its scan refused.

    `row` names the column with the number (from 1) of the source row that an entry came from,
    where one source row gives several entries; `None` where each entry is a row. `types` gives
    the DuckDB type of the columns that are no texts.
    """

    header: list[str]
    sql: str
    rejects: Callable[[], list[Reject]] = list
    row: str | None = None
    types: dict[str, str] = field(default_factory=dict)


def check_header(header: list[str], path: Path) -> list[str]:
    """The header, if its names differ. Raises DataError: DuckDB takes `Item` for `item`."""
    met: dict[str, str] = {}
    for name in header:
        before = met.setdefault(name.lower(), name)
        if before != name or header.count(name) > 1:
            also = f" (also as '{before}')" if before != name else ""
            raise DataError(f"{path} names column '{name}' twice{also}; rename one of them")
    return header
