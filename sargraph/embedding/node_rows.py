"""All nodes of several kinds as the rows of one table, a kind after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from torch import Tensor

from sargraph.core.types import FloatArray, IntArray

Rows = TypeVar("Rows", IntArray, Tensor)


@dataclass(frozen=True)
class NodeRows:
    """Where each kind of node begins in the common table; `sizes` in the order of the kinds."""

    sizes: dict[str, int]

    def __len__(self) -> int:
        return sum(self.sizes.values())

    def start(self, kind: str) -> int:
        """The row of the first node of a kind."""
        before = list(self.sizes).index(kind)
        return sum(list(self.sizes.values())[:before])

    def of(self, kind: str, rows: Rows) -> Rows:
        """Rows of one kind as rows of the common table."""
        return rows + self.start(kind)

    def table(self, kind: str, common: FloatArray) -> FloatArray:
        """The part of a common table [nodes, dim] that one kind has, as a copy of its own."""
        start = self.start(kind)
        return np.array(common[start : start + self.sizes[kind]], dtype=np.float32)
