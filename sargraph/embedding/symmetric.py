"""An undirected graph as the symmetric matrix that a convolution multiplies with."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sargraph.nn.sparse import SparseMatrix, SparsePattern


@dataclass(frozen=True)
class FixedMatrix:
    """A sparse matrix that every step reads, in whichever float type the step is in."""

    pattern: SparsePattern
    weight: Float[Tensor, " entries"]
    made: dict[torch.dtype, SparseMatrix] = field(default_factory=dict, compare=False, repr=False)

    def of(self, dtype: torch.dtype) -> SparseMatrix:
        """The matrix; made once for each type."""
        if dtype not in self.made:
            self.made[dtype] = self.pattern.weighted(self.weight.to(dtype))
        return self.made[dtype]


@dataclass(frozen=True)
class SymmetricEdges:
    """Undirected edges between nodes; each should be given once, its smaller end first.

    The matrix is D^-1/2 A D^-1/2: `1 / sqrt(d_a d_b)` where an edge joins a and b, with d the
    number of a node's edges. A node without edges has a row of zeros.
    Source: Kipf and Welling, ICLR 2017, without their self loops.
    """

    num_nodes: int
    first: Int[Tensor, " edges"]
    second: Int[Tensor, " edges"]
    pattern: SparsePattern
    all_edges: FixedMatrix

    @classmethod
    def build(
        cls, first: Int[Tensor, " edges"], second: Int[Tensor, " edges"], num_nodes: int
    ) -> SymmetricEdges:
        """Sort the edges; cost O(edges log edges)."""
        row, column = torch.cat([first, second]), torch.cat([second, first])
        pattern = SparsePattern.build(row, column, num_nodes, num_nodes)
        kept = torch.ones(len(first), dtype=torch.float64)
        weight = _both_ways(kept, first, second, num_nodes)
        return cls(num_nodes, first, second, pattern, FixedMatrix(pattern, weight))

    def matrix(
        self, dtype: torch.dtype, keep: Bool[Tensor, " edges"] | None = None
    ) -> SparseMatrix:
        """The matrix of the edges where `keep` is True (all by default), degrees counted anew."""
        if keep is None:
            return self.all_edges.of(dtype)
        weight = _both_ways(keep.to(dtype), self.first, self.second, self.num_nodes)
        return self.pattern.weighted(weight)

    def outside(
        self, first: Int[Tensor, " hidden"], second: Int[Tensor, " hidden"]
    ) -> Bool[Tensor, " edges"]:
        """True for the edges that join none of the given (smaller, larger) pairs of nodes."""
        hidden = first * self.num_nodes + second
        return ~torch.isin(self.first * self.num_nodes + self.second, hidden)

    def degrees(self) -> Int[Tensor, " nodes"]:
        """The number of edges of each node."""
        return torch.bincount(torch.cat([self.first, self.second]), minlength=self.num_nodes)


def _both_ways(kept: Tensor, first: Tensor, second: Tensor, num_nodes: int) -> Tensor:
    """The weights of all edges in one direction, then in the other; 0 where not kept."""
    degree = kept.new_zeros(num_nodes).index_add_(0, first, kept).index_add_(0, second, kept)
    scale = degree.clamp(min=1).rsqrt()
    weight = kept * scale[first] * scale[second]
    return torch.cat([weight, weight])
