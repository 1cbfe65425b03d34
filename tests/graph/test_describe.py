"""The description counts what plain loops count, and the page opens without a network."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from sargraph.core.types import NO_TIME
from sargraph.graph.build import build_graph
from sargraph.graph.describe import graph_page, readable_time
from sargraph.testing.events import random_events


@pytest.fixture(scope="module")
def graph():
    return build_graph(random_events(np.random.default_rng(0), untimed_share=0.3))


def test_every_line_counts_what_a_loop_counts(graph):
    frame = graph.describe().set_index("edge_type")
    for edge_type, table in graph.edges.items():
        line = frame.loc[" ".join(edge_type)]
        pairs = set(zip(table.from_row.tolist(), table.to_row.tolist(), strict=True))
        by_source = Counter(table.from_row.tolist())
        by_target = Counter(table.to_row.tolist())
        assert line["edges"] == len(table)
        assert line["pairs"] == len(pairs)
        assert (line["sources"], line["targets"]) == (len(by_source), len(by_target))
        assert line["max_per_source"] == max(by_source.values())
        assert line["max_per_target"] == max(by_target.values())
        assert line["mean_per_source"] == pytest.approx(len(table) / len(by_source))
        assert line["mean_per_target"] == pytest.approx(len(table) / len(by_target))
        assert line["background"] == np.sum(table.time == NO_TIME)


def test_times_are_readable(graph):
    line = graph.describe().set_index("edge_type").loc["user clicked item"]
    assert line["earliest"].startswith("1970-01-01 00:00:0")
    assert readable_time(1_684_742_000_123, "ms") == "2023-05-22 07:53:20"
    assert readable_time(1234, "ordinal") == "place 1,234"
    assert readable_time(NO_TIME, "ms") == "-"


def test_an_empty_edge_type_has_a_line_of_zeros(graph):
    empty = {kind: table.take(slice(0, 0)) for kind, table in graph.edges.items()}
    frame = replace(graph, edges=empty).describe()
    assert len(frame) == len(graph.edges)
    assert frame[["edges", "pairs", "mean_per_source", "max_per_target"]].to_numpy().sum() == 0
    assert set(frame["earliest"]) == {"-"}
    assert replace(graph, edges={}).describe().empty


def test_the_page_holds_every_count_and_needs_no_network(graph, tmp_path):
    text = graph_page(graph, tmp_path / "graph.html").read_text()
    assert "user clicked item" in text
    assert "Plotly.newPlot" in text
    assert '<script src="http' not in text
    graph_page(replace(graph, edges={}), tmp_path / "empty.html")
