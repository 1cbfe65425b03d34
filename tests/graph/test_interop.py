"""PyG, NetworkX and SciPy see the same edges, with every feature beside its own edge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sargraph.core.errors import DataError
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.graph.build import build_graph
from sargraph.graph.graph import CLICKED, CONTAINS, FOUND, VirtualQueries
from sargraph.graph.interop import reverse_of
from sargraph.testing.events import random_events


@pytest.fixture(scope="module")
def graph():
    events = random_events(np.random.default_rng(0), untimed_share=0.3)
    weight = np.random.default_rng(1).random(len(events)).astype(np.float32)
    return build_graph(replace(events, columns={**events.columns, "weight": weight}))


def rows_of(table):
    """Each edge with all its features, as tuples."""
    names = ("from_row", "to_row", "time", "weight", "query")
    return list(zip(*(getattr(table, name).tolist() for name in names), strict=True))


def test_pyg_holds_every_edge_with_its_features_forward_and_reversed(graph):
    data = graph.to_pyg()
    data.validate()
    assert {kind: data[kind].num_nodes for kind in data.node_types} == graph.num_nodes
    assert len(data.edge_types) == 2 * len(graph.edges)
    for edge_type, table in graph.edges.items():
        for kind, (start, end) in ((edge_type, (0, 1)), (reverse_of(edge_type), (1, 0))):
            store = data[kind]
            ends = (store.edge_index[start], store.edge_index[end])
            columns = (*ends, store.time, store.weight, store.query)
            assert list(zip(*(c.tolist() for c in columns), strict=True)) == rows_of(table)
            assert store.time.dtype == torch.int64
            assert store.weight.dtype == torch.float32


def test_features_stay_beside_their_edges_when_edges_are_left_out(graph):
    """Every feature is a function of its edge here, so a shift by one shows."""
    table = graph.edges[FOUND]
    code = table.from_row * 1000 + table.to_row
    marked = replace(table, weight=code.astype(np.float32), time=code, query=table.query)
    kept = marked.take(np.arange(len(table)) % 3 != 0)
    store = replace(graph, edges={FOUND: kept}).to_pyg()[reverse_of(FOUND)]
    expected = store.edge_index[1] * 1000 + store.edge_index[0]
    assert len(expected) == len(kept) > 0
    assert torch.equal(store.time, expected)
    assert torch.equal(store.weight, expected.float())


def test_changing_the_pyg_graph_does_not_change_ours(graph):
    before = graph.edges[CLICKED].weight.copy()
    graph.to_pyg()[CLICKED].weight.zero_()
    np.testing.assert_array_equal(graph.edges[CLICKED].weight, before)


def test_virtual_queries_travel_with_the_clicked_edges(graph):
    n = len(graph.edges[CLICKED])
    vector = np.arange(n * 2, dtype=np.float32).reshape(n, 2)
    none = np.full((n, 1), NO_ROW)
    virtual = VirtualQueries(vector, none, none, np.ones(n, np.float32), "uditsr")
    data = replace(graph, virtual=virtual).to_pyg()
    np.testing.assert_array_equal(data[CLICKED].virtual_query.numpy(), vector)
    np.testing.assert_array_equal(data[reverse_of(CLICKED)].virtual_query.numpy(), vector)
    assert "virtual_query" not in data[FOUND]


def test_networkx_holds_the_same_nodes_and_edges(graph):
    network = graph.to_networkx()
    assert network.number_of_nodes() == sum(graph.num_nodes.values())
    assert network.nodes[("item", "i7")] == {"type": "item", "name": "item 7"}
    for edge_type, table in graph.edges.items():
        source, verb, target = edge_type
        seen = []
        for (kind, start), (other, end), edge in network.edges(data=True):
            if (kind, edge["verb"], other) == edge_type:
                query = edge["query"]
                seen.append(
                    (
                        graph.vocabularies[source].row(start),
                        graph.vocabularies[target].row(end),
                        NO_TIME if edge["time"] is None else edge["time"],
                        edge["weight"],
                        NO_ROW if query is None else graph.vocabularies["query"].row(query),
                    )
                )
        assert sorted(seen) == sorted(rows_of(table)), verb


def test_scipy_adds_up_parallel_edges(graph):
    table = graph.edges[CLICKED]
    expected = np.zeros((graph.num_nodes["user"], graph.num_nodes["item"]))
    for user, item, weight in zip(table.from_row, table.to_row, table.weight, strict=True):
        expected[user, item] += weight
    matrix = graph.to_scipy(CLICKED)
    assert matrix.nnz < len(table)  # the log repeats pairs
    np.testing.assert_allclose(matrix.toarray(), expected, rtol=1e-5)


def test_an_absent_edge_type_is_an_error_that_names_the_known_ones(graph):
    with pytest.raises(DataError, match=r"no edge type user-likes-item.*user-clicked-item"):
        graph.to_scipy(("user", "likes", "item"))


def test_a_graph_without_edges_of_a_type_converts(graph):
    empty = replace(graph, edges={CONTAINS: graph.edges[CONTAINS].take(slice(0, 0))})
    assert empty.to_pyg()[CONTAINS].edge_index.shape == (2, 0)
    assert empty.to_scipy(CONTAINS).nnz == 0
    assert empty.to_networkx().number_of_edges() == 0
