"""The typed edges that HGT runs over, and which of them give a training row away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from sargraph.core.types import NO_ROW, IntArray
from sargraph.graph.graph import FOUND, LED_TO, EdgeTable, EdgeType, Graph
from sargraph.graph.interop import reverse_of

TELLING = (("user", "item"), ("user", "query"), ("query", "item"))
"""Pairs of kinds whose edges say what a user chose or asked, or what answered a query."""


@dataclass(frozen=True)
class TypedEdges:
    """The edges of a graph by type, each type forward and reversed; types without an edge are none.

    `index` int64 [2, edges] of the forward types. `tells` gives for some types codes that say what
    each edge gives away: (place in TELLING, code of the pair of rows, -1 = nothing).
    """

    index: Mapping[EdgeType, Int[Tensor, "2 _"]]
    tells: Mapping[EdgeType, list[tuple[int, Int[Tensor, " _"]]]]
    sizes: Mapping[str, int]

    @classmethod
    def of(cls, graph: Graph) -> TypedEdges:
        """All edge types of a graph. Cost: a copy of the end points and one sort."""
        index, tells = {}, {}
        for kind, table in graph.edges.items():
            if len(table):
                index[kind] = torch.from_numpy(np.stack([table.from_row, table.to_row]))
                tells[kind] = _telling(graph, kind, table)
        return cls(index, tells, graph.num_nodes)

    @property
    def types(self) -> list[EdgeType]:
        """Every type and its reverse, in the order of `messages`."""
        return [each for kind in self.index for each in (kind, reverse_of(kind))]

    @property
    def kinds(self) -> list[str]:
        """The kinds of nodes that have edges."""
        return list(dict.fromkeys(end for kind in self.index for end in (kind[0], kind[2])))

    def has_edge(self, kind: str) -> Bool[Tensor, " nodes"]:
        """True for the nodes of a kind with an edge of any type."""
        found = torch.zeros(self.sizes[kind], dtype=torch.bool)
        for (source, _, target), ends in self.index.items():
            for end, rows in ((source, ends[0]), (target, ends[1])):
                if end == kind:
                    found[rows] = True
        return found

    def messages(
        self, keep: Mapping[EdgeType, Bool[Tensor, " _"]] | None = None
    ) -> dict[EdgeType, Int[Tensor, "2 _"]]:
        """Sources and targets of every type; with `keep`, of these edges in both directions."""
        found = {}
        for kind, ends in self.index.items():
            kept = ends if keep is None or kind not in keep else ends[:, keep[kind]]
            found[kind], found[reverse_of(kind)] = kept, kept.flip(0)
        return found

    def outside(
        self, user: Int[Tensor, " n"], item: Int[Tensor, " n"], query: Int[Tensor, " n"]
    ) -> dict[EdgeType, Bool[Tensor, " _"]]:
        """What a step that predicts these rows may read, by type; `query` is -1 where none is.

        Left out are the edges between a row's user and item, whatever their type, between its user
        and its query, and those from a query to an item that come from an event of such a user and
        item. Where a graph does not know that event, the edges between the row's query and item go.
        What other users found by the same query stays. Cost O((edges + rows) log).
        """
        rows = {"user": user, "item": item, "query": query}
        codes = []
        for first, second in TELLING:
            known = (rows[first] != NO_ROW) & (rows[second] != NO_ROW)
            codes.append((rows[first] * self.sizes[second] + rows[second])[known])
        keep = {}
        for kind, told in self.tells.items():
            hidden = torch.zeros(self.index[kind].shape[1], dtype=torch.bool)
            for place, code in told:
                hidden |= torch.isin(code, codes[place])
            keep[kind] = ~hidden
        return keep


def _telling(graph: Graph, kind: EdgeType, table: EdgeTable) -> list[tuple[int, Tensor]]:
    """The codes of one type's edges; nothing for types between other kinds."""
    ends = {kind[0]: table.from_row, kind[2]: table.to_row}
    for place, (first, second) in enumerate(TELLING):
        if kind[0] != kind[2] and {first, second} == set(ends):
            code = ends[first] * graph.num_nodes[second] + ends[second]
            if kind != LED_TO or FOUND not in graph.edges:
                return [(place, torch.from_numpy(code))]
            owner = _pair_of_event(graph, table.event)
            alone = np.where(owner == NO_ROW, code, NO_ROW)
            return [(0, torch.from_numpy(owner)), (place, torch.from_numpy(alone))]
    return []


def _pair_of_event(graph: Graph, event: IntArray) -> IntArray:
    """The code of the (user, item) pair that the found edge of each event joins, -1 = none."""
    found = graph.edges[FOUND]
    order = np.argsort(found.event, kind="stable")
    events = found.event[order]
    place = np.minimum(np.searchsorted(events, event), len(events) - 1)
    if not len(events):
        return np.full(len(event), NO_ROW)
    edge = order[place]
    pair = found.from_row[edge] * graph.num_nodes["item"] + found.to_row[edge]
    known = (events[place] == event) & (event != NO_ROW)
    return np.asarray(np.where(known, pair, NO_ROW), dtype=np.int64)
