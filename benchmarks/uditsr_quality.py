"""How long does UDITSR take to a given validation quality, by full steps of 256 and by default?

    python benchmarks/uditsr_quality.py [--json] [--world lastfm|simulated] [--edges N] [--seeds N]
        [--passes N]

Last.fm ($SARGRAPH_DATA), or a simulated log, for as many random users as make so many edges (by
default 30,000). The same model is trained by exact steps (the whole graph propagated for every 256
rows, as published) and by the default strategy (`UDITSRTraining`), both tuned over the same
learning rates on the first seed, each run at most so many passes, stopped after five validations
without a new best. Quality is hit@5 of validation targets among 99 sampled negatives (mean of
search and recommendation), after every pass. The time of a run is its training's CPU seconds until
it first reaches the target: the lower of the two strategies' best values of the seed. The plain
path's time is the number of exact steps times its measured milliseconds per step on the same graph.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import print_line
from uditsr_data import Plain, World, timed_step

from sargraph.core.rng import make_rng
from sargraph.core.scorer import Requests, Scorer
from sargraph.embedding.train import train
from sargraph.embedding.uditsr_data import uditsr_data
from sargraph.evaluation.evaluate import evaluate_scorer
from sargraph.evaluation.positives import chosen_until_validation
from sargraph.evaluation.protocol import Protocol
from sargraph.events.events import Events
from sargraph.events.ingest import ingest
from sargraph.events.simulate import SimulateConfig, simulate
from sargraph.events.split import VALID, requests_for, split_events
from sargraph.graph.build import build_graph
from sargraph.graph.graph import CLICKED, FOUND, Graph

DIM, PATIENCE = 32, 5
RATES = (3e-3, 1e-2)
STRATEGIES: dict[str, dict[str, Any]] = {
    "exact": {"propagation": "full", "batch_size": 256},
    "default": {},
}


def read_events(world: str, folder: Path) -> Events:
    """The log of a world."""
    if world == "lastfm":
        return ingest("lastfm", Path(os.environ["SARGRAPH_DATA"]) / "lastfm_hetrec")
    simulate(folder, SimulateConfig(num_users=1000, num_days=20, num_items=2000), seed=0)
    return ingest("synthetic", folder)


@dataclass
class Task:
    """A graph of some users, and what they chose in validation."""

    graph: Graph
    events: Events
    asked: list[Requests]
    known: Any = None

    @classmethod
    def of(cls, events: Events, num_edges: int) -> Task:
        """The edges and validation requests of as many random users as make so many edges."""
        split = split_events(events)
        graph = build_graph(events, split)
        count = np.zeros(len(events.users), dtype=np.int64)
        for kind in (CLICKED, FOUND):
            count += np.bincount(graph.edges[kind].from_row, minlength=len(count))
        order = make_rng(0, "users").permutation(len(count))
        kept = np.zeros(len(count), dtype=bool)
        kept[order[: np.searchsorted(np.cumsum(count[order]), num_edges) + 1]] = True
        edges = {
            kind: table.take(kept[table.from_row]) if kind[0] == "user" else table
            for kind, table in graph.edges.items()
        }
        part = Graph(**{**vars(graph), "edges": edges, "content_hash": ""})
        found = [requests_for(events, split, VALID, task) for task in ("search", "recommend")]
        asked = [each.take(np.flatnonzero(kept[each.user])) for each in found]
        return cls(part, events, asked, chosen_until_validation(events, split))

    def hit_at_5(self, scorer: Scorer) -> float:
        """The mean over both tasks of HR@5 among 99 negatives."""
        protocol = Protocol(
            name="validation", part="valid", num_negatives=99, num_bootstrap=100, cutoffs=(1, 5),
            max_requests=1500,
        )  # fmt: skip
        scores = [
            evaluate_scorer(
                scorer, each, len(self.events.items), known=self.known, protocol=protocol
            ).mean("HR@5")
            for each in self.asked
            if len(each)
        ]
        return float(np.mean(scores))


@dataclass
class Run:
    """CPU seconds of training and hit@5 after each pass."""

    seconds: list[float] = field(default_factory=list)
    quality: list[float] = field(default_factory=list)

    def until(self, target: float) -> tuple[float, int]:
        """CPU seconds and passes until the target is reached."""
        passes = next(n for n, value in enumerate(self.quality, start=1) if value >= target)
        return self.seconds[passes - 1], passes


def run_once(task: Task, strategy: str, rate: float, seed: int, passes: int) -> Run:
    """One training."""
    run, spent, start = Run(), 0.0, time.process_time()

    def validate(scorer: Scorer) -> float:
        nonlocal spent
        before = time.process_time()
        run.seconds.append(before - start - spent)
        run.quality.append(task.hit_at_5(scorer))
        spent += time.process_time() - before
        return run.quality[-1]

    settings = {"dim": DIM, "num_epochs": passes, "validate_every": 1, "patience": PATIENCE}
    settings |= {"learning_rate": rate, **STRATEGIES[strategy]}
    train(task.graph, "uditsr", settings, seed=seed, validate=validate)
    return run


def plain_step_ms(task: Task) -> float:
    """CPU milliseconds of a step of 256 of the plain path on the same graph, as published."""
    data = uditsr_data(task.graph, 3, 3, 10, missing=0)
    sizes = data.edges.num_users, data.edges.num_items, data.edges.num_terms
    plain = Plain(World(data.edges, data.user_terms, data.item_terms, sizes), dim=DIM)
    return 1e3 * statistics.median(timed_step(plain, step)[0] for step in range(4))


def measure(task: Task, seeds: int, passes: int) -> dict[str, float]:
    """Figures of both strategies."""
    tuned = {
        strategy: {rate: run_once(task, strategy, rate, 0, passes) for rate in RATES}
        for strategy in STRATEGIES
    }
    best = {
        strategy: max(runs, key=lambda rate: max(runs[rate].quality))
        for strategy, runs in tuned.items()
    }
    found: dict[str, list[float]] = {}
    steps = -(-sum(len(task.graph.edges[kind]) for kind in (CLICKED, FOUND)) // 256)
    for seed in range(seeds):
        runs = {
            strategy: tuned[strategy][rate] if seed == 0 else
            run_once(task, strategy, rate, seed, passes)
            for strategy, rate in best.items()
        }  # fmt: skip
        target = min(max(run.quality) for run in runs.values())
        for strategy, run in runs.items():
            seconds, count = run.until(target)
            values = {"seconds": seconds, "passes": count, "best": max(run.quality)}
            for name, value in values.items():
                found.setdefault(f"{strategy}_{name}", []).append(float(value))
    figures = {name: statistics.mean(values) for name, values in found.items()}
    ratios = zip(found["exact_seconds"], found["default_seconds"], strict=True)
    figures["exact_over_default"] = statistics.mean(exact / ours for exact, ours in ratios)
    figures["exact_steps"] = figures["exact_passes"] * steps
    figures["plain_seconds"] = figures["exact_steps"] * plain_step_ms(task) / 1e3
    figures["plain_over_default"] = figures["plain_seconds"] / figures["default_seconds"]
    return figures | {f"{name}_rate": rate for name, rate in best.items()}


def main() -> None:
    """Measure, print a table, and with --json one line for machines."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--world", choices=["lastfm", "simulated"], default="simulated")
    parser.add_argument("--edges", type=int, default=30_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--passes", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        task = Task.of(read_events(options.world, Path(folder) / "logs"), options.edges)
    figures = measure(task, options.seeds, options.passes)
    for name, value in figures.items():
        print(f"{name:24} {value:12,.4f}")
    if options.json:
        ratio = figures["exact_over_default"]
        goal = {"name": "exact_over_default", "value": ratio, "goal": 10.0, "met": ratio >= 10}
        print_line("uditsr_quality", figures, [goal] if options.edges == 30_000 else [])


if __name__ == "__main__":
    main()
