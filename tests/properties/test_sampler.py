"""What holds for every graph, every seed and every time: the sampler never looks ahead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sargraph.core.types import NO_TIME
from sargraph.graph.fan_out import read_fan_outs
from sargraph.graph.interop import reverse_of
from sargraph.graph.links import sample_links
from sargraph.graph.sample import NeighbourSampler
from sargraph.testing.sampling import (
    allowed_edges,
    check_sample,
    hidden_by_links,
    random_graph,
)

TIMES = st.one_of(st.integers(-1, 14), st.just(NO_TIME), st.just(np.iinfo(np.int64).max))


@st.composite
def cases(draw):
    """(graph, fan-outs, seed rows, as-of times, sampler seed)"""
    graph = random_graph(
        np.random.default_rng(draw(st.integers(0, 2**32))),
        num_nodes=draw(st.integers(1, 8)),
        num_edges=draw(st.integers(0, 80)),
        background_share=draw(st.sampled_from([0.0, 0.2, 1.0])),
    )
    hops = draw(st.integers(1, 3))
    kinds = [*graph.edges, *map(reverse_of, graph.edges)]
    walked = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=8, unique=True))
    numbers = st.lists(st.integers(-1, 4), min_size=hops, max_size=hops)
    fan_outs = {kind: draw(numbers) for kind in walked}
    rows = draw(st.lists(st.integers(0, graph.num_nodes["user"] - 1), max_size=5))
    times = draw(st.lists(TIMES, min_size=len(rows), max_size=len(rows)))
    return graph, fan_outs, np.array(rows, int), np.array(times, int), draw(st.integers(0, 99))


@settings(max_examples=60, deadline=None)
@given(case=cases(), strategy=st.sampled_from(["uniform", "latest"]))
def test_every_tree_is_one_that_the_definition_allows(case, strategy):
    graph, fan_outs, rows, times, seed = case
    sampler = NeighbourSampler(graph, fan_outs, strategy=strategy, seed=seed)
    sample = sampler.sample("user", rows, as_of=times)
    check_sample(graph, sample, fan_outs, times)
    assert np.array_equal(sample.node["user"][sample.seeds[0]], rows)
    assert np.array_equal(sample.tree["user"][sample.seeds[0]], np.arange(len(rows)))


@settings(max_examples=60, deadline=None)
@given(case=cases())
def test_temporal_sampler_never_returns_an_edge_at_or_after_its_seeds_time(case):
    """The complaint: a temporal sampler of a public library returned later edges.

    Also through a reversed type, and at any depth of the tree.
    """
    graph, fan_outs, rows, times, seed = case
    sample = NeighbourSampler(graph, fan_outs, seed=seed).sample("user", rows, as_of=times)
    for kind, edge in sample.edge.items():
        forward = kind if kind in graph.edges else reverse_of(kind)
        forward = (forward[0], forward[1].replace("rev_", ""), forward[2])
        when = graph.edges[forward].time[edge]
        seed_time = times[sample.tree[kind[2]][sample.col[kind]]]
        assert np.all((when < seed_time) | (when == NO_TIME))


@settings(max_examples=40, deadline=None)
@given(case=cases(), order_seed=st.integers(0, 99))
def test_a_tree_does_not_depend_on_its_batch(case, order_seed):
    graph, fan_outs, rows, times, seed = case
    sampler = NeighbourSampler(graph, fan_outs, seed=seed)
    whole = trees_of(sampler.sample("user", rows, as_of=times), np.arange(len(rows)))
    order = np.random.default_rng(order_seed).permutation(len(rows))
    for part in np.array_split(order, 2):
        split = sampler.sample("user", rows[part], as_of=times[part], number=part)
        for number, tree in trees_of(split, part).items():
            assert tree == whole[number]


def trees_of(sample, numbers):
    """The (type, edge) pairs of each tree, in the order in which they were drawn."""
    trees = {int(number): [] for number in numbers}
    for kind, edge in sample.edge.items():
        tree = sample.tree[kind[2]][sample.col[kind]]
        for place, row in zip(tree.tolist(), edge.tolist(), strict=True):
            trees[int(numbers[place])].append((kind, row))
    return trees


@settings(max_examples=40, deadline=None)
@given(case=cases(), hide=st.lists(st.integers(0, 10**6), max_size=30), turn=st.booleans())
def test_excluded_edges_are_in_no_tree_in_either_direction(case, hide, turn):
    graph, fan_outs, rows, times, seed = case
    hidden = {
        kind: np.array([row % len(table) for row in hide if len(table)], dtype=int)
        for kind, table in graph.edges.items()
    }
    exclude = {reverse_of(kind) if turn else kind: edges for kind, edges in hidden.items()}
    sampler = NeighbourSampler(graph, fan_outs, seed=seed)
    sample = sampler.sample("user", rows, as_of=times, exclude=exclude)
    check_sample(graph, sample, fan_outs, times, {k: v.tolist() for k, v in hidden.items()})


@settings(max_examples=60, deadline=None)
@given(case=cases(), data=st.data(), turn=st.booleans(), is_given=st.booleans())
def test_links_of_any_type_in_any_direction_at_any_time_do_not_see_themselves(
    case, data, turn, is_given
):
    """Own edges, and the edges that the same event left in other types, walked or not."""
    graph, fan_outs, _, _, seed = case
    events = np.random.default_rng(seed)
    edges = {
        kind: replace(table, event=events.integers(-1, 12, size=len(table)))
        for kind, table in graph.edges.items()
    }
    graph = replace(graph, edges=edges)
    kind = data.draw(st.sampled_from(list(edges)))
    table = edges[kind]
    number = data.draw(st.integers(0, min(5, len(table))))
    links = np.array(data.draw(st.permutations(range(len(table)))), dtype=int)[:number]
    times = np.array(data.draw(st.lists(TIMES, min_size=number, max_size=number)), dtype=int)
    ends = table.from_row[links], table.to_row[links]
    sample = sample_links(
        NeighbourSampler(graph, fan_outs, seed=seed),
        reverse_of(kind) if turn else kind,
        *(ends[::-1] if turn else ends),
        as_of=times,
        edge=links if is_given else None,
    ).sample
    pairs = list(zip(*(rows.tolist() for rows in ends), strict=True))
    given_edges = links.tolist() if is_given else ()
    hidden = hidden_by_links(graph, kind, pairs, times.tolist(), given_edges)
    check_sample(graph, sample, fan_outs, times, hidden)


@settings(max_examples=40, deadline=None)
@given(case=cases(), time=TIMES)
def test_a_common_tree_holds_each_node_once(case, time):
    graph, fan_outs, rows, _, seed = case
    sampler = NeighbourSampler(graph, fan_outs, seed=seed)
    sample = sampler.sample("user", rows, as_of=time, disjoint=False)
    check_sample(graph, sample, fan_outs, np.array([time]))
    assert np.array_equal(sample.node["user"][sample.seeds[0]], rows)


@settings(max_examples=25, deadline=None)
@given(case=cases(), time=st.integers(-1, 14))
def test_the_sampler_sees_what_the_as_of_graph_holds(case, time):
    graph, _, rows, _, seed = case
    everything = read_fan_outs(list(graph.edges), [-1, -1])
    now = NeighbourSampler(graph, everything, seed=seed).sample("user", rows, as_of=time)
    cut = graph.as_of(time)
    then = NeighbourSampler(cut, everything, seed=seed).sample("user", rows, as_of=None)
    for kind, node in now.node.items():
        assert np.array_equal(node, then.node[kind])
    for kind in everything:
        assert np.array_equal(now.row[kind], then.row[kind])
        assert np.array_equal(now.col[kind], then.col[kind])


@pytest.mark.parametrize("hidden", [(), (3, 17, 40)])
@pytest.mark.parametrize("fan_out", [3, 40])
def test_every_allowed_edge_is_drawn_equally_often(fan_out, hidden):
    """Chi-square over the edges of one node, for both ways of refusing repeats."""
    graph = random_graph(np.random.default_rng(0), num_nodes=1, num_edges=90)
    (kind,) = [kind for kind in graph.edges if kind[1] == "follows"]
    sampler = NeighbourSampler(graph, {kind: [fan_out]}, seed=1)
    allowed = allowed_edges(graph, kind, 0, 9, {kind: hidden})
    draws = 4000
    sample = sampler.sample(
        "user", np.zeros(draws, int), as_of=9, exclude={kind: np.array(hidden, int)}
    )
    counts = np.bincount(sample.edge[kind], minlength=90)[allowed]
    expected = draws * fan_out / len(allowed)
    # A draw without replacement has the smaller variance p (1 - p), hence the factor.
    square = ((counts - expected) ** 2 / expected).sum() / (1 - fan_out / len(allowed))
    degrees = len(allowed) - 1
    assert abs(square - degrees) < 4 * np.sqrt(2 * degrees)
    assert counts.sum() == draws * fan_out
