"""`Walk`: one edge type in the direction in which it is walked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sargraph.core.types import IntArray
from sargraph.graph.csr import RowArray
from sargraph.graph.draws import edges_joining, places_of
from sargraph.graph.fan_out import forward_of
from sargraph.graph.graph import EdgeTable, EdgeType, Graph


@dataclass(frozen=True)
class Walk:
    """One edge type as it is walked: CSR by the receiving node, (neighbour, edge) side by side."""

    edge_type: EdgeType
    fan_outs: tuple[int, ...]
    indptr: RowArray
    time: IntArray
    neighbours: Any

    @classmethod
    def of(cls, graph: Graph, edge_type: EdgeType, fan_outs: tuple[int, ...]) -> Walk:
        """The walk over an edge type of the graph, forward or reversed. Cost: that of one CSR."""
        forward = forward_of(edge_type)
        csr = graph.csr(forward, reverse=edge_type == forward)
        pairs = np.stack([csr.indices, csr.edge], axis=1)
        return cls(edge_type, fan_outs, csr.indptr, csr.time, pairs)

    @property
    def forward(self) -> EdgeType:
        """The stored type that is walked."""
        return forward_of(self.edge_type)

    def places(self, table: EdgeTable, edge: IntArray) -> IntArray:
        """The places of edge rows of the stored `table`, ascending, each once.

        Cost: O(log degree) per edge.
        """
        node = (table.to_row if self.edge_type == self.forward else table.from_row)[edge]
        place = np.empty_like(edge)
        places_of(self.indptr, self.time, self.neighbours, node, table.time[edge], edge, place)
        return np.unique(place)

    def joining(self, source: IntArray, target: IntArray, upto: IntArray) -> IntArray:
        """Edge rows from each source to its target, int64 [n] each, before the times `upto`.

        The ends are those of the stored type. Cost: the neighbours of one end before `upto`.
        """
        is_forward = self.edge_type == self.forward
        ends = (target, source) if is_forward else (source, target)
        found = np.empty(0, dtype=np.int64)
        size = edges_joining(self.indptr, self.time, self.neighbours, *ends, upto, found)
        if size:
            found = np.empty(size, dtype=np.int64)
            edges_joining(self.indptr, self.time, self.neighbours, *ends, upto, found)
        return found
