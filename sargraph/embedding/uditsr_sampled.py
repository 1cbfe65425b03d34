"""A step of UDITSR on a sampled part of the graph: a few edges of each node that it needs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from sargraph.core.types import IntArray
from sargraph.embedding.uditsr import UDITSR
from sargraph.embedding.uditsr_data import UDITSRData
from sargraph.embedding.uditsr_step import StepRows
from sargraph.graph.graph import CLICKED, FOUND, EdgeTable, EdgeType, Graph
from sargraph.graph.sample import NeighbourSampler
from sargraph.graph.tree import NO_LIMIT, Sample, Seeds
from sargraph.nn.edges import EdgeMeans
from sargraph.nn.sparse import SparseMatrix, SparsePattern
from sargraph.nn.translation import combine_layers

_SIDES = {"user": (("item", "rev_clicked", "user"), ("item", "rev_found", "user")),
          "item": (CLICKED, FOUND)}  # fmt: skip
"""The edge types that lead to users and to items: recommendation first, then search."""


class SampledPropagation:
    """Final vectors of the users and items of a step from `fan_out` drawn edges per node and layer.

    A node's mean over its edges becomes the mean over its drawn recommendation edges and the mean
    over its drawn search edges, weighed by how many of each it has: where nothing is left out, the
    exact mean. Edges between the pairs that the step predicts are not drawn (`hide_edges`).
    Cost: O(batch · fan-outs) instead of O(edges).
    """

    def __init__(self, graph: Graph, data: UDITSRData, fan_out: tuple[int, ...], seed: int) -> None:
        self.data = data
        self._first_search = int((~data.edges.is_search).sum())
        kinds = {CLICKED: slice(0, self._first_search), FOUND: slice(self._first_search, None)}
        tables = {kind: _table(data, rows) for kind, rows in kinds.items()}
        numbers = {kind: list(fan_out) for side in _SIDES.values() for kind in side}
        part = replace(graph, edges=tables, virtual=None, content_hash="")
        self._sampler = NeighbourSampler(part, numbers, seed=seed)
        self._degree = {
            side: [
                np.bincount(_ends(tables[kind], side), minlength=graph.num_nodes[side])
                for kind in (CLICKED, FOUND)
            ]
            for side in _SIDES
        }
        self._draws = 0

    def begin(self, epoch: int) -> None:
        """Draws of a pass depend on its number alone, so that a resumed training draws the same."""
        self._draws = epoch << 32

    def __call__(
        self, module: UDITSR, rows: StepRows, hidden: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Vectors of `rows.users` and `rows.items`; `hidden` marks the edges not to be drawn."""
        self._draws += 1
        sample = self._sampler.grow(
            Seeds(_starts(rows), np.array([NO_LIMIT]), np.array([self._draws])),
            exclude=None if hidden is None else self._exclude(hidden),
            epoch=self._draws,
        )
        users, items = (torch.from_numpy(sample.node[side]) for side in ("user", "item"))
        means, pairs = self._means(sample, self._degrees(sample, hidden))
        edges = self.data.edges
        context, of_pair = torch.unique(edges.pair_context[pairs], return_inverse=True)
        contexts = module.contexts(context) if edges.contexts is None else (
            edges.contexts.take(context))  # fmt: skip
        item_rows, item_place = torch.unique(edges.pair_item[pairs], return_inverse=True)
        asked = module.asked_items(item_rows)
        tables = module.intent.tables(
            module.user_embedding(contexts.user), module.item_embedding(asked),
            module.term_embedding.weight, contexts, module.item_terms[asked],
        )  # fmt: skip
        layers = module.translation(
            means, module.user_embedding(users), module.item_embedding(items),
            lambda matrix: module.intent.mean_demand(tables, of_pair, item_place, matrix),
            module.term_embedding.weight,
        )  # fmt: skip
        user, item = combine_layers(layers, module.layer_weights())
        at_user, at_item = (torch.from_numpy(place) for place in sample.seeds)
        return user[at_user], item[at_item]

    def _degrees(self, sample: Sample, hidden: Tensor | None) -> dict[str, list[IntArray]]:
        """Recommendation and search edges of each sampled node that may be drawn."""
        edges, first, found = self.data.edges, self._first_search, {}
        for side, ends in (("user", edges.user), ("item", edges.item)):
            nodes = sample.node[side]
            found[side] = [degree[nodes] for degree in self._degree[side]]
            if hidden is not None:
                rows = torch.nonzero(hidden).flatten()
                size = len(self._degree[side][0])
                for place, of_type in enumerate((rows[rows < first], rows[rows >= first])):
                    fewer = torch.bincount(ends[of_type], minlength=size).numpy()
                    found[side][place] = found[side][place] - fewer[nodes]
        return found

    def _means(
        self, sample: Sample, degrees: dict[str, list[IntArray]]
    ) -> tuple[EdgeMeans, Tensor]:
        """Matrices over the sample's own numbering, and the pairs that are the columns of one."""
        edges, sizes = self.data.edges, {side: len(sample.node[side]) for side in _SIDES}
        parts = {
            side: [self._drawn(sample, side, place, degrees[side]) for place in range(2)]
            for side in _SIDES
        }
        shift = {"user": 0, "item": sizes["user"]}
        rec = [(col + shift[side], edge, w) for side, (first, _) in parts.items()
               for _, col, edge, w in [first]]  # fmt: skip
        pairs, column = torch.unique(
            torch.cat([edges.pair[edge] for _, edge, _ in rec]), return_inverse=True
        )
        total = sizes["user"] + sizes["item"]
        virtual = _matrix(
            torch.cat([node for node, _, _ in rec]), column,
            torch.cat([w for _, _, w in rec]), total, len(pairs),
        )  # fmt: skip
        typed = [(col + shift[side], edge, w) for side, (_, second) in parts.items()
                 for _, col, edge, w in [second]]  # fmt: skip
        node, edge, weight = (torch.cat(each) for each in zip(*typed, strict=True))
        at, place = torch.nonzero(edges.query_terms[edge] >= 0, as_tuple=True)
        terms = _matrix(
            node[at], edges.query_terms[edge][at, place], weight[at], total, edges.num_terms
        )
        to = {
            side: _matrix(
                torch.cat([col for _, col, _, _ in parts[side]]),
                torch.cat([row for row, _, _, _ in parts[side]]),
                torch.cat([w for _, _, _, w in parts[side]]),
                sizes[side], sizes["item" if side == "user" else "user"],
            )
            for side in _SIDES
        }  # fmt: skip
        return EdgeMeans(to["item"], to["user"], virtual, terms), pairs

    def _drawn(
        self, sample: Sample, side: str, place: int, degrees: list[IntArray]
    ) -> tuple[Tensor, ...]:
        """Neighbour, node, edge of the data and weight of the edges drawn along one type."""
        kind: EdgeType = _SIDES[side][place]
        row, col, edge = sample.row[kind], sample.col[kind], sample.edge[kind]
        share = degrees[place] / np.maximum(degrees[0] + degrees[1], 1)
        count = np.bincount(col, minlength=len(share))
        weight = (share / np.maximum(count, 1))[col].astype(np.float32)
        edge = edge + (self._first_search if place else 0)
        return tuple(torch.from_numpy(np.asarray(part)) for part in (row, col, edge, weight))

    def _exclude(self, hidden: Tensor) -> dict[EdgeType, IntArray]:
        rows = torch.nonzero(hidden).flatten().numpy()
        first = self._first_search
        return {CLICKED: rows[rows < first], FOUND: rows[rows >= first] - first}


def _starts(rows: StepRows) -> tuple[tuple[str, IntArray, IntArray], ...]:
    """The step's users and items, all in one tree."""
    return tuple(
        (side, found.numpy(), np.zeros(len(found), dtype=np.int64))
        for side, found in (("user", rows.users), ("item", rows.items))
    )


def _table(data: UDITSRData, rows: slice) -> EdgeTable:
    return EdgeTable.of(data.edges.user[rows].numpy(), data.edges.item[rows].numpy())


def _ends(table: EdgeTable, side: str) -> IntArray:
    return table.from_row if side == "user" else table.to_row


def _matrix(
    row: Tensor, column: Tensor, weight: Tensor, num_rows: int, num_columns: int
) -> SparseMatrix:
    return SparsePattern.build(row, column, num_rows, num_columns).weighted(weight)
