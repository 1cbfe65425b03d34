"""Ragged rows: many short integer lists in two flat arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from sargraph.core.types import IntArray


@dataclass(frozen=True)
class Ragged:
    """Rows of different lengths: row i is `values[offsets[i]:offsets[i + 1]]`.

    `values` int64 [total], `offsets` int64 [rows + 1], starting with 0 and never falling.
    Raises ValueError when the two do not fit.
    """

    values: IntArray
    offsets: IntArray

    def __post_init__(self) -> None:
        if len(self.offsets) < 1 or self.offsets[0] != 0 or self.offsets[-1] != len(self.values):
            raise ValueError("offsets must run from 0 to len(values)")
        if np.any(np.diff(self.offsets) < 0):
            raise ValueError("offsets must not fall")

    @classmethod
    def from_lists(cls, lists: Iterable[Iterable[int]]) -> Ragged:
        """Pack lists of integers. Cost: O(total)."""
        rows = [np.fromiter(row, dtype=np.int64) for row in lists]
        return cls.from_lengths(
            np.concatenate(rows) if rows else np.empty(0, np.int64),
            np.array([len(row) for row in rows], dtype=np.int64),
        )

    @classmethod
    def from_lengths(cls, values: IntArray, lengths: IntArray) -> Ragged:
        """Pack flat `values` whose consecutive rows have the given lengths."""
        offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return cls(np.asarray(values, dtype=np.int64), offsets)

    @classmethod
    def group(cls, keys: IntArray, values: IntArray, num_rows: int) -> Ragged:
        """Put each value into the row named by its key, keeping the order of the values."""
        order = np.argsort(keys, kind="stable")
        return cls.from_lengths(values[order], np.bincount(keys, minlength=num_rows))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> IntArray:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    def __iter__(self) -> Iterator[IntArray]:
        return (self[row] for row in range(len(self)))

    @property
    def lengths(self) -> IntArray:
        """Length of each row, int64 [rows]."""
        return np.diff(self.offsets)

    @property
    def row_of_value(self) -> IntArray:
        """The row that each value belongs to, int64 [total]."""
        return np.repeat(np.arange(len(self), dtype=np.int64), self.lengths)

    def take(self, rows: IntArray) -> Ragged:
        """The given rows, in the given order; repeats are allowed. Cost: O(values taken)."""
        lengths = self.lengths[rows]
        starts = np.repeat(self.offsets[:-1][rows], lengths)
        within = np.arange(int(lengths.sum()), dtype=np.int64) - np.repeat(
            np.cumsum(lengths) - lengths, lengths
        )
        return Ragged.from_lengths(self.values[starts + within], lengths)

    def to_padded(self, width: int, padding: int = -1, keep: str = "first") -> IntArray:
        """The first (or last) `width` values of each row, left-aligned: int64 [rows, width]."""
        if keep not in ("first", "last"):
            raise ValueError(f"keep must be 'first' or 'last', got {keep!r}")
        lengths = np.minimum(self.lengths, width)
        starts = self.offsets[:-1] if keep == "first" else self.offsets[1:] - lengths
        columns = np.arange(width, dtype=np.int64)[None, :]
        valid = columns < lengths[:, None]
        padded = np.full((len(self), width), padding, dtype=np.int64)
        padded[valid] = self.values[(starts[:, None] + columns)[valid]]
        return padded
