"""Naive SASRec in NumPy: one slot, one head and one item at a time.

Weights are the parameters of our module as arrays by name, so that only the mathematics is
written twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
Weights = Mapping[str, Array]


def norm(w: Weights, name: str, x: Array) -> Array:
    """Layer norm of one vector."""
    scaled = (x - x.mean()) / math.sqrt(float(((x - x.mean()) ** 2).mean()) + 1e-5)
    return np.asarray(scaled * w[f"{name}.weight"] + w[f"{name}.bias"])


def gelu(x: Array) -> Array:
    """x Phi(x), with the exact normal distribution function."""
    return np.array([v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x])


def attend(w: Weights, name: str, heads: int, query: Array, seen: Sequence[Array]) -> Array:
    """Multi-head attention of one slot over the slots it sees (itself among them)."""
    dim = len(query)
    width = dim // heads
    stacked, bias = w[f"{name}.in_proj_weight"], w[f"{name}.in_proj_bias"]

    def project(part: int, x: Array) -> Array:
        rows = slice(part * dim, (part + 1) * dim)
        return np.asarray(stacked[rows] @ x + bias[rows])

    mixed = []
    for head in range(heads):
        columns = slice(head * width, (head + 1) * width)
        q = project(0, query)[columns]
        scores = [float(q @ project(1, x)[columns]) / math.sqrt(width) for x in seen]
        shares = [math.exp(s - max(scores)) for s in scores]
        total = sum(shares)
        values = [project(2, x)[columns] * s / total for x, s in zip(seen, shares, strict=True)]
        mixed.append(np.sum(values, axis=0))
    return np.asarray(
        w[f"{name}.out_proj.weight"] @ np.concatenate(mixed) + w[f"{name}.out_proj.bias"]
    )


def states(w: Weights, items: Sequence[int], num_layers: int, heads: int) -> list[Array]:
    """The state after each item of one history, oldest first."""
    xs = [
        norm(w, "norm", w["item_table.weight"][item] + w["position_table.weight"][slot])
        for slot, item in enumerate(items)
    ]
    for layer in range(num_layers):
        name = f"layers.{layer}"
        done = []
        for slot, x in enumerate(xs):
            h = norm(
                w, f"{name}.norm1", x + attend(w, f"{name}.attention", heads, x, xs[: slot + 1])
            )
            inner = gelu(
                w[f"{name}.feed_forward.linear1.weight"] @ h
                + w[f"{name}.feed_forward.linear1.bias"]
            )
            out = (
                w[f"{name}.feed_forward.linear2.weight"] @ inner
                + w[f"{name}.feed_forward.linear2.bias"]
            )
            done.append(norm(w, f"{name}.norm2", h + out))
        xs = done
    return xs


def softmax_loss(state: Array, items: Array, target: int) -> float:
    """-log softmax over all items, one product at a time."""
    scores = [float(state @ item) for item in items]
    highest = max(scores)
    total = sum(math.exp(score - highest) for score in scores)
    return math.log(total) + highest - scores[target]
