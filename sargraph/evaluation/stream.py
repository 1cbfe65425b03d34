"""Whole catalogues ranked as a stream of blocks, each counted in one pass and forgotten."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sargraph.core.errors import BadInputError
from sargraph.core.progress import progress
from sargraph.core.ragged import Ragged
from sargraph.core.rng import make_rng
from sargraph.core.scorer import Requests, Scorer, VectorScorer
from sargraph.core.types import NO_ROW, DoubleArray, FloatArray, IntArray
from sargraph.evaluation.candidates import check_targets, pairs_of
from sargraph.evaluation.ranks import Ranks
from sargraph.evaluation.stream_kernel import rank_rows
from sargraph.evaluation.stream_vectors import products

_SHARED = 256
"""Requests that share one order of the catalogue."""

Block = tuple[slice, FloatArray | DoubleArray, IntArray, IntArray]
"""Rows of requests, their scores, the item of each column, the column of each item."""


def rank_catalogue(
    scorer: Scorer,
    requests: Requests,
    num_items: int,
    *,
    removed: Ragged,
    k: int,
    seed: int,
    max_cells: int,
) -> tuple[Ranks, IntArray]:
    """Rank each target in the whole catalogue; also the `k` best items, int64 [n, k], -1 = none.

    `removed`: items that are no candidates of each request (the target always is one). A
    `VectorScorer` is asked for vectors and ranked by matrix products of a fixed number of rows;
    others score `max_cells` cells at once, in an order of the catalogue that changes every 256
    requests. Nothing drawn depends on `max_cells`.
    Raises BadInputError: scores or vectors of another shape or kind, rows outside the catalogue.
    Cost: O(n items dim) or the scorer's, and O(n items) to count. Memory: one block of scores.
    """
    check_targets(requests, num_items)
    gone = _sorted(removed, num_items)
    salts = make_rng(seed, "ties").integers(2**64, size=len(requests), dtype=np.uint64)
    counts = np.empty((len(requests), 4), dtype=np.int64)
    top = np.full((len(requests), k), NO_ROW, dtype=np.int64)
    if isinstance(scorer, VectorScorer):
        blocks = _products(scorer, requests, num_items)
    else:
        blocks = _scored(scorer, requests, num_items, seed, max_cells)
    for rows, scores, items, places in blocks:
        rank_rows(
            scores, items, places, requests.target[rows], gone.values,
            gone.offsets[rows.start : rows.stop + 1], salts[rows], counts[rows], top[rows],
        )  # fmt: skip
    return Ranks(*counts.T.copy()), top


def _products(scorer: VectorScorer, requests: Requests, num_items: int) -> Iterator[Block]:
    """Scores of vectors, the catalogue in its own order."""
    items = np.arange(num_items, dtype=np.int64)
    for rows, scores in products(scorer, requests, num_items):
        yield rows, scores, items, items


def _scored(
    scorer: Scorer, requests: Requests, num_items: int, seed: int, max_cells: int
) -> Iterator[Block]:
    """Scores of any scorer, which sees the catalogue in random orders."""
    rng = make_rng(seed, "columns")
    height = max(1, max_cells // max(num_items, 1))
    starts = range(0, len(requests), _SHARED)
    for start in progress(starts, f"evaluating {scorer.name}", len(starts)):
        order = rng.permutation(num_items).astype(np.int64)
        places = np.empty(num_items, dtype=np.int64)
        places[order] = np.arange(num_items)
        stop = min(start + _SHARED, len(requests))
        for first in range(start, stop, height):
            rows = slice(first, min(first + height, stop))
            chunk = requests.take(np.arange(rows.start, rows.stop))
            shared = np.broadcast_to(order, (len(chunk), num_items))
            yield rows, scores_of(scorer, chunk, shared), order, places


def scores_of(scorer: Scorer, requests: Requests, candidates: IntArray) -> FloatArray | DoubleArray:
    """The scorer's answer, float32 or float64 of the shape of `candidates`, or BadInputError."""
    scores: FloatArray = np.asarray(scorer.score(requests, candidates))
    if scores.shape != candidates.shape or scores.dtype.kind != "f":
        raise BadInputError(
            f"scorer '{scorer.name}' gave {scores.dtype} scores of shape {scores.shape}, expected "
            f"float32 of shape {candidates.shape}; mend its score method"
        )
    if scores.dtype == np.float32:
        return np.ascontiguousarray(scores, dtype=np.float32)
    return np.ascontiguousarray(scores, dtype=np.float64)


def _sorted(removed: Ragged, num_items: int) -> Ragged:
    """Distinct ascending items of each row. Raises BadInputError for rows outside the catalogue."""
    values = removed.values
    if len(values) and (values.min() < 0 or values.max() >= num_items):
        raise BadInputError(
            f"got seen items from {values.min()} to {values.max()}, expected item rows below "
            f"{num_items}; make them from the events that hold the catalogue"
        )
    pairs = pairs_of(removed, num_items)
    if not np.all(pairs[1:] > pairs[:-1]):
        pairs = np.unique(pairs)
    return Ragged.group(pairs // max(num_items, 1), pairs % max(num_items, 1), len(removed))
