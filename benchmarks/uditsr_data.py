"""Random logs of MT-Small's size and the two ways to train on them."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sargraph.core.rng import make_rng
from sargraph.embedding.uditsr import UDITSR, TrainingBatch, UDITSRConfig
from sargraph.embedding.uditsr_step import StepRows
from sargraph.nn.edges import TranslationEdges
from sargraph.testing.uditsr_plain import PlainUDITSR

DIM, NUM_LAYERS, BATCH = 100, 2, 256
QUERY_LENGTH, USER_TERMS, ITEM_TERMS = 3, 3, 10
SIZES = {300_000: (56_887, 4_059, 5_000), 30_000: (5_689, 406, 5_000)}
"""Users, items and words of MT-Small, and of a tenth of it."""


@dataclass(frozen=True)
class World:
    """Edges, half of them searches, with Zipf-like popular items and words."""

    edges: TranslationEdges
    user_terms: Tensor
    item_terms: Tensor
    sizes: tuple[int, int, int]

    def batch(self, step: int) -> TrainingBatch:
        """The positives and negatives of a step."""
        rng = make_rng(step, "benchmark batch")
        rows = torch.from_numpy(rng.integers(0, len(self.edges.user), BATCH))
        negative = torch.from_numpy(rng.integers(0, self.sizes[1], BATCH))
        return TrainingBatch.of_edges(self.edges, rows, negative)


def make_world(num_edges: int, seed: int = 0) -> World:
    """Draw a log of the published size for so many edges, or of the nearest one's proportions."""
    sizes = SIZES.get(num_edges) or tuple(
        max(10, round(size * num_edges / 300_000)) for size in SIZES[300_000]
    )
    rng = make_rng(seed, "benchmark uditsr")

    def popular(size: int, *shape: int) -> Tensor:
        share = 1.0 / np.arange(1, size + 1) ** 0.8
        drawn = rng.choice(size, size=shape, p=share / share.sum())
        return torch.from_numpy(rng.permutation(size)[drawn])

    users, items, terms = sizes
    user = torch.from_numpy(rng.integers(0, users, num_edges))
    is_search = torch.from_numpy(rng.random(num_edges) < 0.5)
    query = popular(terms, num_edges, QUERY_LENGTH)
    edges = TranslationEdges.build(user, popular(items, num_edges), is_search, query, sizes)
    return World(edges, popular(terms, users, USER_TERMS), popular(terms, items, ITEM_TERMS), sizes)


class Fast:
    """A training step of the library's UDITSR in parity mode."""

    def __init__(self, world: World) -> None:
        config = UDITSRConfig(dim=DIM, num_layers=NUM_LAYERS, parity=True)
        self.model = UDITSR(*world.sizes, config, world.user_terms, world.item_terms)
        self.world, self.optimiser = world, _optimiser(self.model)

    def loss(self, batch: TrainingBatch) -> Tensor:
        """Of one batch, the whole graph propagated."""
        rows = StepRows.of(batch, self.model)
        vectors = self.model.vectors_of(rows, self.world.edges)
        return self.model.losses_of(rows, *vectors).total


class Plain:
    """The same step from library layers, edge by edge."""

    def __init__(self, world: World, dim: int = DIM) -> None:
        words = world.user_terms, world.item_terms
        self.model = PlainUDITSR(world.sizes, dim, NUM_LAYERS, *words)
        self.world, self.optimiser = world, _optimiser(self.model)

    def loss(self, batch: TrainingBatch) -> Tensor:
        """Of one batch, the whole graph propagated."""
        return self.model.losses(batch, self.world.edges)["total"]


def _optimiser(model: torch.nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=1e-5, fused=True)


def timed_step(path: Fast | Plain, step: int) -> tuple[float, float]:
    """CPU and wall seconds of a step; its graph is gone when it returns."""
    cpu, wall = time.process_time(), time.perf_counter()
    path.optimiser.zero_grad(set_to_none=True)
    path.loss(path.world.batch(step)).backward()
    path.optimiser.step()
    return time.process_time() - cpu, time.perf_counter() - wall


def peak_mib() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
