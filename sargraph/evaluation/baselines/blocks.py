"""Scores block by block: one matrix row per request, read at the candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, DoubleArray, FloatArray, IntArray
from sargraph.evaluation.term_matrix import Sparse, cells

_BLOCK_CELLS = 1 << 22
_MAX_BLOCK = 512


def masked(scores: DoubleArray | FloatArray, candidates: IntArray) -> FloatArray:
    """The scores as float32, with -inf for padding."""
    return np.where(candidates == NO_ROW, -np.inf, scores).astype(np.float32)


def blocks(num_requests: int, num_items: int) -> Iterator[slice]:
    """Consecutive requests, at most so many that requests x items stays small."""
    height = max(1, min(_MAX_BLOCK, _BLOCK_CELLS // max(num_items, 1)))
    return (slice(start, start + height) for start in range(0, num_requests, height))


def score_by_rows(
    requests: Requests,
    candidates: IntArray,
    num_items: int,
    rows_of: Callable[[Requests], Sparse],
) -> DoubleArray:
    """Cells of `rows_of(requests)` [n, items] at the candidates, float64 [n, c]; 0 for padding."""
    scores = np.zeros(candidates.shape)
    everything = np.arange(len(requests))
    for block in blocks(len(requests), num_items):
        found = rows_of(requests.take(everything[block]))
        scores[block] = cells(found, candidates[block])
    return scores


def score_by_vectors(vectors: FloatArray, items: FloatArray, candidates: IntArray) -> FloatArray:
    """<vector of request r, vector of candidate c>, float32 [n, c]; -inf for padding.

    `vectors` [n, dim], `items` [items, dim]. Candidates shared by all requests (a view of stride
    0, as in a full ranking) cost one matrix product, others a gather in blocks.
    """
    if candidates.size == 0:
        return np.zeros(candidates.shape, dtype=np.float32)
    if candidates.strides[0] == 0:
        return masked(vectors @ items[candidates[0]].T, candidates)
    scores = np.empty(candidates.shape, dtype=np.float32)
    for block in blocks(len(vectors), candidates.shape[1] * vectors.shape[1]):
        scores[block] = (items[candidates[block]] @ vectors[block, :, None])[:, :, 0]
    return masked(scores, candidates)
