"""Quarantine: the rows of raw logs that cannot be used, each with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from sargraph.core.types import CodeArray

MAX_TEXT = 200

_SCHEMA = pa.schema(
    {"file": pa.string(), "row": pa.int64(), "reason": pa.string(), "text": pa.string()}
)


@dataclass
class Quarantine:
    """Bad rows in the order they were met; `row` is the number in the file, from 1."""

    parts: list[pa.Table] = field(default_factory=list)

    def add(
        self, file: str, reason: str, rows: CodeArray | Sequence[int], texts: Sequence[str]
    ) -> None:
        """Put rows (numbers and raw texts) away; the text is cut at 200 characters."""
        size = len(rows)
        columns = [[file] * size, rows, [reason] * size, [text[:MAX_TEXT] for text in texts]]
        arrays = [pa.array(c, f.type) for c, f in zip(columns, _SCHEMA, strict=True)]
        self.parts.append(pa.table(arrays, schema=_SCHEMA))

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @property
    def table(self) -> pa.Table:
        """All rows: file, row, reason, text."""
        return pa.concat_tables([_SCHEMA.empty_table(), *self.parts])

    def counts(self) -> dict[str, int]:
        """Number of rows by reason."""
        counts: Counter[str] = Counter()
        for part in self.parts:
            counts.update(part["reason"].to_pylist())
        return dict(sorted(counts.items()))

    def sample(self, per_reason: int = 2) -> list[dict[str, Any]]:
        """The first rows of each reason, for a report, in the order they were met."""
        found: Counter[str] = Counter()
        rows: list[dict[str, Any]] = []
        for part in self.parts:
            for row in part.slice(0, per_reason).to_pylist():
                found[row["reason"]] += 1
                if found[row["reason"]] <= per_reason:
                    rows.append(row)
        return rows

    def columns(self) -> dict[str, Any]:
        """Columns to save: file, row, reason, text."""
        table = self.table
        return {name: table[name] for name in table.column_names}
