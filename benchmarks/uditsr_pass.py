"""How long is a pass of UDITSR over a large graph by default, and how long by full steps of 256?

    python benchmarks/uditsr_pass.py [--json] [--edges 300000] [--dim 100]

A simulated log of about so many edges. Two passes of the default strategy (`UDITSRTraining`: stale
propagation, steps of 1,024), the second one measured: batches, losses, backward, AdamW. A pass of
exact steps of 256 is their number times the median of five of them: too long to wait for. Figures
are CPU seconds on one thread.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import torch
from machine import print_line

from sargraph.embedding.uditsr_config import UDITSRTraining
from sargraph.embedding.uditsr_model import UDITSRModel
from sargraph.embedding.uditsr_stale import WindowBatch
from sargraph.events.ingest import ingest
from sargraph.events.simulate import SimulateConfig, simulate
from sargraph.events.split import split_events
from sargraph.graph.build import build_graph
from sargraph.graph.graph import Graph

EDGES_PER_USER = 39
"""Training edges that a simulated user leaves in twenty days."""


def make_graph(edges: int) -> Graph:
    """The training graph of a simulated log."""
    users = round(edges / EDGES_PER_USER)
    with tempfile.TemporaryDirectory() as folder:
        config = SimulateConfig(num_users=users, num_days=20, num_items=5000)
        simulate(folder, config, seed=0)
        events = ingest("synthetic", Path(folder))
    return build_graph(events, split_events(events))


def seconds_of(model: UDITSRModel, batches: Iterable[WindowBatch]) -> list[float]:
    """CPU seconds of a training step on each batch."""
    optimiser = torch.optim.AdamW(
        model.module.parameters(), lr=model.config.learning_rate, weight_decay=1e-5, fused=True
    )
    spent = []
    for batch in batches:
        start = time.process_time()
        optimiser.zero_grad(set_to_none=True)
        model.step(batch)["loss"].backward()
        optimiser.step()
        spent.append(time.process_time() - start)
    return spent


def measure(graph: Graph, dim: int) -> dict[str, float]:
    """Seconds of a pass of both."""
    generator = torch.Generator().manual_seed(0)
    default = UDITSRModel.build(graph, UDITSRTraining(dim=dim), seed=0)
    passes = [seconds_of(default, default.batches(epoch, generator)) for epoch in range(2)]
    settings = UDITSRTraining(dim=dim, propagation="full", batch_size=256)
    exact = UDITSRModel.build(graph, settings, seed=0)
    step = statistics.median(seconds_of(exact, islice(exact.batches(0, generator), 6))[1:])
    edges = len(default.data.edges.user)
    return {
        "edges": float(edges),
        "default_ms_per_pass": 1e3 * sum(passes[1]),
        "exact_ms_per_step": 1e3 * step,
        "exact_ms_per_pass": 1e3 * step * -(-edges // 256),
    }


def main() -> None:
    """Measure, print a table, and with --json one line for machines."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--edges", type=int, default=300_000)
    parser.add_argument("--dim", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    figures = measure(make_graph(options.edges), options.dim)
    figures["exact_over_default"] = figures["exact_ms_per_pass"] / figures["default_ms_per_pass"]
    for name, value in figures.items():
        print(f"{name:24} {value:14,.1f}")
    if options.json:
        print_line("uditsr_pass", figures, [])


if __name__ == "__main__":
    main()
