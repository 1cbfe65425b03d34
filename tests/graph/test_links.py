"""Links: both ends in one tree, in either direction, and nothing that gives the link away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sargraph.core.errors import DataError
from sargraph.core.types import NO_TIME
from sargraph.graph.fan_out import forward_of, read_fan_outs
from sargraph.graph.graph import CLICKED, CONTAINS, FOLLOWS, FOUND, ISSUED, LED_TO, EdgeTable
from sargraph.graph.interop import reverse_of
from sargraph.graph.links import sample_links
from sargraph.graph.sample import NeighbourSampler
from sargraph.testing.sampling import check_sample, hidden_by_links, random_graph

TO_USER = reverse_of(CLICKED)


@pytest.fixture(scope="module")
def graph():
    return random_graph(np.random.default_rng(0), num_nodes=8, num_edges=120)


def test_a_link_and_its_negatives_share_one_tree_that_hides_the_link(graph):
    table = graph.edges[CLICKED]
    links, negative = np.arange(40), np.arange(80).reshape(40, 2) % 10
    fan_outs = read_fan_outs(list(graph.edges), [-1, -1])
    sampler = NeighbourSampler(graph, fan_outs)
    ends = table.from_row[links], table.to_row[links]
    times = table.time[links]
    result = sample_links(sampler, CLICKED, *ends, as_of=times, negative=negative)
    sample = result.sample
    np.testing.assert_array_equal(sample.node["user"][result.source], ends[0])
    np.testing.assert_array_equal(sample.node["item"][result.target], ends[1])
    np.testing.assert_array_equal(sample.node["item"][result.negative], negative)
    for places, kind in ((result.source, "user"), (result.target, "item")):
        np.testing.assert_array_equal(sample.tree[kind][places], links)
    background = set(links[times == NO_TIME].tolist())
    hidden = {
        edge
        for edge in np.flatnonzero(table.time == NO_TIME).tolist()
        if any((table.from_row[edge], table.to_row[edge]) == end for end in zip(*ends, strict=True))
    }
    assert background <= hidden
    check_sample(graph, sample, fan_outs, times, {CLICKED: hidden})


@pytest.mark.parametrize("walked", [TO_USER, CLICKED, FOLLOWS])
def test_without_times_every_edge_between_the_ends_of_a_link_is_hidden(graph, walked):
    table = graph.edges[CLICKED]
    sampler = NeighbourSampler(graph, {walked: [-1]})
    ends = table.from_row[:5], table.to_row[:5]
    sample = sample_links(sampler, CLICKED, *ends, as_of=None).sample
    asked = set(zip(*(rows.tolist() for rows in ends), strict=True))
    pairs = [(u, i) for u, i in zip(table.from_row.tolist(), table.to_row.tolist(), strict=True)]
    hidden = {CLICKED: [edge for edge, pair in enumerate(pairs) if pair in asked]}
    check_sample(graph, sample, {walked: [-1]}, np.full(5, 10**9), hidden)


def test_links_whose_columns_do_not_fit_are_refused(graph):
    sampler = NeighbourSampler(graph, {CONTAINS: [1]})
    one = np.zeros(1, dtype=int)
    with pytest.raises(DataError, match="as many targets as sources"):
        sample_links(sampler, CLICKED, one, np.zeros(2, dtype=int), as_of=1)
    with pytest.raises(DataError, match="negatives of shape"):
        sample_links(sampler, CLICKED, one, one, as_of=1, negative=one)
    with pytest.raises(DataError, match=r"numbers of links: got shape \(2,\), expected \(1,\)"):
        sample_links(sampler, CLICKED, one, one, as_of=1, number=np.arange(2))
    with pytest.raises(DataError, match=r"item seeds: got 10 at place 0, expected 0\.\.9"):
        sample_links(sampler, CLICKED, one, one + 10, as_of=1)
    with pytest.raises(DataError, match="targets: got values of type bool, expected integers"):
        sample_links(sampler, CLICKED, one, one > 0, as_of=1)


@pytest.mark.parametrize("verb", ["nonsense", "rev_clicked"])
def test_links_of_a_type_that_the_graph_does_not_have_are_refused(graph, verb):
    sampler = NeighbourSampler(graph, {CONTAINS: [1]})
    one = np.zeros(1, dtype=int)
    with pytest.raises(DataError, match=f"links for unknown edge type user-{verb}-item"):
        sample_links(sampler, ("user", verb, "item"), one, one, as_of=1)


@pytest.mark.parametrize("walked", [TO_USER, CLICKED])
def test_links_of_a_reversed_type_are_those_of_the_forward_type_turned_round(graph, walked):
    """The same edges are hidden, and the same nodes found, from either side."""
    table = graph.edges[CLICKED]
    sampler = NeighbourSampler(graph, {walked: [-1, -1]})
    user, item = table.from_row[:5], table.to_row[:5]
    turned = sample_links(sampler, TO_USER, item, user, as_of=None)
    straight = sample_links(sampler, CLICKED, user, item, as_of=None)
    np.testing.assert_array_equal(turned.sample.node["user"][turned.target], user)
    for edges in (turned.sample.edge, straight.sample.edge):
        assert not set(edges[walked].tolist()) & set(range(5))
    assert edge_sets(turned.sample) == edge_sets(straight.sample)


def edge_sets(sample):
    """(type, tree, edge) of every drawn edge."""
    return {
        (kind, int(tree), int(edge))
        for kind, edges in sample.edge.items()
        for tree, edge in zip(sample.tree[kind[2]][sample.col[kind]], edges, strict=True)
    }


def two_clicks_of_one_pair():
    """User 0 finds item 0 by query 0 at times 3 and 7: events 10 and 11, in three types."""
    graph = random_graph(np.random.default_rng(0), num_nodes=2, num_edges=0)
    zeros, columns = np.zeros(2, dtype=int), {"time": [3, 7], "event": [10, 11]}
    types = (FOUND, LED_TO, ISSUED, CONTAINS)
    edges = {kind: EdgeTable.of(zeros, zeros, **columns) for kind in types[:3]}
    return replace(graph, edges={**edges, CONTAINS: EdgeTable.of([0], [0])})


def seen(sample):
    """Edge rows per type, of either direction."""
    rows = {}
    for kind, edge in sample.edge.items():
        rows.setdefault(forward_of(kind)[1], set()).update(edge.tolist())
    return rows


def test_an_edge_given_for_a_link_is_hidden_with_its_twins_and_earlier_ones_stay():
    """Asked later than the link: what was before it is history, the link itself is not."""
    sampler = NeighbourSampler(two_clicks_of_one_pair(), [-1, -1])
    link = {"edge_type": FOUND, "source": np.array([0]), "target": np.array([0])}
    later = seen(sample_links(sampler, **link, as_of=9).sample)
    assert later == {"found": {0, 1}, "led_to": {0, 1}, "issued": {0, 1}, "contains": {0}}
    own = seen(sample_links(sampler, **link, as_of=9, edge=np.array([1])).sample)
    assert own == {"found": {0}, "led_to": {0}, "issued": {0}, "contains": {0}}
    turned = {"edge_type": reverse_of(FOUND), "source": np.array([0]), "target": np.array([0])}
    assert seen(sample_links(sampler, **turned, as_of=9, edge=np.array([1])).sample) == own
    at_its_time = seen(sample_links(sampler, **link, as_of=7).sample)
    assert at_its_time == own


@pytest.mark.parametrize("walked", ["everything", "led_to alone"])
def test_without_times_the_twins_of_hidden_edges_are_hidden_too(walked):
    graph = two_clicks_of_one_pair()
    names = [-1, -1] if walked == "everything" else {LED_TO: [-1], reverse_of(LED_TO): [-1]}
    sampler = NeighbourSampler(graph, names)
    one = np.array([0])
    whole = sampler.sample("item", one, as_of=None)
    assert seen(whole)["led_to"] == {0, 1}
    sample = sample_links(sampler, FOUND, one, one, as_of=None).sample
    assert not any(rows for verb, rows in seen(sample).items() if verb != "contains")


def test_only_twins_are_hidden_and_edges_without_an_event_have_none():
    rng = np.random.default_rng(5)
    graph = random_graph(rng, num_nodes=4, num_edges=60)
    edges = {
        kind: replace(table, event=rng.integers(-1, 20, size=60))
        for kind, table in graph.edges.items()
    }
    graph = replace(graph, edges=edges)
    fan_outs = read_fan_outs(list(edges), [-1, -1])
    table, links = edges[CLICKED], np.array([3, 8, 21])
    ends = table.from_row[links], table.to_row[links]
    sampler = NeighbourSampler(graph, fan_outs)
    sample = sample_links(sampler, CLICKED, *ends, as_of=100, edge=links).sample
    pairs = list(zip(*(rows.tolist() for rows in ends), strict=True))
    hidden = hidden_by_links(graph, CLICKED, pairs, [100] * 3, links.tolist())
    assert all(hidden.values())
    check_sample(graph, sample, fan_outs, np.full(3, 100), hidden)


def test_an_edge_that_is_not_its_links_is_refused(graph):
    table = graph.edges[CLICKED]
    sampler = NeighbourSampler(graph, {CLICKED: [1]})
    ends = table.from_row[:2], table.to_row[:2]
    with pytest.raises(DataError, match=r"edge 5 of link 1 joins .*, expected .*own edges"):
        sample_links(sampler, CLICKED, *ends, as_of=99, edge=np.array([0, 5]))
    with pytest.raises(DataError, match=r"edges of the links: got shape \(1,\), expected \(2,\)"):
        sample_links(sampler, CLICKED, *ends, as_of=99, edge=np.array([0]))
    with pytest.raises(DataError, match="edges of the links: got 120 at place 1"):
        sample_links(sampler, CLICKED, *ends, as_of=99, edge=np.array([0, 120]))
