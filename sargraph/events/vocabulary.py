"""Vocabularies: outside ids on one side, contiguous rows on the other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from sargraph.core.errors import UnknownIdError, nearest
from sargraph.core.table import read_columns, write_columns
from sargraph.core.types import NO_ROW, IntArray


class Vocabulary:
    """A bijection between distinct ids (strings) and rows 0..n-1, with an optional name per id.

    The order of `ids` is the order of rows. Raises ValueError when an id occurs twice.
    """

    def __init__(self, ids: Sequence[str], names: Sequence[str] | None = None) -> None:
        self.ids: tuple[str, ...] = tuple(ids)
        self.names: tuple[str, ...] = self.ids if names is None else tuple(names)
        if len(self.names) != len(self.ids):
            raise ValueError(f"{len(self.ids)} ids but {len(self.names)} names")
        if len(self._row_of) != len(self.ids):
            raise ValueError("an id occurs twice in a vocabulary")

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {id_: row for row, id_ in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._row_of

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and (self.ids, self.names) == (other.ids, other.names)

    __hash__ = None  # type: ignore[assignment]

    def row(self, id_: str) -> int:
        """The row of one id. Raises UnknownIdError naming the nearest known id."""
        row = self._row_of.get(str(id_))
        if row is None:
            hint = nearest(str(id_), self.ids[:5000])
            raise UnknownIdError(f"unknown id '{id_}' among {len(self)} ids; {hint}")
        return row

    def rows(self, ids: Sequence[str]) -> IntArray:
        """Rows of many ids, -1 where unknown, int64 [len(ids)]."""
        return np.array([self._row_of.get(id_, NO_ROW) for id_ in ids], dtype=np.int64)

    def match(self, other: Vocabulary) -> IntArray:
        """For each of our rows the row of the same id in `other`, -1 where it has none."""
        return other.rows(self.ids)

    def save(self, path: Path) -> None:
        """Write ids and names as Parquet, in row order."""
        write_columns(path, {"id": list(self.ids), "name": list(self.names)})

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Read a vocabulary written by `save`. Raises ArtifactError."""
        columns = read_columns(path)
        return cls(columns["id"].tolist(), columns["name"].tolist())
