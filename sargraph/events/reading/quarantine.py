"""Quarantine: the rows of raw logs that cannot be used, each with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

MAX_TEXT = 200


@dataclass
class Quarantine:
    """Bad rows in the order they were met.

    `rows` are numbers in the file, from 1, the header not counted.
    """

    files: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def add(self, file: str, reason: str, rows: Iterable[tuple[int, str]]) -> None:
        """Put rows (number, raw text) away; the text is cut at 200 characters."""
        for number, text in rows:
            self.files.append(file)
            self.rows.append(number)
            self.reasons.append(reason)
            self.texts.append(text[:MAX_TEXT])

    def __len__(self) -> int:
        return len(self.rows)

    def counts(self) -> dict[str, int]:
        """Number of rows by reason."""
        return dict(sorted(Counter(self.reasons).items()))

    def sample(self, size: int = 5) -> list[dict[str, Any]]:
        """The first rows, for a report."""
        rows = zip(self.files, self.rows, self.reasons, self.texts, strict=True)
        return [{"file": f, "row": n, "reason": r, "text": t} for f, n, r, t in list(rows)[:size]]

    def columns(self) -> dict[str, Any]:
        """Columns to save: file, row, reason, text."""
        return {
            "file": pa.array(self.files, pa.string()),
            "row": pa.array(self.rows, pa.int64()),
            "reason": pa.array(self.reasons, pa.string()),
            "text": pa.array(self.texts, pa.string()),
        }
