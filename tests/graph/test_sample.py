"""What the sampler refuses, what it does at the edges, and the benchmark that times it."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from sargraph.core.errors import DataError
from sargraph.core.types import NO_TIME
from sargraph.graph.csr import build_csr
from sargraph.graph.draws import widest_draw
from sargraph.graph.fan_out import forward_of, read_fan_outs
from sargraph.graph.graph import CLICKED, FOLLOWS, ISSUED
from sargraph.graph.interop import reverse_of
from sargraph.graph.sample import NeighbourSampler
from sargraph.graph.tree import Seeds
from sargraph.testing.sampling import allowed_edges, check_sample, random_graph

TO_USER = reverse_of(CLICKED)


@pytest.fixture(scope="module")
def graph():
    return random_graph(np.random.default_rng(0), num_nodes=8, num_edges=120)


def test_the_latest_strategy_takes_the_latest_allowed_edges(graph):
    sampler = NeighbourSampler(graph, {TO_USER: [3]}, strategy="latest")
    hidden = np.arange(0, 120, 7)
    sample = sampler.sample("user", np.arange(8), as_of=9, exclude={CLICKED: hidden})
    time = graph.edges[CLICKED].time
    for place in range(8):
        allowed = allowed_edges(graph, TO_USER, place, 9, {CLICKED: hidden.tolist()})
        expected = sorted(allowed, key=lambda edge: (time[edge], edge))[-3:]
        assert sample.edge[TO_USER][sample.col[TO_USER] == place].tolist() == expected


def test_only_nodes_that_draw_count_for_the_table_of_drawn_places():
    """Two of three nodes take all they may, however many that are."""
    assert widest_draw(np.array([10**6, 9, 5]), np.array([0, 10**6, 10**6 + 4, 10**6 + 9])) == 4


def test_an_epoch_counts_by_its_value_and_not_by_its_type(graph):
    sampler = NeighbourSampler(graph, [2, 2])
    one = sampler.sample("user", np.arange(8), as_of=9, epoch=1)
    for epoch in (np.int64(1), np.uint8(1), np.array(1)):
        assert_same(sampler.sample("user", np.arange(8), as_of=9, epoch=epoch), one)


def test_a_seed_without_a_time_sees_background_only_and_none_means_the_whole_graph(graph):
    sampler = NeighbourSampler(graph, {TO_USER: [-1]})
    rows = np.arange(8)
    background = sampler.sample("user", rows, as_of=NO_TIME).edge[TO_USER]
    assert np.all(graph.edges[CLICKED].time[background] == NO_TIME)
    assert len(background) == np.sum(graph.edges[CLICKED].time == NO_TIME)
    whole = sampler.sample("user", rows, as_of=None).edge[TO_USER]
    assert sorted(whole.tolist()) == list(range(120))


def test_more_seeds_than_one_table_holds(graph):
    """Thousands of trees: the node tables grow while they are filled."""
    fan_outs = dict.fromkeys(read_fan_outs(list(graph.edges), [1]), (2, 2))
    sampler = NeighbourSampler(graph, fan_outs)
    rng = np.random.default_rng(0)
    rows, times = rng.integers(8, size=400), rng.integers(12, size=400)
    check_sample(graph, sampler.sample("user", rows, as_of=times), fan_outs, times)


def test_fan_outs_are_read_or_refused(graph):
    types = list(graph.edges)
    everywhere = read_fan_outs(types, [4, 2])
    assert set(everywhere) == {*types, *map(reverse_of, types)}
    assert set(everywhere.values()) == {(4, 2)}
    assert [forward_of(kind) for kind in map(reverse_of, types)] == types
    wrong = [
        ({("user", "cliked", "item"): [1]}, "did you mean 'user-clicked-item'"),
        ({CLICKED: [1], ISSUED: [1, 2]}, "one number of hops"),
        ({CLICKED: []}, "one number of hops"),
        ({}, "no hops"),
        ([3, -2], "got fan-out -2"),
    ]
    for fan_outs, message in wrong:
        with pytest.raises(DataError, match=message):
            NeighbourSampler(graph, fan_outs)
    with pytest.raises(DataError, match="expected 'uniform' or 'latest'"):
        NeighbourSampler(graph, [1], strategy="oldest")


def test_seeds_that_do_not_fit_are_refused_in_one_line(graph):
    sampler = NeighbourSampler(graph, [2])
    rows = np.array([1, 2])
    with pytest.raises(DataError, match="unknown node type 'usr'; did you mean 'user'"):
        sampler.sample("usr", rows, as_of=3)
    with pytest.raises(DataError, match=r"user seeds: got 8 at place 1, expected 0\.\.7"):
        sampler.sample("user", np.array([1, 8]), as_of=3)
    with pytest.raises(DataError, match="expected one or one per seed"):
        sampler.sample("user", rows, as_of=np.array([1, 2, 3]))
    with pytest.raises(DataError, match="expected integers"):
        sampler.sample("user", rows, as_of=np.array([1.5, 2.0]))
    with pytest.raises(DataError, match="would leak through the nodes they share"):
        sampler.sample("user", rows, as_of=np.array([1, 2]), disjoint=False)
    with pytest.raises(DataError, match="as-of times: got 9223372036854775813, expected integers"):
        sampler.sample("user", rows, as_of=np.uint64(2**63 + 5))
    for wrong in (np.array([True, False]), np.array([1.0, 2.0])):
        with pytest.raises(DataError, match=r"user seeds: got values of type .*, expected int"):
            sampler.sample("user", wrong, as_of=3)
    with pytest.raises(DataError, match=r"numbers of trees: got shape \(3,\), expected \(2,\)"):
        sampler.sample("user", rows, as_of=3, number=np.arange(3))
    seeds = Seeds((("user", rows, np.array([0, 1])),), time=np.array([3]), number=np.array([0]))
    with pytest.raises(DataError, match=r"trees: got 1 at place 1, expected 0\.\.0"):
        sampler.grow(seeds)


def test_edges_are_excluded_by_rows_or_by_a_mask_and_by_either_name_of_their_type(graph):
    fan_outs = {TO_USER: [-1], CLICKED: [-1]}
    sampler = NeighbourSampler(graph, fan_outs)
    rows, hidden = np.arange(8), np.arange(0, 120, 7)
    mask = np.zeros(120, dtype=bool)
    mask[hidden] = True
    some, others = hidden[:9], hidden[9:]
    for exclude in (
        {CLICKED: hidden},
        {TO_USER: hidden},
        {CLICKED: mask},
        {CLICKED: some, TO_USER: others},
    ):
        sample = sampler.sample("user", rows, as_of=None, exclude=exclude)
        expected = {CLICKED: hidden.tolist()}
        check_sample(graph, sample, fan_outs, np.full(8, 10**9), expected)


def test_excluded_edges_that_do_not_fit_are_refused(graph):
    sampler = NeighbourSampler(graph, {FOLLOWS: [2]})
    wrong = [
        ({CLICKED: np.array([120])}, r"excluded user-clicked-item edges: got 120 .*0\.\.119"),
        ({CLICKED: np.zeros(119, bool)}, r"mask of shape \(119,\), expected \(120,\)"),
        ({CLICKED: np.array([0.5])}, "values of type float64, expected integers"),
        ({("user", "cliked", "item"): [0]}, "exclude for unknown .*mean 'user-clicked-item'"),
        ({("item", "rev_cliked", "user"): [0]}, "did you mean 'item-rev_clicked-user'"),
    ]
    for exclude, message in wrong:
        with pytest.raises(DataError, match=message):
            sampler.sample("user", np.arange(2), as_of=3, exclude=exclude)


def assert_same(left, right):
    for name in ("node", "tree", "row", "col", "edge"):
        for kind, values in getattr(left, name).items():
            np.testing.assert_array_equal(values, getattr(right, name)[kind])


def test_a_graph_beyond_2_to_the_31_edges_is_sampled_alike(graph, monkeypatch):
    """The int64 arrays of a huge graph, forced on a small one."""
    rows, times = np.arange(8), np.arange(8) + 3
    options = {"as_of": times, "exclude": {CLICKED: np.array([3, 5])}}
    small = NeighbourSampler(graph, [3, 2]).sample("user", rows, **options)
    monkeypatch.setattr("sargraph.graph.graph.build_csr", partial(build_csr, threshold=1))
    assert graph.csr(CLICKED).indices.dtype == np.int64
    assert_same(NeighbourSampler(graph, [3, 2]).sample("user", rows, **options), small)


def test_threads_that_share_a_sampler_do_not_disturb_each_other(graph):
    sampler = NeighbourSampler(graph, [3, 2])
    rng = np.random.default_rng(0)
    calls = [(rng.integers(8, size=n), rng.integers(12, size=n)) for n in range(20, 420, 10)]
    alone = [sampler.sample("user", rows, as_of=times) for rows, times in calls]
    with ThreadPoolExecutor(4) as pool:
        together = pool.map(lambda call: sampler.sample("user", call[0], as_of=call[1]), calls)
    for left, right in zip(alone, together, strict=True):
        assert_same(left, right)


def test_the_benchmark_ends_with_one_json_object():
    script = Path(__file__).resolve().parents[2] / "benchmarks" / "graph.py"
    sizes = ["--events", "2000", "--nodes", "400", "--edges", "3000", "--batches", "2"]
    run = subprocess.run(
        [sys.executable, str(script), "--json", *sizes], capture_output=True, text=True, check=True
    )
    result = json.loads(run.stdout.splitlines()[-1])
    assert result["benchmark"] == "graph"
    assert [goal["name"] for goal in result["goals"]] == [
        "build_edges_per_cpu_second",
        "sample_edges_per_cpu_second",
    ]
    ours, peer = (result["figures"][f"{name}_edges_per_batch"] for name in ("sample", "numpy"))
    assert ours > 1024
    assert ours == pytest.approx(peer, rel=0.05)


def test_a_graph_whose_rows_do_not_fit_is_refused_before_they_are_read(graph):
    table = graph.edges[CLICKED]
    wrong = replace(table, to_row=table.to_row + 10**7)
    with pytest.raises(DataError, match="out of range"):
        NeighbourSampler(replace(graph, edges={**graph.edges, CLICKED: wrong}), [2])
