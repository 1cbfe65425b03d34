"""Plain loops for the attention to neighbours: one request, one token, one number at a time."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from sargraph.nn.neighbour_attention import NUM_BUCKETS, NeighbourAttention, NeighbourMemory


def attended(
    module: NeighbourAttention, z: Tensor, vectors: Tensor, memory: NeighbourMemory
) -> list[list[float]]:
    """z' of every request."""
    weights = {name: w.detach().double().numpy() for name, w in module.state_dict().items()}
    num_tokens, num_neighbours = memory.item.shape[1], memory.similarity.shape[1]
    per_neighbour = num_tokens // max(num_neighbours, 1)
    rows = []
    for query in range(len(z)):
        state = z[query].detach().double().numpy()
        asked = weights["query.weight"] @ state
        tokens, scores = [], []
        for place in range(num_tokens):
            if int(memory.item[query, place]) < 0:
                continue
            similarity = float(memory.similarity[query, place // per_neighbour])
            token = vectors[query, place].detach().double().numpy()
            token = token + weights["bucket_table"][_bucket(similarity)]
            token = token + weights["step_table"][int(memory.step[query, place]) + module.max_step]
            match = float(asked @ (weights["key.weight"] @ token)) / math.sqrt(module.dim)
            scores.append(match + float(weights["log_weight"]) * math.log(similarity))
            tokens.append(token)
        pooled = np.zeros(module.dim)
        total = sum(math.exp(score) for score in scores)
        for score, token in zip(scores, tokens, strict=True):
            pooled += math.exp(score) / total * token
        found = weights["value.weight"] @ pooled
        highest = max([0.0, *(float(s) for s in memory.similarity[query])])
        facts = [math.log(1 + float(memory.activity[query])), highest]
        seen = np.concatenate([state, found, facts])
        gate = 1 / (1 + np.exp(-(weights["gate.weight"] @ seen + weights["gate.bias"])))
        rows.append((state + gate * found).tolist())
    return rows


def _bucket(similarity: float) -> int:
    """How often 1 must be halved before it is below the similarity."""
    bucket = 0
    while bucket < NUM_BUCKETS - 1 and similarity <= 2.0 ** -(bucket + 1):
        bucket += 1
    return bucket


def contrasted(z: Tensor, vectors: Tensor, memory: NeighbourMemory, temperature: float) -> float:
    """The mean loss of the requests whose first neighbour with a token can be told."""
    firsts: dict[int, tuple[int, np.ndarray]] = {}
    per_neighbour = memory.item.shape[1] // max(memory.neighbour.shape[1], 1)
    for query in range(len(z)):
        for place in range(memory.neighbour.shape[1]):
            tokens = range(place * per_neighbour, (place + 1) * per_neighbour)
            there = [vectors[query, t].numpy() for t in tokens if int(memory.item[query, t]) >= 0]
            if there:
                firsts[query] = (int(memory.neighbour[query, place]), np.mean(there, axis=0))
                break
    losses = []
    for query, (_, mean) in firsts.items():
        state = z[query].numpy()
        alike = {int(user) for user in memory.neighbour[query]} | {int(memory.user[query])}
        others = [m for q, (user, m) in firsts.items() if q != query and user not in alike]
        logits = [_cosine(state, other) / temperature for other in [mean, *others]]
        losses.append(math.log(sum(math.exp(logit) for logit in logits)) - logits[0])
    return float(np.mean(losses)) if losses else 0.0


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / math.sqrt(float(a @ a) * float(b @ b)))
