"""The share of targets inside a graph, against a loop over its edges."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from sargraph.core.types import NO_ROW
from sargraph.events.schema import CLICK, RECOMMEND
from sargraph.events.split import SplitConfig, split_events
from sargraph.graph.build import build_graph
from sargraph.graph.graph import EdgeTable
from sargraph.graph.targets import targets_in_graph
from sargraph.testing.events import make_events, random_events


def naive(graph, events, rows, by):
    pairs, known = set(), set()
    for (source, _, target), table in graph.edges.items():
        if {source, target} == {"user", "item"}:
            for start, end, event in zip(table.from_row, table.to_row, table.event, strict=True):
                pairs.add((start, end) if source == "user" else (end, start))
                known.add(event)
    hits = [
        row in known if by == "event" else (events.user[row], events.item[row]) in pairs
        for row in rows
    ]
    return sum(hits) / len(hits)


@pytest.mark.parametrize("by", ["pair", "event"])
def test_equals_a_loop_over_all_edges(by):
    events = random_events(np.random.default_rng(0), num_items=60, untimed_share=0.2)
    split = split_events(events, SplitConfig(valid_share=0.2))
    extra = {("item", "shown_to", "user"): EdgeTable.of(events.item[:30], events.user[:30])}
    graph = build_graph(events, split, extra_edges=extra)
    rows = np.flatnonzero(events.is_positive)
    share = targets_in_graph(graph, events, rows, by)
    assert share == pytest.approx(naive(graph, events, rows, by))
    assert 0 < share < 1


def test_all_training_targets_are_in_the_naive_graph_and_a_repeat_is_known_by_its_pair():
    rows = [(0, t, RECOMMEND, CLICK, t % 3, NO_ROW, t) for t in range(6)]
    events = make_events(rows, num_users=1, num_items=3)
    assert targets_in_graph(build_graph(events), events, np.arange(6), "event") == 1.0
    early = build_graph(events.select(np.arange(3)))
    late = np.array([3, 4, 5])
    assert targets_in_graph(early, events, late, "pair") == 1.0
    assert targets_in_graph(early, events, late, "event") == 0.0


def test_no_target_and_no_edge():
    events = random_events(np.random.default_rng(0))
    graph = build_graph(events)
    assert math.isnan(targets_in_graph(graph, events, np.empty(0, np.int64)))
    empty = replace(graph, edges={})
    for by in ("pair", "event"):
        assert targets_in_graph(empty, events, np.arange(4), by) == 0.0
