"""HGT's network: attention with weights per kind of node and type of edge, over the whole graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import HeteroLinear, HGTConv

from sargraph.core.ragged import Ragged
from sargraph.core.rng import torch_generator
from sargraph.embedding.hgt_edges import TypedEdges
from sargraph.graph.graph import EdgeType


class HGT(nn.Module):
    """The heterogeneous graph transformer over users, items, queries and terms.

    Inputs are one learned vector per node, but a query is made of its terms, x_q = W mean_t x_t +
    b, so that a query that nobody asked before is a node like any other. A layer (PyG's `HGTConv`)
    is, for a target t with in-edges e = (s, t) of type r and kinds of nodes k(.), per head:
    ```
    w_e  = softmax over all in-edges of t, of all types, of  mu_r <Q_k(t) h_t, K_k(s) h_s A_r> / √d
    m_t  = sum over e of  w_e V_k(s) h_s M_r            heads concatenated
    h_t' = g (O_k(t) gelu(m_t) + b_k(t)) + (1 - g) h_t      g = sigmoid(skip_k(t))
    ```
    A node without in-edges has m_t = 0. The last layer makes only the kinds that are asked for, and
    no b_item.
    Cost of a propagation: O(layers · edges · dim) time and memory beside O(layers · nodes · types
    of edges at their kind · dim²) products; all edges are read at once.

    Source: Hu et al., Heterogeneous Graph Transformer (WWW 2020, arXiv 2003.01332). As in PyG, the
    residual is gated and there is no relative time; queries made of their terms, and no dropout,
    are ours. A user, item or term without an edge starts at 0.
    """

    def __init__(
        self,
        edges: TypedEdges,
        outputs: tuple[str, ...],
        dim: int,
        num_layers: int,
        num_heads: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.outputs = outputs
        self._kinds = edges.kinds
        self.has_queries = "query" in {*edges.kinds, *outputs}
        free = {*edges.kinds, *outputs} | ({"term"} if self.has_queries else set())
        self.table = nn.ParameterDict(
            {
                kind: nn.Parameter(torch.empty(size, dim))
                for kind, size in edges.sizes.items()
                if kind in free - {"query"} and size > 0
            }
        )
        self.query_input = nn.Linear(dim, dim) if self.has_queries else None
        every = edges.types
        self._types = [
            [kind for kind in every if layer < num_layers - 1 or kind[2] in outputs]
            for layer in range(num_layers)
        ]
        layers = [_layer(self._kinds, types, dim, num_heads) for types in self._types]
        # What is added to all items alike shifts all scores of a request, and no loss would see it.
        layers[-1].out_lin.lins["item"].register_parameter("bias", None)
        self.convs = nn.ModuleList(layers)
        self._reset_parameters(torch_generator(seed, "hgt"))
        self._silence(edges)

    def _reset_parameters(self, generator: torch.Generator) -> None:
        """Tables of length about 1, matrices uniform in ±1/√inputs; skips and mu_r stay at 1."""
        with torch.no_grad():
            for name, weight in self.named_parameters():
                if name.startswith("table."):
                    weight.normal_(std=weight.shape[1] ** -0.5, generator=generator)
                elif name.endswith(".weight"):
                    bound = weight.shape[1] ** -0.5  # [outputs, inputs] or [types, inputs, outputs]
                    weight.uniform_(-bound, bound, generator=generator)
                elif name.endswith(".bias"):
                    weight.zero_()

    def _silence(self, edges: TypedEdges) -> None:
        """Set the vectors of nodes without an edge to 0; a word of a query has one by that."""
        with torch.no_grad():
            for kind, weight in self.table.items():
                if kind != "term":
                    weight[~edges.has_edge(kind)] = 0

    def inputs(self, query_terms: Ragged) -> dict[str, Tensor]:
        """The first vectors of all nodes, by kind."""
        found: dict[str, Tensor] = dict(self.table.items())
        if self.query_input is not None:
            found["query"] = self.query_input(self.mean_of_terms(query_terms))
        return found

    def mean_of_terms(self, query_terms: Ragged) -> Float[Tensor, "queries dim"]:
        """The mean of each query's term vectors; 0 for a query without a term."""
        if len(query_terms.values) == 0:
            return next(iter(self.table.values())).new_zeros(len(query_terms), self.dim)
        rows, offsets = torch.tensor(query_terms.values), torch.tensor(query_terms.offsets)
        return F.embedding_bag(
            rows, self.table["term"], offsets, mode="mean", include_last_offset=True
        )

    @property
    def dim(self) -> int:
        """Length of every vector."""
        return int(next(iter(self.table.values())).shape[1])

    def propagate(
        self, query_terms: Ragged, messages: Mapping[EdgeType, Int[Tensor, "2 _"]]
    ) -> dict[str, Tensor]:
        """Final vectors of the kinds in `outputs`. `messages` has every type, maybe without edges.

        The order of the edges does not matter. A kind without any type of edge keeps its inputs.
        """
        vectors = self.inputs(query_terms)
        for conv, types in zip(self.convs, self._types, strict=True):
            nodes = {kind: vectors[kind] for kind in self._kinds}
            vectors = {**vectors, **conv(nodes, {kind: messages[kind] for kind in types})}
        return {kind: vectors[kind] for kind in self.outputs}

    def unconnected_queries(
        self, means: Float[Tensor, "queries dim"]
    ) -> Float[Tensor, "queries dim"]:
        """The final vectors of queries without an edge, from the means of their terms.

        In every layer that updates queries, g b_query + (1 - g) h is what is left of it.
        Raises ValueError where the graph has no queries.
        """
        if self.query_input is None:
            raise ValueError("got a network without queries, expected one with them")
        vectors: Tensor = self.query_input(means)
        for layer, types in zip(self.convs, self._types, strict=True):
            if any(kind[2] == "query" for kind in types):
                conv: Any = layer
                gate = conv.skip["query"].sigmoid()
                vectors = gate * conv.out_lin.lins["query"].bias + (1 - gate) * vectors
        return vectors


class _Blocks(HeteroLinear):
    """One matrix per block of rows, x_r W_type(r), for rows that come sorted by type.

    The same product as PyG's own without pyg-lib, whose backward pass copies all rows once per
    block.
    """

    def forward(
        self, x: Float[Tensor, "rows inputs"], type_vec: Int[Tensor, " rows"]
    ) -> Float[Tensor, "rows outputs"]:
        counts = torch.bincount(type_vec, minlength=self.num_types).tolist()
        blocks = zip(x.split(counts), self.weight.unbind(0), strict=True)
        return torch.cat([rows @ matrix for rows, matrix in blocks])


def _layer(kinds: list[str], types: list[EdgeType], dim: int, num_heads: int) -> HGTConv:
    """A layer without the output weights of kinds that it does not make: nothing trains them."""
    conv = HGTConv(dim, dim, (kinds, types), num_heads)
    size, num_types = dim // num_heads, num_heads * len(types)
    conv.k_rel = _Blocks(size, size, num_types, is_sorted=True, bias=False)
    conv.v_rel = _Blocks(size, size, num_types, is_sorted=True, bias=False)
    for kind in set(kinds) - {each[2] for each in types}:
        del conv.skip[kind]
        del conv.out_lin.lins[kind]
    return conv
