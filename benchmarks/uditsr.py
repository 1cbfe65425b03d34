"""How long is a training step of UDITSR over the whole graph, and how much memory does it take?

    python benchmarks/uditsr.py [--json] [--edges 30000|300000] [--steps N] [--plain-steps N]

Random logs of MT-Small's size (56,887 users, 4,059 items, 5,000 words; a tenth at 30,000 edges),
half of the edges searches, dim 100, two layers, steps of 256 rows: propagate, losses, backward,
AdamW, as published (parity mode). Beside it the same mathematics from library layers, one message
per edge, which passes the same published numbers (tests/parity), and the floor: the counted FLOPs
of the engineered form over the GEMM rate at those shapes, plus its tanh evaluations over their
rate. All take turns in one process on one thread; figures are medians over steps after two of
warm-up, in CPU milliseconds. Peak memory is that of a fresh process of each.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

import torch
from machine import goal, print_line
from uditsr_data import DIM, ITEM_TERMS, USER_TERMS, Fast, Plain, make_world, peak_mib, timed_step
from uditsr_floor import engineered, rates

from sargraph.testing.uditsr_plain import plain_flops

WARM_UP = 2
TIMES_FLOOR, MOST_GIB = 2.0, 1.3


def step_figures(num_edges: int, steps: int, plain_steps: int) -> dict[str, float]:
    """Milliseconds per step of both paths and of the floor, measured in turns."""
    world = make_world(num_edges)
    fast, plain = Fast(world), Plain(world)
    spent: dict[str, list[tuple[float, float]]] = {"fast": [], "plain": []}
    rate: list[tuple[float, float]] = []
    for step in range(WARM_UP + steps):
        rate.append(rates())
        spent["fast"].append(timed_step(fast, step))
        if step < WARM_UP + plain_steps:
            spent["plain"].append(timed_step(plain, step))
    counts = engineered(world)
    gemm, tanh = (statistics.median(each) for each in zip(*rate[WARM_UP:], strict=True))
    rec = int((~world.edges.is_search).sum())
    figures = {
        f"{name}_ms_{kind}": 1e3 * statistics.median(run[column] for run in runs[WARM_UP:])
        for name, runs in spent.items()
        for column, kind in enumerate(("cpu", "wall"))
        if runs[WARM_UP:]
    }
    figures |= {
        "gemm_gflop_per_second": gemm / 1e9,
        "tanh_per_second_millions": tanh / 1e6,
        "engineered_gflop": counts.flops / 1e9,
        "engineered_tanh_millions": counts.tanh / 1e6,
        "plain_gflop": plain_flops(rec, DIM, ITEM_TERMS, USER_TERMS) / 1e9,
        "floor_ms": 1e3 * (counts.flops / gemm + counts.tanh / tanh),
    }
    figures["fast_over_floor"] = figures["fast_ms_cpu"] / figures["floor_ms"]
    figures["plain_over_fast"] = figures["plain_ms_cpu"] / figures["fast_ms_cpu"]
    return figures


def peak_of(name: str, num_edges: int) -> float:
    """MiB of a fresh process that trains three steps."""
    command = [sys.executable, __file__, "--peak", name, "--edges", str(num_edges)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def train_alone(name: str, num_edges: int) -> None:
    """Three steps of one path, then the peak memory of this process."""
    world = make_world(num_edges)
    path = Fast(world) if name == "fast" else Plain(world)
    for step in range(3):
        timed_step(path, step)
    print(peak_mib())


def main() -> None:
    """Measure, print a table, and with --json one line for machines."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--edges", type=int, default=30_000)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--plain-steps", type=int, default=3)
    parser.add_argument("--peak", choices=["fast", "plain"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.peak:
        train_alone(options.peak, options.edges)
        return
    figures = {f"{name}_peak_mib": peak_of(name, options.edges) for name in ("fast", "plain")}
    figures |= step_figures(options.edges, options.steps, options.plain_steps)
    for name, value in figures.items():
        print(f"{name:28} {value:12,.2f}")
    if options.json:
        memory = figures["fast_peak_mib"] / 1024
        goals = [goal("fast_over_floor", figures["fast_over_floor"], TIMES_FLOOR),
                 goal("fast_peak_gib", memory, MOST_GIB)]  # fmt: skip
        print_line("uditsr", figures, goals if options.edges == 300_000 else [])


if __name__ == "__main__":
    main()
