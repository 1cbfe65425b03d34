"""Grouped and sorted neighbours against plain loops; small and large integers; as-of graphs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sargraph.core.errors import DataError
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.graph.build import build_graph
from sargraph.graph.csr import INT32_LIMIT, build_csr, group_by, row_type
from sargraph.graph.graph import CLICKED, CONTAINS, VirtualQueries
from sargraph.graph.pairs import pair_keys
from sargraph.graph.validate import validate
from sargraph.testing.events import random_events
from sargraph.testing.sampling import random_graph


@pytest.mark.parametrize("reverse", [False, True])
def test_neighbours_are_grouped_by_node_and_sorted_by_time_background_first(reverse):
    """Long and short lists, ties in time (table order), untimed edges."""
    graph = random_graph(np.random.default_rng(0), num_nodes=3, num_edges=300)
    for kind, table in graph.edges.items():
        start, end = (table.to_row, table.from_row) if reverse else (table.from_row, table.to_row)
        csr = graph.csr(kind, reverse=reverse)
        assert len(csr) == graph.num_nodes[kind[2 if reverse else 0]]
        for node in range(len(csr)):
            inside = slice(csr.indptr[node], csr.indptr[node + 1])
            edges = np.flatnonzero(start == node)
            expected = sorted(edges.tolist(), key=lambda edge: (table.time[edge], edge))
            assert csr.edge[inside].tolist() == expected
            assert csr.indices[inside].tolist() == end[expected].tolist()
            assert csr.time[inside].tolist() == table.time[expected].tolist()


def test_an_unknown_edge_type_is_refused_with_the_nearest_name():
    graph = random_graph(np.random.default_rng(0), num_nodes=4, num_edges=10)
    with pytest.raises(DataError, match="did you mean 'user-clicked-item'"):
        graph.csr(("user", "clickd", "item"))


def test_row_numbers_are_int32_where_they_fit_and_int64_where_they_do_not():
    rng = np.random.default_rng(1)
    start, end, time = rng.integers(5, size=40), rng.integers(9, size=40), rng.integers(6, size=40)
    small = build_csr(start, end, time, 5, 9)
    large = build_csr(start, end, time, 5, 9, threshold=9)
    mixed = build_csr(start, end, time, 5, 9, threshold=20)
    for name in ("indptr", "indices", "edge", "time"):
        np.testing.assert_array_equal(getattr(small, name), getattr(large, name))
    kinds = [[getattr(csr, n).dtype.itemsize for n in ("indptr", "indices", "edge", "time")]
             for csr in (small, large, mixed)]  # fmt: skip
    assert kinds == [[4, 4, 4, 8], [8, 8, 8, 8], [8, 4, 8, 8]]
    assert row_type(INT32_LIMIT - 1) is np.int32
    assert row_type(INT32_LIMIT) is np.int64


def test_group_by_is_a_stable_sort():
    keys = np.random.default_rng(2).integers(7, size=100)
    order, indptr = group_by(keys, 9)
    np.testing.assert_array_equal(order, np.argsort(keys, kind="stable"))
    assert indptr.tolist() == [int(np.sum(keys < key)) for key in range(10)]


def test_an_empty_edge_type_has_a_csr():
    none = np.empty(0, dtype=np.int64)
    csr = build_csr(none, none, none, 3, 4)
    assert csr.indptr.tolist() == [0, 0, 0, 0]
    assert len(csr.edge) == 0


def test_pair_keys_beyond_32_bits_do_not_wrap():
    """Rows in int32 whose product passes 2^31 and 2^32, up to the last key below 2^63."""
    first = np.array([0, 99_999, 3_000_000], dtype=np.int32)
    second = np.array([5, 1_999_999, 0], dtype=np.int32)
    keys = pair_keys(first, second, 4_000_000, 2_000_000)
    assert keys.tolist() == [5, 99_999 * 2_000_000 + 1_999_999, 3_000_000 * 2_000_000]
    top = pair_keys(np.array([2**31 - 2]), np.array([2**32 - 1]), 2**31 - 1, 2**32)
    assert top.tolist() == [(2**31 - 2) * 2**32 + 2**32 - 1]
    with pytest.raises(DataError, match="do not fit into 64 bits"):
        pair_keys(first, second, 2**31, 2**32)


def test_an_as_of_graph_holds_background_and_strictly_earlier_edges():
    graph = build_graph(random_events(np.random.default_rng(3), untimed_share=0.3))
    for time in (0, 7_000, 7_001, 10**9):
        known = graph.as_of(time)
        validate(known)
        assert known.cut == time
        for kind, table in graph.edges.items():
            kept = [
                e for e in range(len(table)) if table.time[e] == NO_TIME or table.time[e] < time
            ]
            assert known.edges[kind].event.tolist() == table.event[kept].tolist()
            assert known.edges[kind].time.tolist() == table.time[kept].tolist()
    assert len(graph.as_of(0).edges[CONTAINS]) == len(graph.edges[CONTAINS])
    assert np.all(graph.as_of(NO_TIME).edges[CLICKED].time == NO_TIME)


def test_an_as_of_graph_keeps_parents_the_earlier_cut_and_its_virtual_queries():
    graph = build_graph(random_events(np.random.default_rng(4)))
    number = len(graph.edges[CLICKED])
    vector = np.arange(number, dtype=np.float32)[:, None]
    none = np.full((number, 1), NO_ROW)
    virtual = VirtualQueries(vector, none, none, np.ones(number, np.float32), "uditsr")
    graph = replace(
        graph, virtual=virtual, cut=20_000, parents={"events": "abc"}, content_hash="def"
    ).as_of(50_000)
    assert graph.cut == 20_000
    before = graph.as_of(9_000)
    assert (before.cut, before.parents, before.content_hash) == (9_000, {"events": "abc"}, "")
    table = graph.edges[CLICKED]
    np.testing.assert_array_equal(
        before.virtual.vector[:, 0], graph.virtual.vector[table.time < 9_000, 0]
    )
    validate(before)
