"""The nodes of one type in a growing sample: each (tree, row) once, numbered as met."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from sargraph.core.types import IntArray
from sargraph.graph.csr import row_type
from sargraph.graph.draws import FREE, number_nodes, refill

_local = threading.local()


def scratch(name: str, size: int, dtype: Any = np.int64) -> Any:
    """Memory of this thread for intermediate results, used again by the next call of that name.

    Fresh memory must be cleared by the system, which costs more than a draw from it. The kept
    memory is that of the largest sample so far.
    """
    buffers: dict[Any, Any] = _local.__dict__
    key = (name, np.dtype(dtype).str)
    if key not in buffers or len(buffers[key]) < size:
        buffers[key] = np.empty(max(64, size + size // 4), dtype=dtype)
    return buffers[key][:size]


class NodeSet:
    """The nodes of one type; `node` and `tree` are valid up to `count`.

    `hops` holds the count after the seeds and after each hop.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self.count = 0
        self.hops: list[int] = []
        self.node: IntArray = scratch(f"{kind} node", 0)
        self.tree: IntArray = scratch(f"{kind} tree", 0)
        self._table: Any = None

    @property
    def frontier(self) -> slice:
        """The nodes that the hop before the current one added."""
        return slice(self.hops[-2] if len(self.hops) > 1 else 0, self.hops[-1])

    def add(self, rows: IntArray, trees: IntArray, taken: IntArray) -> None:
        """Number the rows in place; those of `taken[i]:taken[i + 1]` belong to `trees[i]`."""
        self._reserve(len(rows))
        self.count = int(
            number_nodes(self._table, self.node, self.tree, self.count, trees, taken, rows)
        )

    def close_hop(self) -> None:
        """Say that the nodes from here on belong to the next hop."""
        self.hops.append(self.count)

    def _reserve(self, extra: int) -> None:
        """Make room for `extra` nodes, in a table that is at most half full."""
        needed = self.count + extra
        self.node = self._grown("node", self.node, needed)
        self.tree = self._grown("tree", self.tree, needed)
        if self._table is not None and len(self._table) >= 2 * needed:
            return
        size = 1 << max(3, (2 * needed - 1).bit_length())
        self._table = scratch(f"{self._kind} table", size, row_type(size))
        self._table.fill(FREE)
        refill(self._table, self.node, self.tree, self.count)

    def _grown(self, name: str, old: IntArray, size: int) -> IntArray:
        if len(old) >= size:
            return old
        new: IntArray = scratch(f"{self._kind} {name}", size)
        new[: self.count] = old[: self.count]
        return new
