"""How fast is a graph built, and how fast are neighbours sampled with an as-of time?

    python benchmarks/graph.py [--json] [--edges N] [--nodes N] [--events N] [--batches N]

Build: `build_graph` on random events; with every neighbour list that a sampler needs; beside plain
pandas that cuts the same five edge tables out of a frame and checks nothing, and beside the floor
of copying the columns of as many edges. Sampling: fan-out [10, 5], one tree and one as-of time per
seed, without replacement, relabelled; beside a vectorised NumPy sampler that does the same job on
the same CSR, and beside the floor of reading as many random places. All take turns in one process
on one thread. Figures are medians over rounds: per CPU second, and per second of wall time beside
it; the first calls (compilation) are reported apart, peak memory is that of the whole process.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from graph_data import SPAN, START, make_events, make_graph
from graph_peers import NumpySampler, frame_of, pandas_edges
from machine import goal, print_line

from sargraph.core.rng import make_rng
from sargraph.core.types import IntArray
from sargraph.graph.build import build_graph
from sargraph.graph.graph import CLICKED, Graph
from sargraph.graph.interop import reverse_of
from sargraph.graph.sample import NeighbourSampler

FAN_OUT = (10, 5)
FAN_OUTS = {reverse_of(CLICKED): (FAN_OUT[0], 0), CLICKED: (0, FAN_OUT[1])}
BATCH = 1024
BUILD_GOAL, SAMPLE_GOAL = 500_000, 15_000_000


@dataclass(frozen=True)
class Measure:
    """How many things one call made, and how long it took."""

    count: int
    cpu: float
    wall: float

    @classmethod
    def of(cls, work: Callable[[], int]) -> Measure:
        """Call once."""
        wall, cpu = time.perf_counter(), time.process_time()
        count = work()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        return cls(count, max(cpu, 1e-9), max(wall, 1e-9))


def rates(name: str, runs: list[Measure]) -> dict[str, float]:
    """Medians per CPU second and per second of wall time."""
    return {
        f"{name}_edges_per_cpu_second": statistics.median(run.count / run.cpu for run in runs),
        f"{name}_edges_per_second": statistics.median(run.count / run.wall for run in runs),
    }


def build_figures(num_events: int, rounds: int) -> dict[str, float]:
    """Edges per second of `build_graph`, alone and with its neighbour lists; pandas; copying."""
    events = make_events(num_events)
    log = frame_of(events)
    columns = [events.columns[name] for name in ("user", "item", "time", "weight", "query")]
    columns += [events.columns["position"], np.arange(num_events)]
    work: dict[str, Callable[[], int]] = {
        "build": lambda: num_edges(build_graph(events)),
        "build_with_lists": lambda: _with_lists(build_graph(events)),
        "pandas": lambda: sum(map(len, pandas_edges(log, events))),
        "copy": lambda: sum(len(column.copy()) for column in columns) // len(columns),
    }
    runs: dict[str, list[Measure]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, call in work.items():
            runs[name].append(Measure.of(call))
    assert runs["build"][0].count == runs["pandas"][0].count, "the peer does another job"
    return {key: rate for name, found in runs.items() for key, rate in rates(name, found).items()}


def num_edges(graph: Graph) -> int:
    """Edges of all types."""
    return sum(map(len, graph.edges.values()))


def _with_lists(graph: Graph) -> int:
    """Edges of a graph whose every type is grouped by both of its ends, each sorted by time."""
    for edge_type in graph.edges:
        graph.csr(edge_type)
        graph.csr(edge_type, reverse=True)
    return num_edges(graph)


def sample_figures(num_nodes: int, num_edges: int, batches: int) -> dict[str, float]:
    """Edges per second of both samplers and of bare reads, in turns; and the time before them."""
    graph = make_graph(num_nodes, num_edges)
    rng = make_rng(0, "benchmark graph seeds")
    by_user = graph.csr(CLICKED)
    peer = NumpySampler(by_user, graph.csr(CLICKED, reverse=True), FAN_OUT)
    started = time.process_time()
    sampler = NeighbourSampler(graph, FAN_OUTS)
    prepared = time.process_time() - started

    def ours(users: IntArray, as_of: IntArray) -> int:
        return sum(map(len, sampler.sample("user", users, as_of=as_of).edge.values()))

    def numpy(users: IntArray, as_of: IntArray) -> int:
        return peer.sample(users, as_of, rng)

    runs: dict[str, list[Measure]] = {"sample": [], "numpy": [], "read": []}
    for _ in range(batches + 1):
        users = rng.integers(num_nodes // 2, size=BATCH)
        as_of = START + SPAN // 2 + rng.integers(SPAN // 2, size=BATCH)
        for name, work in (("sample", ours), ("numpy", numpy)):
            runs[name].append(Measure.of(partial(work, users, as_of)))
        places = rng.integers(num_edges, size=runs["sample"][-1].count)
        runs["read"].append(Measure.of(lambda p=places: len(by_user.indices[p] + by_user.edge[p])))
    return {
        "sampler_preparation_cpu_seconds": prepared,
        "sampler_first_call_cpu_seconds": runs["sample"][0].cpu,
        "sample_edges_per_batch": statistics.mean(run.count for run in runs["sample"]),
        "numpy_edges_per_batch": statistics.mean(run.count for run in runs["numpy"]),
        **rates("sample", runs["sample"][1:]),
        **rates("numpy", runs["numpy"][1:]),
        **rates("read", runs["read"][1:]),
    }


def main() -> None:
    """Measure, print a table or one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="last line: one JSON object")
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--edges", type=int, default=10_000_000)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="graphs built")
    parser.add_argument("--batches", type=int, default=100, help="batches sampled, 1024 seeds each")
    given = parser.parse_args()
    figures = build_figures(given.events, given.rounds)
    figures |= sample_figures(given.nodes, given.edges, given.batches)
    for ours, peer in (("build", "pandas"), ("sample", "numpy")):
        speeds = [figures[f"{name}_edges_per_cpu_second"] for name in (ours, peer)]
        figures[f"{ours}_over_{peer}"] = speeds[0] / speeds[1]
    figures["peak_memory_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    goals = [
        goal(name, figures[name], limit, at_least=True)
        for name, limit in (
            ("build_edges_per_cpu_second", BUILD_GOAL),
            ("sample_edges_per_cpu_second", SAMPLE_GOAL),
        )
    ]
    for name, value in figures.items():
        print(f"{name:36} {value:>16,.3f}")
    for each in goals:
        print(f"goal {each['name']} >= {each['goal']:,}: {'met' if each['met'] else 'MISSED'}")
    if given.json:
        print_line("graph", figures, goals)


if __name__ == "__main__":
    main()
