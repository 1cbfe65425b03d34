"""What a sampler starts from and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from sargraph.core.errors import DataError, nearest
from sargraph.core.types import IntArray
from sargraph.graph.graph import EdgeType
from sargraph.graph.node_set import NodeSet
from sargraph.graph.rows import LARGEST, integers, rows_of

Step: TypeAlias = tuple[IntArray, IntArray, IntArray]
"""(row, col, edge) of the edges that one hop drew along one type."""

NO_LIMIT = LARGEST
"""The as-of time that sees every edge of the graph."""


@dataclass(frozen=True)
class Seeds:
    """Where trees start: (node type, rows, tree of each row); and each tree's time and number.

    `time` int64 [trees], the as-of time; `number` int64 [trees], its name in random draws: a tree
    of the same number gets the same neighbours in any batch.
    """

    starts: tuple[tuple[str, IntArray, IntArray], ...]
    time: IntArray
    number: IntArray

    def checked(self, num_nodes: Mapping[str, int]) -> Seeds:
        """The same in int64, for a graph of so many nodes per type. Cost: O(rows).

        Raises DataError for an unknown node type, rows or trees out of range, or lengths that
        differ.
        """
        time = integers("as-of times", self.time)
        starts = []
        for kind, rows, trees in self.starts:
            if kind not in num_nodes:
                raise DataError(f"unknown node type '{kind}'; {nearest(kind, num_nodes)}")
            seeds = rows_of(f"{kind} seeds", rows, num_nodes[kind])
            starts.append((kind, seeds, rows_of("trees", trees, len(time), len(seeds))))
        return Seeds(tuple(starts), time, integers("numbers of trees", self.number, time.shape))


@dataclass(frozen=True)
class Sample:
    """A sampled part of a graph with its own numbering.

    `node[type]` holds graph rows, seeds first, then hop by hop, each (tree, row) once;
    `tree[type]` the tree of each. Per edge type, forward or `rev_`: `row` and `col` are places in
    `node` of the drawn neighbour and of the node it was drawn for, `edge` the row in the graph's
    edge table of the forward type. `num_nodes` and `num_edges` count per hop (nodes: seeds first).
    `seeds`: the place in `node` of each seed, one array per start.
    """

    node: dict[str, IntArray]
    tree: dict[str, IntArray]
    row: dict[EdgeType, IntArray]
    col: dict[EdgeType, IntArray]
    edge: dict[EdgeType, IntArray]
    num_nodes: dict[str, list[int]]
    num_edges: dict[EdgeType, list[int]]
    seeds: tuple[IntArray, ...]


def as_of_times(as_of: IntArray | int | None, length: int) -> IntArray:
    """One time per seed, int64 [length].

    Raises DataError for another number of times, or times that are no integers of 64 bits.
    """
    times = integers("as-of times", NO_LIMIT if as_of is None else as_of)
    if times.ndim and times.shape != (length,):
        raise DataError(f"got {times.shape} as-of times, expected one or one per seed ({length})")
    return np.full(length, times)


def collect(
    sets: dict[str, NodeSet],
    drawn: dict[EdgeType, list[Step]],
    places: tuple[IntArray, ...],
) -> Sample:
    """Put the hops together; node arrays are copied out of the scratch memory."""
    columns = [
        {kind: _joined([step[part] for step in steps]) for kind, steps in drawn.items()}
        for part in range(3)
    ]
    return Sample(
        node={kind: nodes.node[: nodes.count].copy() for kind, nodes in sets.items()},
        tree={kind: nodes.tree[: nodes.count].copy() for kind, nodes in sets.items()},
        row=columns[0],
        col=columns[1],
        edge=columns[2],
        num_nodes={kind: np.diff(nodes.hops, prepend=0).tolist() for kind, nodes in sets.items()},
        num_edges={kind: [len(step[0]) for step in steps] for kind, steps in drawn.items()},
        seeds=places,
    )


def _joined(parts: list[IntArray]) -> IntArray:
    """The parts one after the other; a single part that holds all is not copied."""
    filled = [part for part in parts if len(part)]
    return filled[0] if len(filled) == 1 else np.concatenate(parts)
