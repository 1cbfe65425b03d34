"""How fast are requests judged: over the whole catalogue by vectors, and among 1 + 99?

    python benchmarks/evaluation.py [--json] [--requests N] [--items N] [--dim N] [--rounds N]

Whole catalogue: `evaluate_scorer` on a vector model (ranks with ties and NaN, and the 10 best),
once more with seen items removed; beside NumPy (product, comparisons, `argpartition`), torch
(product, `topk`) and PyG's `MIPSKNNIndex`, both with PyG's link prediction metrics on their 10
best; and beside the floor, the bare product. 1 + 99: a head of two layers of 64 on [user ; item],
judged by `evaluate_scorer`, beside the floor of the head alone on the same pairs. All take turns
on one thread; figures are medians over rounds, per second of wall time and of CPU time. The first
call (compilation, or reading what was compiled) is reported apart; peak memory is that of fresh
processes, less what they held before the work.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from machine import goal, print_line

from sargraph.core.progress import quiet
from sargraph.core.ragged import Ragged
from sargraph.core.rng import make_rng
from sargraph.core.scorer import Requests, Scorer
from sargraph.evaluation.evaluate import evaluate_scorer
from sargraph.evaluation.protocol import Protocol

K = 10
GOALS = {
    "full_requests_per_cpu_second": 10_000,
    "full_over_product": 0.5,
    "full_over_numpy": 1,
    "full_over_torch": 1,
    "full_over_pyg": 1,
    "sampled_rows_per_cpu_second": 100_000,
    "sampled_rows_per_second": 100_000,
}
"""At least; ratios are of requests per CPU second."""


class World:
    """Random vectors, requests and seen items, alike in every process."""

    def __init__(self, num_requests: int, num_items: int, dim: int) -> None:
        rng = make_rng(0, "benchmark evaluation")
        self.num_items = num_items
        self.users = rng.standard_normal((num_requests, dim), dtype=np.float32)
        self.items = rng.standard_normal((num_items, dim), dtype=np.float32)
        target = rng.integers(num_items, size=num_requests)
        none, user = np.full(num_requests, -1), np.arange(num_requests)
        self.requests = Requests(user, none, none, target, none)
        seen = np.sort(rng.integers(num_items, size=(num_requests, 8)), axis=1)
        self.seen = Ragged.from_lengths(seen.ravel(), np.full(num_requests, 8))

    def judge(self, scorer: Scorer, protocol: Protocol) -> float:
        """The mean reciprocal rank of one evaluation."""
        with quiet():
            result = evaluate_scorer(
                scorer, self.requests, self.num_items, known=self.seen, seen=self.seen,
                protocol=protocol,
            )  # fmt: skip
        return float(result.metric("MRR").mean())

    def product(self) -> float:
        """The floor: every score, and nothing looked at."""
        from evaluation_peers import BLOCK

        scores = np.empty((BLOCK, self.num_items), np.float32)
        for start in range(0, len(self.users), BLOCK):
            rows = self.users[start : start + BLOCK]
            np.matmul(rows, self.items.T, out=scores[: len(rows)])
        return 0.0


def works(world: World) -> dict[str, Callable[[], float]]:
    """What is measured, by name; each call judges all requests once."""
    from evaluation_peers import TwoLayers, Vectors, numpy_ranks, pyg_metrics, torch_metrics

    users, items, target = world.users, world.items, world.requests.target
    vectors, layers = Vectors(users, items), TwoLayers(users, items)
    full = Protocol(candidates="full", max_requests=0)
    unseen = Protocol(candidates="full", max_requests=0, remove_seen=True)
    block = 10_000
    pairs = make_rng(0, "pairs").integers(world.num_items, size=(len(users), 100))

    def head() -> float:
        for start in range(0, len(users), block):
            rows = np.arange(start, min(start + block, len(users)))
            layers.score(world.requests.take(rows), pairs[rows])
        return 0.0

    return {
        "full": lambda: world.judge(vectors, full),
        "full_unseen": lambda: world.judge(vectors, unseen),
        "numpy": lambda: numpy_ranks(users, items, target, K),
        "torch": lambda: torch_metrics(users, items, target, K),
        "pyg": lambda: pyg_metrics(users, items, target, K),
        "product": world.product,
        "sampled": lambda: world.judge(layers, Protocol()),
        "head": head,
    }


def speeds(world: World, rounds: int) -> dict[str, float]:
    """Requests per second of each, in turns. A peer that is not installed is left out."""
    calls, figures = works(world), {}
    found: dict[str, float] = {}
    for name in list(calls):
        started = time.perf_counter()
        try:
            found[name] = calls[name]()
        except ImportError:
            print(f"{name}: absent (not installed)")
            del calls[name]
        figures[f"{name}_first_call_seconds"] = time.perf_counter() - started
    assert abs(found["full"] - found["numpy"]) < 1e-6, "the peer finds other ranks"
    walls: dict[str, list[float]] = {name: [] for name in calls}
    cpus: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            walls[name].append(time.perf_counter() - wall)
            cpus[name].append(time.process_time() - cpu)
    n = len(world.requests)
    figures = {key: value for key, value in figures.items() if key.split("_first")[0] in calls}
    for name in calls:
        figures[f"{name}_requests_per_second"] = n / statistics.median(walls[name])
        figures[f"{name}_requests_per_cpu_second"] = n / statistics.median(cpus[name])
    return figures


def peak_of(name: str, sizes: list[int]) -> dict[str, float]:
    """MiB that one call adds to the memory of a fresh process; nothing where that is unknown."""
    command = [sys.executable, __file__, "--peak", name, "--sizes", *map(str, sizes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return {f"{name}_peak_mib": float(done.stdout)} if done.returncode == 0 else {}


def print_peak(name: str, sizes: list[int]) -> None:
    """In a fresh process: one call on few requests to load everything, then the whole work."""
    works(World(64, 64, sizes[2]))[name]()
    call = works(World(*sizes))[name]
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here (Linux)
    before = _memory("VmRSS")
    call()
    print(_memory("VmHWM") - before)


def _memory(kind: str) -> float:
    """A figure of this process, MiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{kind}:"))


def main() -> None:
    """Measure, print a table or one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="last line: one JSON object")
    parser.add_argument("--requests", type=int, default=22_363)
    parser.add_argument("--items", type=int, default=12_101)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    parser.add_argument("--sizes", type=int, nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peak:
        print_peak(given.peak, given.sizes)
        return
    sizes = [given.requests, given.items, given.dim]
    figures = speeds(World(*sizes), given.rounds)
    for name in ("full", "numpy", "torch", "pyg", "product", "sampled", "head"):
        figures |= peak_of(name, sizes)
    speed = "requests_per_cpu_second"
    for peer in ("numpy", "torch", "pyg", "product"):
        if f"{peer}_{speed}" in figures:
            figures[f"full_over_{peer}"] = figures[f"full_{speed}"] / figures[f"{peer}_{speed}"]
    for unit in ("second", "cpu_second"):
        figures[f"sampled_rows_per_{unit}"] = 100 * figures[f"sampled_requests_per_{unit}"]
    goals = [
        goal(name, figures[name], limit, at_least=True)
        for name, limit in GOALS.items()
        if name in figures
    ]
    for name, value in figures.items():
        print(f"{name:36} {value:>16,.3f}")
    for each in goals:
        print(f"goal {each['name']} >= {each['goal']:,}: {'met' if each['met'] else 'MISSED'}")
    if given.json:
        print_line("evaluation", figures, goals)


if __name__ == "__main__":
    main()
