"""`NeighbourSampler`: small trees of neighbours around seeds, never at or after a seed's time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from sargraph.core.errors import DataError, nearest
from sargraph.core.types import IntArray
from sargraph.graph.counter import base_key, salted
from sargraph.graph.csr import RowArray
from sargraph.graph.draws import (
    count_allowed,
    draw_places,
    places_of,
    read_places,
    step_over_hidden,
)
from sargraph.graph.fan_out import FanOuts, forward_of, read_fan_outs
from sargraph.graph.graph import EdgeType, Graph
from sargraph.graph.node_set import NodeSet, scratch
from sargraph.graph.tree import Sample, Seeds, Step, as_of_times, collect

Strategy: TypeAlias = Literal["uniform", "latest"]
Exclude: TypeAlias = Mapping[EdgeType, IntArray]
"""Edge rows of forward types that no tree may hold, in either direction."""

_NOTHING = np.empty(0, dtype=np.int64)


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


class NeighbourSampler:
    """Draws neighbours of seeds hop by hop, uniformly or the latest, without replacement.

    Each seed grows a tree of its own with its as-of time: only background edges and edges strictly
    before that time are in it, so that nothing later can pass through a node that two seeds share.
    An edge seen backwards (`rev_`) has its own time and obeys the same rule. Draws depend on
    (seed, epoch, number of the tree, edge type, hop, node) alone: any order of a batch, and any
    cut into batches, gives the same trees.

    Build: one CSR per walked type and direction, 16 bytes an edge below 2^31 edges. A call costs
    O(log degree) per node and O(1) per drawn edge; its memory is that of its result. Several
    threads may use one sampler.
    """

    def __init__(
        self, graph: Graph, fan_outs: FanOuts, *, strategy: Strategy = "uniform", seed: int = 0
    ) -> None:
        """Prepare the types that `fan_outs` names (see `read_fan_outs`). Raises DataError."""
        if strategy not in ("uniform", "latest"):
            raise DataError(f"got strategy '{strategy}', expected 'uniform' or 'latest'")
        numbers = read_fan_outs(list(graph.edges), fan_outs)
        self.graph = graph
        self.num_hops = len(next(iter(numbers.values())))
        self._is_latest = strategy == "latest"
        self._key = base_key(seed, "neighbour sampler")
        self._walks = [Walk.of(graph, kind, numbers[kind]) for kind in numbers]

    def sample(
        self,
        node_type: str,
        rows: IntArray,
        *,
        as_of: IntArray | int | None,
        number: IntArray | None = None,
        disjoint: bool = True,
        exclude: Exclude | None = None,
        epoch: int = 0,
    ) -> Sample:
        """The neighbourhoods of nodes, each as of its time.

        `as_of`: one time, or one per row; None = the whole graph; NO_TIME sees background only.
        `number`: names the trees in random draws (default: 0, 1, ...). `disjoint=False` grows one
        common tree, in which each node is once, and needs one common time. `exclude`: edge rows
        per forward type that no tree may hold, in either direction.
        Raises DataError for an unknown type, rows out of range, or times that do not fit.
        """
        rows = np.asarray(rows, dtype=np.int64)
        time = as_of_times(as_of, len(rows))
        trees = np.arange(len(rows), dtype=np.int64)
        names = trees if number is None else np.asarray(number, dtype=np.int64)
        if not disjoint:
            if len(time) and np.any(time != time[0]):
                raise DataError(
                    "seeds with different as-of times would leak through the nodes they share, "
                    "expected one time; sample with disjoint=True"
                )
            trees, time, names = np.zeros_like(rows), time[:1], np.zeros(1, dtype=np.int64)
        return self.grow(
            Seeds(((node_type, rows, trees),), time, names), exclude=exclude, epoch=epoch
        )

    def grow(self, seeds: Seeds, *, exclude: Exclude | None = None, epoch: int = 0) -> Sample:
        """The trees of several starts, possibly of several node types in one tree."""
        sets = {kind: NodeSet(kind) for kind in self.graph.num_nodes}
        places = tuple(self._start(sets, *start) for start in seeds.starts)
        for nodes in sets.values():
            nodes.close_hop()
        hidden = [self._hidden(walk, exclude or {}) for walk in self._walks]
        drawn: dict[EdgeType, list[Step]] = {walk.edge_type: [] for walk in self._walks}
        for hop in range(self.num_hops):
            frontiers = {kind: nodes.frontier for kind, nodes in sets.items()}
            for walk, places_hidden in zip(self._walks, hidden, strict=True):
                key = salted(self._key, *walk.edge_type, hop, epoch)
                frontier = frontiers[walk.edge_type[2]]
                step = self._step(
                    walk, walk.fan_outs[hop], frontier, sets, seeds, places_hidden, key
                )
                drawn[walk.edge_type].append(step)
            for nodes in sets.values():
                nodes.close_hop()
        return collect(sets, drawn, places)

    def walk_of(self, edge_type: EdgeType) -> Walk | None:
        """The walk over a stored type, from its start where possible; None where there is none."""
        walks = [walk for walk in self._walks if forward_of(walk.edge_type) == edge_type]
        return min(walks, key=lambda walk: walk.edge_type == edge_type, default=None)

    def _start(
        self, sets: dict[str, NodeSet], kind: str, rows: IntArray, trees: IntArray
    ) -> IntArray:
        if kind not in sets:
            raise DataError(f"unknown node type '{kind}'; {nearest(kind, sets)}")
        limit = self.graph.num_nodes[kind]
        wrong = np.flatnonzero((rows < 0) | (rows >= limit))
        if len(wrong):
            raise DataError(
                f"seed {wrong[0]} is {kind} row {rows[wrong[0]]}, expected 0..{limit - 1}"
            )
        label = rows.copy()
        sets[kind].add(label, trees, np.arange(len(rows) + 1))
        return label

    def _hidden(self, walk: Walk, exclude: Exclude) -> IntArray:
        """Places of the excluded edges in a walk's CSR, ascending."""
        forward = forward_of(walk.edge_type)
        edge = np.asarray(exclude.get(forward, _NOTHING), dtype=np.int64)
        table = self.graph.edges[forward]
        if len(edge) and not 0 <= edge.min() <= edge.max() < len(table):
            raise DataError(f"excluded {'-'.join(forward)} edges must be 0..{len(table) - 1}")
        node = (table.to_row if walk.edge_type == forward else table.from_row)[edge]
        place = np.empty_like(edge)
        places_of(walk.indptr, walk.time, walk.neighbours, node, table.time[edge], edge, place)
        return np.unique(place)

    def _step(
        self,
        walk: Walk,
        fan_out: int,
        frontier: slice,
        sets: dict[str, NodeSet],
        seeds: Seeds,
        hidden: IntArray,
        key: np.uint64,
    ) -> Step:
        """Draw for one frontier along one type: (row, col, edge) of the drawn edges."""
        size = frontier.stop - frontier.start
        if size == 0 or fan_out == 0:
            return _NOTHING, _NOTHING, _NOTHING
        receivers = sets[walk.edge_type[2]]
        rows, trees = receivers.node[frontier], receivers.tree[frontier]
        first, allowed = scratch("first", size), scratch("allowed", size)
        taken = scratch("taken", size + 1)
        count_allowed(
            walk.indptr, walk.time, hidden, rows, trees, seeds.time, fan_out, first, allowed, taken
        )
        place = scratch("place", int(taken[-1]))
        draw_places(rows, trees, seeds.number, key, self._is_latest, first, allowed, taken, place)
        if len(hidden):
            step_over_hidden(first, taken, hidden, place)
        row, col, edge = (np.empty(len(place), dtype=np.int64) for _ in range(3))
        read_places(walk.neighbours, place, taken, frontier.start, row, col, edge)
        sets[walk.edge_type[0]].add(row, trees, taken)
        return row, col, edge
