"""The graph as other libraries know it: PyG, NetworkX, SciPy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sargraph.core.errors import DataError
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.graph.graph import CLICKED, EdgeType, Graph

if TYPE_CHECKING:
    import networkx as nx
    from scipy.sparse import csr_array
    from torch_geometric.data import HeteroData

REVERSE = "rev_"
"""Prefix of the verb of a reversed edge type."""

FEATURES = ("time", "weight", "query")
"""Columns that every PyG edge type carries, in edge order."""


def reverse_of(edge_type: EdgeType) -> EdgeType:
    """The edge type seen from its end: (target, rev_verb, source)."""
    source, verb, target = edge_type
    return target, REVERSE + verb, source


def to_pyg(graph: Graph) -> HeteroData:
    """The graph as PyG `HeteroData`, each edge type forward and reversed.

    Every node type has `num_nodes`; every edge type `edge_index` int64 [2, E], `time` int64 [E]
    (background edges hold the smallest int64), `weight` float32 [E] and `query` int64 [E]
    (-1 = none), all in the order of the edge table. `clicked` edges have `virtual_query`
    float32 [E, dim] where the graph has them. A reversed type shares its features with the
    forward one. Cost: one copy of the edges, and a second of the end points.
    """
    import torch
    from torch_geometric.data import HeteroData

    data = HeteroData()
    for kind, count in graph.num_nodes.items():
        data[kind].num_nodes = count
    for edge_type, table in graph.edges.items():
        features = {name: torch.tensor(getattr(table, name)) for name in FEATURES}
        if edge_type == CLICKED and graph.virtual is not None:
            features["virtual_query"] = torch.tensor(graph.virtual.vector)
        forward = torch.stack([torch.tensor(table.from_row), torch.tensor(table.to_row)])
        for kind_of_edge, index in (
            (edge_type, forward),
            (reverse_of(edge_type), forward.flip(0)),
        ):
            data[kind_of_edge].edge_index = index
            for name, values in features.items():
                data[kind_of_edge][name] = values
    return data


def to_networkx(graph: Graph) -> nx.MultiDiGraph:
    """The graph as a NetworkX `MultiDiGraph`, forward edges only.

    A node is (type, id) and has `type` and `name`. An edge has `verb`, `time` (None = background),
    `weight`, `query` (the query's id or None) and `event`. Meant for graphs that a person looks
    at: about a microsecond and half a kilobyte per edge.
    """
    import networkx as nx

    result: nx.MultiDiGraph = nx.MultiDiGraph(name=graph.name)
    nodes = {k: [(k, id_) for id_ in v.ids] for k, v in graph.vocabularies.items()}
    for kind, vocabulary in graph.vocabularies.items():
        for node, name in zip(nodes[kind], vocabulary.names, strict=True):
            result.add_node(node, type=kind, name=name)
    queries = graph.vocabularies["query"].ids
    for (source, verb, target), table in graph.edges.items():
        for start, end, time, weight, query, event in zip(
            table.from_row.tolist(),
            table.to_row.tolist(),
            table.time.tolist(),
            table.weight.tolist(),
            table.query.tolist(),
            table.event.tolist(),
            strict=True,
        ):
            result.add_edge(
                nodes[source][start],
                nodes[target][end],
                verb=verb,
                time=None if time == NO_TIME else time,
                weight=weight,
                query=None if query == NO_ROW else queries[query],
                event=None if event == NO_ROW else event,
            )
    return result


def to_scipy(graph: Graph, edge_type: EdgeType) -> csr_array:
    """One edge type as a SciPy CSR array of weights, float32 [sources, targets].

    Rows and columns are node rows; the weights of parallel edges add up.
    Raises DataError when the graph has no such edge type. Cost: O(edges).
    """
    from scipy.sparse import csr_array

    if edge_type not in graph.edges:
        known = ", ".join("-".join(known) for known in graph.edges)
        raise DataError(f"no edge type {'-'.join(edge_type)} in this graph; it has {known}")
    table, sizes = graph.edges[edge_type], graph.num_nodes
    shape = (sizes[edge_type[0]], sizes[edge_type[2]])
    return csr_array((table.weight, (table.from_row, table.to_row)), shape=shape)
