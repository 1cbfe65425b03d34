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
