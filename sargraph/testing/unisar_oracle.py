"""Naive UniSAR mathematics in NumPy: one event, one pair and one candidate at a time.

Weights are the state dicts of our modules as arrays, so that only the mathematics is written twice.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

Array = np.ndarray[Any, np.dtype[np.float64]]
Weights = Mapping[str, Array]


def weights_of(module: nn.Module) -> dict[str, Array]:
    """The parameters of a module as float64 arrays by name."""
    return {name: value.detach().double().numpy() for name, value in module.named_parameters()}


@dataclass(frozen=True)
class OracleEvent:
    """One event of a history: its source ("rec" or "search"), slot there, merged rank, vector."""

    source: str
    slot: int
    rank: int
    vector: Array


def attend(w: Weights, name: str, num_heads: int, query: Array, keys: Sequence[Array]) -> Array:
    """Multi-head attention of one query over the keys it sees; zeros if it sees none."""
    dim = len(query)
    if not keys:
        return np.zeros(dim)
    weight, bias = w[f"{name}.in_proj_weight"], w[f"{name}.in_proj_bias"]
    q, k, v = (slice(part * dim, (part + 1) * dim) for part in range(3))
    width, out = dim // num_heads, np.zeros(dim)
    for head in range(num_heads):
        own = slice(head * width, (head + 1) * width)
        asked = (weight[q] @ query + bias[q])[own]
        known = [(weight[k] @ key + bias[k])[own] for key in keys]
        scores = [float(asked @ key) / math.sqrt(width) for key in known]
        shares = softmax(scores)
        for share, key in zip(shares, keys, strict=True):
            out[own] += share * (weight[v] @ key + bias[v])[own]
    return w[f"{name}.out_proj.weight"] @ out + w[f"{name}.out_proj.bias"]


def softmax(scores: Sequence[float]) -> list[float]:
    """Softmax of a list of numbers."""
    top = max(scores)
    powers = [math.exp(score - top) for score in scores]
    return [power / sum(powers) for power in powers]


def layer_norm(w: Weights, name: str, x: Array) -> Array:
    """Layer normalisation of one vector, eps 1e-5."""
    scaled = (x - x.mean()) / math.sqrt(x.var() + 1e-5)
    return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]


def feed_forward(w: Weights, name: str, x: Array) -> Array:
    """Two linear maps with a ReLU between."""
    inner = np.maximum(w[f"{name}.linear1.weight"] @ x + w[f"{name}.linear1.bias"], 0.0)
    return w[f"{name}.linear2.weight"] @ inner + w[f"{name}.linear2.bias"]


def encode(w: Weights, name: str, num_heads: int, x: Array, keys: Sequence[Array]) -> Array:
    """A post-norm encoder layer for one position."""
    x = layer_norm(w, f"{name}.norm1", x + attend(w, f"{name}.attention", num_heads, x, keys))
    return layer_norm(w, f"{name}.norm2", x + feed_forward(w, f"{name}.feed_forward", x))


def decode(
    w: Weights, name: str, num_heads: int, own: Sequence[Array], memory: Sequence[Array], at: int
) -> Array:
    """A post-norm decoder layer for position `at`, which sees every given position."""
    x = own[at]
    x = layer_norm(w, f"{name}.norm1", x + attend(w, f"{name}.self_attention", num_heads, x, own))
    crossed = attend(w, f"{name}.cross_attention", num_heads, x, memory)
    x = layer_norm(w, f"{name}.norm2", x + crossed)
    return layer_norm(w, f"{name}.norm3", x + feed_forward(w, f"{name}.feed_forward", x))


def transition(
    w: Weights, num_heads: int, events: Sequence[OracleEvent], event: OracleEvent, causal: bool
) -> tuple[Array, Array]:
    """One event read after the other source's events, and after its own source's (one layer)."""
    seen = [e for e in events if not causal or e.rank < event.rank or e is event]
    across = [_placed(w, e) for e in seen if e.source != event.source]
    within = [_slotted(w, e) for e in seen if e.source == event.source]
    return (
        encode(w, "merged_layers.0", num_heads, _placed(w, event), across),
        encode(w, f"{event.source}_layers.0", num_heads, _slotted(w, event), within),
    )


def _placed(w: Weights, event: OracleEvent) -> Array:
    return event.vector + w["merged_position.weight"][event.rank]


def _slotted(w: Weights, event: OracleEvent) -> Array:
    return event.vector + w[f"{event.source}_position.weight"][event.slot]


def pool(weight: Array, states: Sequence[Array], candidate: Array) -> Array:
    """Target attention of one candidate over the states of one history."""
    if not states:
        return np.zeros(len(candidate))
    shares = softmax([float(state @ weight @ candidate) for state in states])
    return np.sum([share * state for share, state in zip(shares, states, strict=True)], axis=0)


def history_contrast(
    weight: Array,
    temperature: float,
    first: Sequence[Sequence[Array]],
    second: Sequence[Sequence[Array]],
    user: Sequence[int] | None = None,
) -> float:
    """Loss between two readings of some histories, given as the states of their filled slots."""
    rows = [row for row in range(len(first)) if len(first[row])]
    views = [(row, np.mean(side[row], axis=0)) for side in (first, second) for row in rows]
    total = 0.0
    for i, (row, vector) in enumerate(views):
        partner = (i + len(rows)) % len(views)
        others = []
        for j, (other, candidate) in enumerate(views):
            is_same_user = user is not None and user[row] == user[other] and user[row] >= 0
            if j != i and (j == partner or not is_same_user):
                others.append(math.tanh(vector @ weight @ candidate) / temperature)
        match = math.tanh(vector @ weight @ views[partner][1]) / temperature
        total += math.log(sum(math.exp(other) for other in others)) - match
    return total / len(views) if views else 0.0


def query_item_contrast(
    weight: Array,
    temperature: float,
    pairs: Sequence[tuple[Array, Array]],
    negatives: Sequence[tuple[Sequence[Array], Sequence[Array]]],
) -> float:
    """Loss of (query, item) pairs; `negatives` holds each pair's (items, queries)."""

    def one_way(anchor: Array, partner: Array, others: Sequence[Array]) -> float:
        logits = [math.tanh(anchor @ weight @ v) / temperature for v in (partner, *others)]
        return -math.log(softmax(logits)[0])

    total = sum(
        one_way(query, item, items) + one_way(item, query, queries)
        for (query, item), (items, queries) in zip(pairs, negatives, strict=True)
    )
    return total / (2 * len(pairs))


def known_positives(
    pairs: Collection[tuple[int, int]], negatives: Sequence[int]
) -> set[tuple[int, int]]:
    """Every (left member, place of a negative) that is a pair."""
    return {(left, n) for left, right in pairs for n, row in enumerate(negatives) if row == right}


def task_logit(w: Weights, task: str, num_experts: int, num_shared: int, features: Array) -> float:
    """Logit of one candidate from its whole feature vector."""
    own = f"branches.{task}"
    names = [f"{own}.experts.{k}" for k in range(num_experts)]
    names += [f"shared.{k}" for k in range(num_shared)]
    outputs = [np.maximum(_linear(w, name, features), 0.0) for name in names]
    gate = softmax(_linear(w, f"{own}.gate", features).tolist())
    x = np.sum([g * output for g, output in zip(gate, outputs, strict=True)], axis=0)
    for part in ("tower", "head"):
        step = 0
        while f"{own}.{part}.{step}.weight" in w:
            x = np.maximum(_linear(w, f"{own}.{part}.{step}", x), 0.0)
            step += 2
    return float(_linear(w, f"{own}.out", x)[0])


def _linear(w: Weights, name: str, x: Array) -> Array:
    return w[f"{name}.weight"] @ x + w[f"{name}.bias"]
