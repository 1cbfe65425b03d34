"""The naive oracle of neighbour sampling: plain loops over all edges, and small random graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, NO_TIME, DoubleArray, IntArray
from sargraph.events.vocabulary import Vocabulary
from sargraph.graph.graph import CLICKED, CONTAINS, FOLLOWS, ISSUED, EdgeTable, EdgeType, Graph
from sargraph.graph.tree import NO_LIMIT, Sample

Hidden = Mapping[EdgeType, Sequence[int]]


def random_graph(
    rng: np.random.Generator,
    *,
    num_nodes: int = 7,
    num_edges: int = 60,
    num_times: int = 12,
    background_share: float = 0.2,
) -> Graph:
    """A small graph of four types with parallel edges, ties in time and background edges."""
    sizes = {"user": num_nodes, "item": num_nodes + 2, "query": 4, "term": 3}
    edges = {}
    for kind in (CLICKED, ISSUED, CONTAINS, FOLLOWS):
        time = rng.integers(num_times, size=num_edges)
        time[rng.random(num_edges) < (1 if kind == CONTAINS else background_share)] = NO_TIME
        ends = [rng.integers(sizes[kind[place]], size=num_edges) for place in (0, 2)]
        edges[kind] = EdgeTable.of(*ends, time=time)
    return Graph(
        vocabularies={k: Vocabulary([f"{k}{i}" for i in range(n)]) for k, n in sizes.items()},
        edges=edges,
        query_terms=Ragged.from_lists([[]] * sizes["query"]),
        item_terms=Ragged.from_lists([[]] * sizes["item"]),
    )


def allowed_edges(
    graph: Graph, edge_type: EdgeType, node: int, as_of: int, hidden: Hidden | None = None
) -> list[int]:
    """Rows of the edges that `node` may receive from along a type, forward or `rev_`."""
    source, verb, target = edge_type
    is_forward = not verb.startswith("rev_")
    forward = edge_type if is_forward else (target, verb.removeprefix("rev_"), source)
    table = graph.edges[forward]
    receiver = table.to_row if is_forward else table.from_row
    banned = set((hidden or {}).get(forward, ()))
    return [
        row
        for row in range(len(table))
        if receiver[row] == node
        and row not in banned
        and (table.time[row] == NO_TIME or table.time[row] < as_of)
    ]


def hidden_by_links(
    graph: Graph,
    edge_type: EdgeType,
    ends: Sequence[tuple[int, int]],
    as_of: Sequence[int],
    given: Sequence[int] = (),
) -> dict[EdgeType, list[int]]:
    """Edges that links of a stored type hide: their own ones, and all that name the same events.

    Own are the `given` ones, and between the two ends of a link those that its time leaves open:
    background edges, and every edge where the time is the largest int64.
    """
    table = graph.edges[edge_type]
    own = set(given)
    for link, time in zip(ends, as_of, strict=True):
        for row in range(len(table)):
            is_open = table.time[row] == NO_TIME or time == NO_LIMIT
            if (table.from_row[row], table.to_row[row]) == link and is_open:
                own.add(row)
    events = {int(table.event[row]) for row in own} - {NO_ROW}
    hidden = {
        kind: {row for row in range(len(other)) if other.event[row] in events}
        for kind, other in graph.edges.items()
    }
    hidden[edge_type] |= own
    return {kind: sorted(rows) for kind, rows in hidden.items()}


def check_sample(
    graph: Graph,
    sample: Sample,
    fan_outs: Mapping[EdgeType, Sequence[int]],
    as_of: IntArray,
    hidden: Hidden | None = None,
) -> None:
    """Assert that a sample is one that the definition allows; `as_of` holds one time per tree.

    Every node is once per tree and, but for seeds, was drawn in its hop; every node of hop h < hops
    receives min(fan-out, allowed) distinct allowed edges per type, and others receive none.
    """
    hop_of = {kind: np.repeat(np.arange(len(n)), n) for kind, n in sample.num_nodes.items()}
    for kind, node in sample.node.items():
        pairs = list(zip(sample.tree[kind].tolist(), node.tolist(), strict=True))
        assert len(set(pairs)) == len(pairs) == sum(sample.num_nodes[kind])
        drawn = {int(p) for t, rows in sample.row.items() if t[0] == kind for p in rows}
        assert drawn | set(np.flatnonzero(hop_of[kind] == 0)) == set(range(len(node)))
    for edge_type, per_hop in fan_outs.items():
        _check_ends(graph, sample, edge_type)
        col, receiving = sample.col[edge_type], hop_of[edge_type[2]]
        hop_of_edge = np.repeat(np.arange(len(per_hop)), sample.num_edges[edge_type])
        assert np.all(hop_of_edge == receiving[col])
        assert np.all(hop_of[edge_type[0]][sample.row[edge_type]] <= hop_of_edge + 1)
        for place, hop in enumerate(receiving.tolist()):
            number = per_hop[hop] if hop < len(per_hop) else 0
            receiver, tree = (part[edge_type[2]][place] for part in (sample.node, sample.tree))
            allowed = allowed_edges(graph, edge_type, int(receiver), int(as_of[tree]), hidden)
            edges = sample.edge[edge_type][col == place].tolist()
            assert len(set(edges)) == len(edges)
            assert set(edges) <= set(allowed)
            assert len(edges) == (len(allowed) if number < 0 else min(number, len(allowed)))


def _check_ends(graph: Graph, sample: Sample, kind: EdgeType) -> None:
    """Assert that each sampled edge, put back in graph rows, is the edge that it names."""
    source, verb, target = kind
    row, col, edge = sample.row[kind], sample.col[kind], sample.edge[kind]
    assert np.array_equal(sample.tree[source][row], sample.tree[target][col])
    ends = sample.node[source][row], sample.node[target][col]
    is_forward = not verb.startswith("rev_")
    table = graph.edges[kind if is_forward else (target, verb.removeprefix("rev_"), source)]
    expected = (table.from_row[edge], table.to_row[edge])
    for got, wanted in zip(ends, expected if is_forward else expected[::-1], strict=True):
        assert np.array_equal(got, wanted)


def check_batch(graph: Graph, batch: Any, time_of_tree: Any) -> int:
    """Assert that a PyG batch fits the graph; returns its number of edges.

    Every edge is the graph's edge of that id, in one tree, and before its tree's time (None = the
    whole graph); `x` of every node is its row.
    """
    for kind in batch.edge_types:
        store, is_forward = batch[kind], kind in graph.edges
        source, verb, target = kind
        table = graph.edges[kind if is_forward else (target, verb.removeprefix("rev_"), source)]
        row, col = store.edge_index
        ends = batch[source].n_id[row], batch[target].n_id[col]
        edge = store.e_id.numpy()
        np.testing.assert_array_equal(ends[0 if is_forward else 1], table.from_row[edge])
        np.testing.assert_array_equal(ends[1 if is_forward else 0], table.to_row[edge])
        np.testing.assert_array_equal(store.time, table.time[edge])
        tree = batch[target].batch[col]
        np.testing.assert_array_equal(tree, batch[source].batch[row])
        if time_of_tree is not None:
            assert ((store.time < time_of_tree[tree]) | (store.time == NO_TIME)).all()
    for kind in batch.node_types:
        np.testing.assert_array_equal(batch[kind].x[:, 0], batch[kind].n_id)
    return sum(len(batch[kind].e_id) for kind in batch.edge_types)


def chi_square_fits(counts: IntArray, shares: DoubleArray) -> bool:
    """True where counts are as far from their expected shares as chance lets them be.

    False where something of share 0 was counted, and beyond four standard deviations.
    """
    inside = shares > 0
    expected = counts.sum() * shares
    square = ((counts - expected)[inside] ** 2 / expected[inside]).sum()
    degrees = inside.sum() - 1
    return not counts[~inside].any() and bool(abs(square - degrees) < 4 * np.sqrt(2 * degrees))
