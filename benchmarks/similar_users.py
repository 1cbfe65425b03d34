"""How fast are similar users found, beside libraries that multiply the same sparse profiles?

    python benchmarks/similar_users.py --users 10000|100000|1000000 [--json] [--probes N]

Random profiles (see similar_users_data.py), top 50, one thread. Ours: exact, and by the √users
heaviest postings of each entry with the best 100 scored in full; without shrinkage and duplicate
filter, so that all do one job (checked: every exact method gives the same similarities), and with
the default settings beside it. Peers: sparse_dot_topn, implicit's cosine recommender, SciPy with
argpartition. Floor: reading the postings of the probe's entries once. All take turns on the same
probes: milliseconds per query are the medians of rounds over batches, p50 and p99 are of single
calls. The peers are installed with `pip install -e .[bench]`.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from machine import goal, print_line
from scipy.sparse import csr_array
from similar_users_data import make_profiles
from similar_users_peers import Answer, peers, read_postings

from sargraph.core.types import IntArray
from sargraph.neighbours.measures import Rows
from sargraph.neighbours.part import default_head_size
from sargraph.neighbours.postings import Found, Postings, build_postings
from sargraph.neighbours.similarity import SimilarityConfig

K, RESCORED = 50, 100
ROUNDS = 5
SMALL = 10_000
PLAIN = SimilarityConfig(shrinkage=0, max_jaccard=1)
GOALS = {  # users: over the best peer; with few users lists are short, and heads save nothing
    10_000: {"exact": 1.0},
    100_000: {"exact": 1.3, "inexact": 3.3},
    1_000_000: {"exact": 1.8, "inexact": 12.0},
}
RECALL_GOAL, P99_GOAL = 0.95, 2.0


class Index:
    """Our postings with one way to search them."""

    def __init__(self, postings: Postings) -> None:
        self.postings = postings
        self.alive = np.ones(len(postings), dtype=np.bool_)

    def find(self, probes: IntArray, config: SimilarityConfig, num_rescored: int = 0) -> Found:
        """The 50 best users of each probe, itself among them."""
        nobody = np.full(len(probes), -1)
        rows, fields = self.postings.rows.take(probes), self.postings.fields[probes]
        return self.postings.search(
            rows, fields, nobody, K, config, alive=self.alive, num_rescored=num_rescored
        )

    def read(self, probes: IntArray) -> int:
        """The floor."""
        entries = self.postings.rows.take(probes).entries
        return read_postings(self.postings.packed, self.postings.head, self.postings.tail, entries)


def inverted(profiles: csr_array) -> Postings:
    """Postings of profiles over items alone; the fields of all users are the same."""
    root = np.float32(np.sqrt(0.5))
    rows = Rows(
        profiles.indptr.astype(np.int64),
        profiles.indices.astype(np.int32),
        profiles.data.astype(np.float32) * root,
    )
    fields = np.ones(profiles.shape[0], dtype=np.uint8)
    head_size = default_head_size(len(rows))
    return build_postings(rows, fields, profiles.shape[1], head_size)


def timed(call: Callable[[], Any]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def per_query(methods: dict[str, Callable[[IntArray], Any]], probes: IntArray) -> dict[str, float]:
    """Milliseconds per query in batches, medians of rounds in which all take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(ROUNDS):
        for name, answer in methods.items():
            seconds[name].append(timed(lambda a=answer: a(probes)))
    return {
        f"{name}_ms": 1e3 * statistics.median(found) / len(probes)
        for name, found in seconds.items()
    }


def latencies(methods: dict[str, Callable[[IntArray], Any]], probes: IntArray) -> dict[str, float]:
    """p50 and p99 of single calls, in milliseconds."""
    # One method after the other: a peer that reads gigabytes would leave the next a cold cache.
    found: dict[str, list[float]] = {
        name: [1e3 * timed(lambda a=answer, p=probe: a(np.array([p]))) for probe in probes]
        for name, answer in methods.items()
    }
    return {
        f"{name}_{point}_ms": float(np.percentile(times, int(point[1:])))
        for name, times in found.items()
        for point in ("p50", "p99")
    }


