"""HGT edge by edge and head by head: slow, plain and differentiable, the truth for tests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sargraph.graph.graph import EdgeType

Vectors = Mapping[str, list[Tensor]]
"""The vectors of all nodes of each kind."""
Edges = Mapping[EdgeType, list[tuple[int, int]]]
"""(source, target) of every edge of each type."""


@dataclass
class HGTOracle:
    """The formula of arXiv 2003.01332 in loops, from the named parameters of `HGT`.

    `types` are the types of edges of each layer, in the order in which its matrices are stacked.
    """

    weights: dict[str, Tensor]
    types: Sequence[Sequence[EdgeType]]
    num_heads: int

    def inputs(self, queries: list[list[int]]) -> dict[str, list[Tensor]]:
        """One vector per node; a query is the projected mean of its terms."""
        found = {
            name.removeprefix("table."): list(table)
            for name, table in self.weights.items()
            if name.startswith("table.")
        }
        found["query"] = []
        for terms in queries:
            total = torch.zeros_like(found["user"][0])
            for term in terms:
                total = total + found["term"][term] / len(terms)
            found["query"].append(self._linear("query_input", total))
        return found

    def propagate(self, queries: list[list[int]], edges: Edges) -> dict[str, list[Tensor]]:
        """The vectors after the last layer; a kind that a layer does not make stays."""
        vectors = self.inputs(queries)
        for layer, types in enumerate(self.types):
            made = {kind[2] for kind in types}
            vectors = {
                kind: [self._node(layer, kind, row, vectors, edges) for row in range(len(rows))]
                if kind in made
                else rows
                for kind, rows in vectors.items()
            }
        return vectors

    def _node(self, layer: int, kind: str, row: int, vectors: Vectors, edges: Edges) -> Tensor:
        """h' of one node."""
        name, own = f"convs.{layer}", vectors[kind][row]
        parts = [self._head(layer, head, kind, row, vectors, edges)
                 for head in range(self.num_heads)]  # fmt: skip
        gelu = [x * 0.5 * (1 + torch.erf(x / math.sqrt(2))) for x in torch.cat(parts)]
        out = self._linear(f"{name}.out_lin.lins.{kind}", torch.stack(gelu))
        gate = 1 / (1 + (-self.weights[f"{name}.skip.{kind}"]).exp())
        return gate * out + (1 - gate) * own

    def _head(
        self, layer: int, head: int, kind: str, row: int, vectors: Vectors, edges: Edges
    ) -> Tensor:
        """The weighted mean of the messages of all in-edges, of all types."""
        name, types = f"convs.{layer}", self.types[layer]
        asked = self._projected(layer, 1, head, kind, vectors[kind][row])
        logits, values = [], []
        for place, each in enumerate(types):
            if each[2] != kind:
                continue
            block = head * len(types) + place
            for source, target in edges[each]:
                if target != row:
                    continue
                told = vectors[each[0]][source]
                key = self._projected(layer, 0, head, each[0], told)
                key = key @ self.weights[f"{name}.k_rel.weight"][block]
                value = self._projected(layer, 2, head, each[0], told)
                scale = self.weights[f"{name}.p_rel.{'__'.join(each)}"][0, head]
                logits.append(scale * (asked @ key) / math.sqrt(len(asked)))
                values.append(value @ self.weights[f"{name}.v_rel.weight"][block])
        total = torch.zeros_like(asked)
        for logit, value in zip(logits, values, strict=True):
            total = total + value / sum((other - logit).exp() for other in logits)
        return total

    def _projected(self, layer: int, part: int, head: int, kind: str, vector: Tensor) -> Tensor:
        """Key (0), query (1) or value (2) of one head."""
        dim = len(vector)
        whole = self._linear(f"convs.{layer}.kqv_lin.lins.{kind}", vector)
        size = dim // self.num_heads
        start = part * dim + head * size
        return whole[start : start + size]

    def _linear(self, name: str, vector: Tensor) -> Tensor:
        out = self.weights[f"{name}.weight"] @ vector
        return out + self.weights[f"{name}.bias"] if f"{name}.bias" in self.weights else out
