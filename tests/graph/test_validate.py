"""validate refuses every way in which a graph can be wrong, and says where."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sargraph.core.errors import DataError
from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.events.split import SplitConfig, split_events
from sargraph.graph.build import build_graph
from sargraph.graph.graph import CLICKED, FOUND, SIMILAR_TO, EdgeTable, VirtualQueries
from sargraph.graph.validate import validate
from sargraph.testing.events import random_events


@pytest.fixture
def graph():
    events = random_events(np.random.default_rng(0))
    return build_graph(events, split_events(events, SplitConfig()))


def damaged(graph, column, place, value):
    table = graph.edges[FOUND]
    changed = getattr(table, column).copy()
    changed[place] = value
    return replace(graph, edges={**graph.edges, FOUND: replace(table, **{column: changed})})


def test_a_built_graph_is_valid(graph):
    validate(graph)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("from_row", -1, "'from_row' are out of range .edge 3 has -1., expected 0..11"),
        ("from_row", 12, "'from_row' are out of range"),
        ("to_row", 20, "'to_row' are out of range"),
        ("query", 8, "'query' are out of range"),
        ("query", -2, "'query' are out of range"),
        ("weight", np.nan, "weights are not finite"),
        ("weight", np.inf, "weights are not finite"),
    ],
)
def test_a_wrong_value_is_named_with_its_edge(graph, column, value, message):
    with pytest.raises(DataError, match=f"user-found-item.*{message}"):
        validate(damaged(graph, column, 3, value))


def test_an_edge_at_the_cut_is_refused_and_one_just_before_is_not(graph):
    validate(damaged(graph, "time", 0, graph.cut - 1))
    validate(damaged(graph, "time", 0, NO_TIME))
    with pytest.raises(DataError, match="at or after the cut"):
        validate(damaged(graph, "time", 0, graph.cut))


def test_without_a_cut_no_time_is_late(graph):
    validate(replace(damaged(graph, "time", 0, 10**15), cut=NO_TIME))


def test_the_largest_int64_is_no_time_and_the_one_before_it_is(graph):
    """No time is strictly after it: no as-of time would ever see such an edge."""
    graph = replace(graph, cut=NO_TIME)
    validate(damaged(graph, "time", 2, 2**63 - 2))
    with pytest.raises(DataError, match=r"user-found-item: 1 edges are at time 2\^63 - 1 .edge 2"):
        validate(damaged(graph, "time", 2, 2**63 - 1))


def test_a_stored_verb_that_looks_reversed_is_refused(graph):
    edges = {("item", "rev_found", "user"): EdgeTable.of([0], [0])}
    with pytest.raises(DataError, match="item-rev_found-user: got a verb that begins with 'rev_'"):
        validate(replace(graph, edges=edges))


def test_columns_of_different_length_or_kind_are_refused(graph):
    table = graph.edges[FOUND]
    short = replace(table, weight=table.weight[:-1])
    with pytest.raises(DataError, match="one length"):
        validate(replace(graph, edges={FOUND: short}))
    rounded = replace(table, time=table.time.astype(np.float32))
    with pytest.raises(DataError, match="'time' is float32, expected int64"):
        validate(replace(graph, edges={FOUND: rounded}))


def test_terms_must_fit_the_vocabularies(graph):
    with pytest.raises(DataError, match="query_terms has 1 rows, expected 8"):
        validate(replace(graph, query_terms=Ragged.from_lists([[0]])))
    with pytest.raises(DataError, match="item_terms holds a term out of range"):
        validate(replace(graph, item_terms=Ragged.from_lists([[10]] + [[]] * 19)))


def test_virtual_queries_must_be_one_per_clicked_edge(graph):
    n = len(graph.edges[CLICKED]) - 1
    none = np.full((n, 2), NO_ROW)
    virtual = VirtualQueries(
        np.zeros((n, 4), np.float32), none, none, np.zeros(n, np.float32), "uditsr"
    )
    with pytest.raises(DataError, match="one per clicked edge"):
        validate(replace(graph, virtual=virtual))


def test_edge_table_of_fills_columns_and_refuses_unknown_ones(graph):
    table = EdgeTable.of([0, 1], [1, 0], weight=[2, 3])
    assert table.weight.dtype == np.float32
    assert table.time.tolist() == [NO_TIME, NO_TIME]
    assert table.take(np.array([1])).from_row.tolist() == [1]
    validate(replace(graph, edges={SIMILAR_TO: table}))
    with pytest.raises(TypeError, match="strength"):
        EdgeTable.of([0], [1], strength=[1.0])
