"""The least that a step of UDITSR can cost: its products and its tanh, at this machine's rates."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from uditsr_data import DIM, ITEM_TERMS, USER_TERMS, World

ROWS = 1024
"""Rows of a product at a time, as in the fast path."""


@dataclass(frozen=True)
class Counts:
    """GEMM FLOPs and tanh evaluations of one step."""

    flops: float
    tanh: float


def engineered(world: World) -> Counts:
    """What the engineered form computes, forward once and backward twice, nothing again.

    With d = 100, per unique recommendation pair: c W1c 2 d 2d, W2 2 (2d)(2d), the attention
    2 · 2 t d over t words. Per user with a recommendation edge: K's and W1's part of e_u,
    2 d d + 2 d 2d. Per word: one table of K per place of a user's words, 2 s d d, and W1's part,
    2 d 2d. Per item: W1's part 2 d 2d. Per node: W3 2 (2d) d. tanh: 2 · 2d per pair.
    """
    d, edges = DIM, world.edges
    users, items, terms = world.sizes
    pairs, asking = len(edges.pair_item), len(torch.unique(edges.pair_context))
    forward = (
        pairs * (4 * d * d + 8 * d * d + 4 * ITEM_TERMS * d)
        + asking * 6 * d * d
        + terms * (2 * USER_TERMS * d * d + 4 * d * d)
        + items * 4 * d * d
        + (users + items) * 4 * d * d
    )
    return Counts(flops=3.0 * forward, tanh=float(pairs * 4 * d))


def rates(seconds: float = 1.0) -> tuple[float, float]:
    """GEMM FLOP and tanh evaluations per CPU second, at the shapes of the fast path.

    The mean over the products of a chunk, forward and backward, weighed by their FLOPs.
    """
    d = DIM
    shapes = [(ROWS, d, 2 * d), (ROWS, 2 * d, 2 * d), (ROWS, 2 * d, d), (2 * d, ROWS, 2 * d),
              (2 * d, ROWS, d)]  # fmt: skip
    weights = [1.0, 4.0, 1.0, 2.0, 1.0]
    spent = 0.0
    for (m, k, n), weight in zip(shapes, weights, strict=True):
        left, right, out = torch.randn(m, k), torch.randn(k, n), torch.empty(m, n)
        spent += weight / (2.0 * m * k * n / _seconds(_product(left, right, out), seconds / 8))
    values = torch.randn(ROWS, 2 * d)
    target = torch.empty_like(values)
    tanh = values.numel() / _seconds(lambda: torch.tanh(values, out=target), seconds / 8)
    return sum(weights) / spent, tanh


def _product(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> Callable[[], object]:
    return lambda: torch.mm(left, right, out=out)


def _seconds(work: Callable[[], object], budget: float) -> float:
    """CPU seconds of one call, the mean over about `budget` seconds of calls."""
    work()
    calls, start = 0, time.process_time()
    while time.process_time() - start < budget:
        for _ in range(20):
            work()
        calls += 20
    return (time.process_time() - start) / calls
