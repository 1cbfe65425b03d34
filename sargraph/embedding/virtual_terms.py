"""The words of a virtual query: which terms a demand vector names, and how surely."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sargraph.core.types import NO_ROW, BoolArray, FloatArray, IntArray
from sargraph.embedding.embeddings import Embeddings, unit_rows
from sargraph.embedding.model import embedding_model

_BLOCK = 1 << 24
"""Scores held at a time."""


def nearest_rows(
    probes: FloatArray, table: FloatArray, allowed: BoolArray, k: int
) -> tuple[IntArray, FloatArray]:
    """The k allowed rows nearest to each probe by cosine, int64 and float32 [probes, k].

    Best first, ties by row; -1 and -inf where fewer than k rows are allowed.
    Cost: O(probes · rows · dim), in blocks.
    """
    return _best_rows(unit_rows(probes), unit_rows(table), allowed, k)


def nearest_terms(
    embeddings: Embeddings, demand: FloatArray, allowed: BoolArray, k: int
) -> IntArray:
    """The k allowed terms that each demand vector names, int64 [n, k], best first, -1 pads.

    By the inner product, where the model learned to name words by it (`naming_weight`), otherwise
    by the cosine.
    """
    if embeddings.config.get("naming_weight", 0) > 0:
        return _best_rows(demand, embeddings.vectors("term"), allowed, k)[0]
    return nearest_rows(demand, embeddings.vectors("term"), allowed, k)[0]


def searched_terms(embeddings: Embeddings, queries: IntArray) -> BoolArray:
    """True for the terms of the given queries, bool [terms]."""
    found = np.zeros(len(embeddings.vectors("term")), dtype=np.bool_)
    found[embeddings.query_terms.take(queries).values] = True
    return found


def named_terms(
    embeddings: Embeddings,
    user: IntArray,
    item: IntArray,
    time: IntArray,
    k: int,
    allowed: BoolArray | None = None,
) -> IntArray:
    """The k words of the virtual query of each (user, item) at its time, int64 [n, k], best first.

    `allowed` bool [terms]: the words that may be named; all by default.
    """
    demand = embedding_model(embeddings.model).demand_from(embeddings, user, item, time)
    if allowed is None:
        allowed = np.ones(len(embeddings.vectors("term")), dtype=np.bool_)
    return nearest_terms(embeddings, demand, allowed, k)


def _best_rows(
    probes: FloatArray, table: FloatArray, allowed: BoolArray, k: int
) -> tuple[IntArray, FloatArray]:
    """The k allowed rows of the largest inner products, ties by row."""
    rows = np.flatnonzero(allowed)
    width = min(k, len(rows))
    found = np.full((len(probes), k), NO_ROW, dtype=np.int64)
    best = np.full((len(probes), k), -np.inf, dtype=np.float32)
    others = torch.from_numpy(np.ascontiguousarray(table[rows])).t()
    step = max(1, _BLOCK // max(1, len(rows)))
    for start in range(0, len(probes), step):
        block: Tensor = torch.from_numpy(probes[start : start + step]) @ others
        place = torch.sort(block.topk(width, dim=1).indices, dim=1).values
        score, order = block.gather(1, place).sort(dim=1, descending=True, stable=True)
        found[start : start + step, :width] = rows[place.gather(1, order).numpy()]
        best[start : start + step, :width] = score.numpy()
    return found, best
