"""How fast is a graph built, and how fast are neighbours sampled with an as-of time?

    python benchmarks/graph.py [--json] [--edges N] [--nodes N] [--events N] [--batches N]

Build: `build_graph` on random events. Sampling: fan-out [10, 5], one tree and one as-of time per
seed, without replacement, relabelled; beside a vectorised NumPy sampler that does the same job on
the same CSR, in turns. One process, one thread. Figures are medians over rounds: per CPU second,
and per second of wall time beside it; the first calls (compilation) are reported apart.
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
from machine import goal, print_line
from numpy_sampler import NumpySampler

from sargraph.core.ragged import Ragged
from sargraph.core.rng import make_rng
from sargraph.core.types import NO_ROW, IntArray
from sargraph.events.events import Events
from sargraph.events.schema import CLICK, COLUMNS, RECOMMEND, SEARCH
from sargraph.events.vocabulary import Vocabulary
from sargraph.graph.build import build_graph
from sargraph.graph.graph import CLICKED, EdgeTable, Graph
from sargraph.graph.interop import reverse_of
from sargraph.graph.sample import NeighbourSampler

START, SPAN = 1_600_000_000_000, 10_000_000_000
FAN_OUT = (10, 5)
FAN_OUTS = {reverse_of(CLICKED): (FAN_OUT[0], 0), CLICKED: (0, FAN_OUT[1])}
BATCH = 1024
BUILD_GOAL, SAMPLE_GOAL = 500_000, 15_000_000


def skewed(rng: np.random.Generator, limit: int, size: int) -> np.ndarray:
    """Rows with a long tail: the first tenth of the rows gets a fifth of the draws and more."""
    return (limit * rng.random(size) ** 1.5).astype(np.int64)


def vocabularies(**sizes: int) -> dict[str, Vocabulary]:
    """Made-up ids of each node type."""
    return {kind: Vocabulary([f"{kind}{i}" for i in range(n)]) for kind, n in sizes.items()}


def make_events(num_events: int) -> Events:
    """Random events, a third of them searches, 25 per user, three terms per query."""
    rng = make_rng(0, "benchmark events")
    sizes = {
        "user": max(2, num_events // 25),
        "item": max(2, num_events // 50),
        "query": max(2, num_events // 40),
        "term": max(2, num_events // 200),
    }
    is_search = rng.random(num_events) < 0.33
    user = np.sort(rng.integers(sizes["user"], size=num_events))
    when = START + rng.integers(SPAN, size=num_events)
    columns = {
        "time": when[np.lexsort((when, user))],
        "source": np.where(is_search, SEARCH, RECOMMEND),
        "action": np.full(num_events, CLICK),
        "user": user,
        "item": skewed(rng, sizes["item"], num_events),
        "query": np.where(is_search, skewed(rng, sizes["query"], num_events), NO_ROW),
        "session": np.arange(num_events) // 3,
        "position": np.full(num_events, NO_ROW),
        "weight": np.ones(num_events),
    }
    terms = rng.integers(sizes["term"], size=3 * sizes["query"])
    return Events(
        columns={name: columns[name].astype(kind) for name, kind in COLUMNS.items()},
        vocabularies=vocabularies(**sizes),
        query_terms=Ragged.from_lengths(terms, np.full(sizes["query"], 3)),
        item_terms=Ragged.from_lengths(np.empty(0, np.int64), np.zeros(sizes["item"], np.int64)),
    )


def make_graph(num_nodes: int, num_edges: int) -> Graph:
    """Half users, half items, one timed edge type."""
    rng = make_rng(0, "benchmark graph")
    half = num_nodes // 2
    user = np.sort(rng.integers(half, size=num_edges))
    when = START + rng.integers(SPAN, size=num_edges)
    nothing = Ragged(np.empty(0, np.int64), np.zeros(1, np.int64))
    return Graph(
        vocabularies=vocabularies(user=half, item=half),
        edges={CLICKED: EdgeTable.of(user, skewed(rng, half, num_edges), time=when)},
        query_terms=nothing,
        item_terms=nothing,
    )


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
    """Edges per second of `build_graph`."""
    events = make_events(num_events)
    runs = [
        Measure.of(lambda: sum(map(len, build_graph(events).edges.values()))) for _ in range(rounds)
    ]
    return rates("build", runs)


def sample_figures(num_nodes: int, num_edges: int, batches: int) -> dict[str, float]:
    """Edges per second of both samplers, in turns; and what came before the first draw."""
    graph = make_graph(num_nodes, num_edges)
    rng = make_rng(0, "benchmark seeds")
    peer = NumpySampler(graph.csr(CLICKED), graph.csr(CLICKED, reverse=True), FAN_OUT)
    started = time.process_time()
    sampler = NeighbourSampler(graph, FAN_OUTS)
    prepared = time.process_time() - started

    def ours(users: IntArray, as_of: IntArray) -> int:
        return sum(map(len, sampler.sample("user", users, as_of=as_of).edge.values()))

    def numpy(users: IntArray, as_of: IntArray) -> int:
        return peer.sample(users, as_of, rng)

    runs: dict[str, list[Measure]] = {"sample": [], "numpy": []}
    for _ in range(batches + 1):
        users = rng.integers(num_nodes // 2, size=BATCH)
        as_of = START + SPAN // 2 + rng.integers(SPAN // 2, size=BATCH)
        for name, work in (("sample", ours), ("numpy", numpy)):
            runs[name].append(Measure.of(partial(work, users, as_of)))
    return {
        "sampler_preparation_cpu_seconds": prepared,
        "sampler_first_call_cpu_seconds": runs["sample"][0].cpu,
        "sample_edges_per_batch": statistics.mean(run.count for run in runs["sample"]),
        "numpy_edges_per_batch": statistics.mean(run.count for run in runs["numpy"]),
        **rates("sample", runs["sample"][1:]),
        **rates("numpy", runs["numpy"][1:]),
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
    figures["speed_up_over_numpy"] = (
        figures["sample_edges_per_cpu_second"] / figures["numpy_edges_per_cpu_second"]
    )
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
