"""`NeighbourSampler`: small trees of neighbours around seeds, never at or after a seed's time."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from sargraph.core.errors import DataError
from sargraph.core.types import IntArray
from sargraph.graph.counter import base_key, salted
from sargraph.graph.draws import count_allowed, draw_places, read_places, step_over_hidden
from sargraph.graph.fan_out import FanOuts, read_fan_outs
from sargraph.graph.graph import EdgeType, Graph
from sargraph.graph.hide import EventTwins, Exclude, read_exclude
from sargraph.graph.node_set import NodeSet, scratch
from sargraph.graph.rows import integers
from sargraph.graph.tree import Sample, Seeds, Step, as_of_times, collect
from sargraph.graph.validate import validate
from sargraph.graph.walk import Walk

Strategy: TypeAlias = Literal["uniform", "latest"]

_NOTHING = np.empty(0, dtype=np.int64)


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
        """Prepare the types that `fan_outs` names (see `read_fan_outs`).

        Raises DataError for fan-outs that do not fit, and for a graph that is none: compiled code
        reads its rows without looking.
        """
        validate(graph)
        if strategy not in ("uniform", "latest"):
            raise DataError(f"got strategy '{strategy}', expected 'uniform' or 'latest'")
        numbers = read_fan_outs(list(graph.edges), fan_outs)
        self.graph = graph
        self.num_hops = len(next(iter(numbers.values())))
        self._is_latest = strategy == "latest"
        self._key = base_key(seed, "neighbour sampler")
        self._walks = [Walk.of(graph, kind, numbers[kind]) for kind in numbers]
        self._unwalked: dict[EdgeType, Walk] = {}
        self.twins = EventTwins(graph, {walk.forward for walk in self._walks})

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
        common tree, in which each node is once, and needs one common time. `exclude`: per type
        the edge rows, or a mask of the edge table, that no tree may hold, in either direction.
        Raises DataError for an unknown type, rows that are no integers or out of range, or
        lengths that do not fit.
        """
        rows = integers(f"{node_type} seeds", rows)
        time = as_of_times(as_of, len(rows))
        trees = np.arange(len(rows), dtype=np.int64)
        names = trees if number is None else integers("numbers of trees", number, rows.shape)
        if not disjoint:
            if len(time) and np.any(time != time[0]):
                raise DataError(
                    "seeds with different as-of times would leak through the nodes they share, "
                    "expected one time; sample with disjoint=True"
                )
            trees, time, names = np.zeros_like(trees), time[:1], trees[:1]
        return self.grow(
            Seeds(((node_type, rows, trees),), time, names), exclude=exclude, epoch=epoch
        )

    def grow(self, seeds: Seeds, *, exclude: Exclude | None = None, epoch: int = 0) -> Sample:
        """The trees of several starts, possibly of several node types in one tree.

        Raises DataError as `sample`. Cost: see the class.
        """
        seeds = seeds.checked(self.graph.num_nodes)
        hidden = self._hidden(exclude)
        sets = {kind: NodeSet(kind) for kind in self.graph.num_nodes}
        places = tuple(_start(sets[kind], rows, trees) for kind, rows, trees in seeds.starts)
        for nodes in sets.values():
            nodes.close_hop()
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

    def walk_of(self, edge_type: EdgeType) -> Walk:
        """A walk over a stored type, from its start where possible.

        Cost: one CSR, kept, where the type is not among those of the fan-outs.
        """
        walks = [walk for walk in self._walks if walk.forward == edge_type]
        if walks:
            return min(walks, key=lambda walk: walk.edge_type == edge_type)
        if edge_type not in self._unwalked:
            self._unwalked[edge_type] = Walk.of(self.graph, edge_type, ())
        return self._unwalked[edge_type]

    def _hidden(self, exclude: Exclude | None) -> list[IntArray]:
        """For each walk the places of the excluded edges in its CSR."""
        edges = read_exclude(self.graph, exclude)
        return [
            walk.places(self.graph.edges[walk.forward], edges.get(walk.forward, _NOTHING))
            for walk in self._walks
        ]

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


def _start(nodes: NodeSet, rows: IntArray, trees: IntArray) -> IntArray:
    """Put seeds into the nodes of their type; returns the place of each."""
    places = rows.copy()
    nodes.add(places, trees, np.arange(len(rows) + 1))
    return places