def check(exact: Found, others: dict[str, Answer], probes: IntArray) -> None:
    """Every method must find the same similarities, or it does another job."""
    for name, answer in others.items():
        same = np.allclose(exact.similarity, answer(probes), rtol=1e-4, atol=1e-6)
        assert same, f"{name} finds other users"


def figures_of(num_users: int, num_probes: int, num_single: int) -> dict[str, float]:
    """All figures of one number of users."""
    profiles = make_profiles(num_users)
    inverted(make_profiles(1000))  # compiles
    started = time.perf_counter()
    index = Index(inverted(profiles))
    build = time.perf_counter() - started
    rng = np.random.default_rng(1)
    # Where it takes no time the batch is the whole population, as libraries like it best.
    size = num_users if num_users <= SMALL else min(num_probes, num_users)
    probes = rng.permutation(num_users)[:size]
    others = peers(profiles, K)
    exact, fast = index.find(probes, PLAIN), index.find(probes, PLAIN, RESCORED)
    check(exact, others, probes)
    recall = np.mean([np.isin(a, b).mean() for a, b in zip(exact.user, fast.user, strict=True)])
    ours: dict[str, Callable[[IntArray], Any]] = {
        "exact": lambda p: index.find(p, PLAIN),
        "inexact": lambda p: index.find(p, PLAIN, RESCORED),
        "exact_default_settings": lambda p: index.find(p, SimilarityConfig()),
        "inexact_default_settings": lambda p: index.find(p, SimilarityConfig(), RESCORED),
    }
    figures = {
        "users": num_users,
        "entries_per_user": profiles.nnz / num_users,
        "build_seconds": build,
        "bytes_per_user": index.postings.num_bytes / num_users,
        "recall_at_50": float(recall),
        **per_query({**ours, **others, "floor": index.read}, probes),
        **latencies({**ours, **others}, rng.choice(num_users, size=num_single)),
    }
    best = min(figures[f"{name}_ms"] for name in others)
    figures["best_peer_ms"] = best
    for name in ("exact", "inexact"):
        figures[f"{name}_over_best_peer"] = best / figures[f"{name}_ms"]
        figures[f"{name}_whole_population_users_per_second"] = 1e3 / figures[f"{name}_ms"]
    figures["exact_over_floor"] = figures["exact_ms"] / figures["floor_ms"]
    return figures


def goals_of(figures: dict[str, float]) -> list[dict[str, Any]]:
    """The goals for this number of users; other numbers have none."""
    users = int(figures["users"])
    if users not in GOALS:
        return []
    goals = [
        goal(f"{name} over best peer", figures[f"{name}_over_best_peer"], asked, at_least=True)
        for name, asked in GOALS[users].items()
    ]
    goals.append(goal("recall@50 inexact", figures["recall_at_50"], RECALL_GOAL, at_least=True))
    if users == 1_000_000:
        goals.append(goal("p99 inexact, ms", figures["inexact_p99_ms"], P99_GOAL))
    return goals


def main() -> None:
    """Measure, print a table or one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--json", action="store_true", help="last line: one JSON object")
    parser.add_argument("--probes", type=int, default=1000, help="users asked about in a batch")
    parser.add_argument("--single", type=int, default=1000, help="users asked about one by one")
    given = parser.parse_args()
    figures = figures_of(given.users, given.probes, given.single)
    goals = goals_of(figures)
    if given.json:
        print_line("similar_users", figures, goals)
        return
    for name, value in figures.items():
        print(f"{name:<48} {value:12.4f}")
    for each in goals:
        print(f"goal: {each['name']} {each['value']:.3f} (asked {each['goal']}): "
              f"{'met' if each['met'] else 'missed'}")  # fmt: skip


if __name__ == "__main__":
    main()
