"""ItemKNN: items that the same people chose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array, vstack

from sargraph.core.config import Config
from sargraph.core.scorer import Requests
from sargraph.core.types import DoubleArray, FloatArray, IntArray
from sargraph.evaluation.baselines.blocks import masked, score_by_rows
from sargraph.evaluation.baselines.choices import ChosenBefore, Source, choice_counts
from sargraph.evaluation.term_matrix import Sparse, inverse
from sargraph.events.events import Events
from sargraph.events.split import Split

_BLOCK_PRODUCTS = 1 << 23
"""Products of co-chosen items that are formed at once."""


class ItemKNNConfig(Config):
    """Settings of ItemKNN."""

    k: int = Field(100, ge=1)
    """Neighbours kept of each item."""
    shrinkage: float = Field(30.0, ge=0)
    """Added to the denominator of the cosine: trusts items less that few people chose."""
    weighting: Literal["binary", "tf", "idf", "tf-idf"] = "binary"
    """How a choice counts: once; by 1 + ln(times); by ln(1 + items / items of the user); both."""
    source: Source = "both"
    """Where the choices were made, in training and in histories."""
    max_history: int | None = Field(None, ge=1)
    """Latest events of a history that are read; none = all."""
    half_life: float | None = Field(None, gt=0)
    """Events after which an item of the history counts half; none = all count the same."""


class ItemKNN:
    """score(i) = sum over items j of the history of w_j sim(j, i), j != i.

    sim(j, i) = <c_j, c_i> / (|c_j| |c_i| + shrinkage), with c_i the column of item i in the
    weighted user-item matrix of the training choices; each j keeps its k largest sim(j, .), ties
    by row. w_j = 1 unless a half-life is set. `similarity` [items, items] holds them by j.
    Cost: sum over users of (items chosen)^2, in blocks; memory items x k, and the block.
    Source: Sarwar et al. (WWW 2001); Deshpande and Karypis, Item-Based Top-N Recommendation
    Algorithms (TOIS 2004), which keeps neighbours per item of the history as here.
    """

    name = "ItemKNN"

    def __init__(self, events: Events, split: Split, config: ItemKNNConfig | None = None) -> None:
        self.config = config = config or ItemKNNConfig()
        counts = choice_counts(events, split.is_train, config.source)
        weights = weighted(counts, config.weighting)
        self.similarity = item_neighbours(weights, config.k, config.shrinkage)
        self._before = ChosenBefore(events, split, config.source, config.max_history)

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Sums of similarities to the history, float32 [n, c]; 0 without a history."""
        half_life = self.config.half_life
        scores = score_by_rows(
            requests,
            candidates,
            self.similarity.shape[0],
            lambda asked: self._before.items(asked, half_life) @ self.similarity,
        )
        return masked(scores, candidates)


def weighted(counts: Sparse, weighting: str) -> Sparse:
    """Counts [users, items] as the weights of choices; see `ItemKNNConfig.weighting`."""
    result = counts.copy()
    result.sum_duplicates()
    is_tf, is_idf = weighting in ("tf", "tf-idf"), weighting in ("idf", "tf-idf")
    result.data = 1 + np.log(result.data) if is_tf else np.ones(len(result.data))
    if is_idf:
        chosen = np.diff(result.indptr)
        idf = np.log1p(counts.shape[1] * inverse(chosen.astype(np.float64)))
        result.data = result.data * np.repeat(idf, chosen)
    return result


def item_neighbours(weights: Sparse, k: int, shrinkage: float) -> Sparse:
    """The k largest shrunk cosines of each item (column of `weights`), [items, items].

    Only similarities above 0 are kept, none of an item to itself; ties go to the lower row.
    """
    by_item: Sparse = weights.T.tocsr()
    norms: DoubleArray = np.sqrt(by_item.multiply(by_item).sum(axis=1))
    parts = [
        _best_of_block(by_item[rows] @ weights, rows.start, norms, k, shrinkage)
        for rows in _item_blocks(by_item, np.diff(weights.indptr))
    ]
    return csr_array(vstack(parts)) if parts else csr_array((0, 0))


def _item_blocks(by_item: Sparse, chosen: IntArray) -> Iterator[slice]:
    """Consecutive items whose products with all others are not too many at once."""
    cost = np.append(0, np.cumsum(chosen[by_item.indices]))[by_item.indptr]
    start, last = 0, by_item.shape[0]
    while start < last:
        end = int(np.searchsorted(cost, cost[start] + _BLOCK_PRODUCTS, side="right")) - 1
        end = min(max(end, start + 1), last)
        yield slice(start, end)
        start = end


def _best_of_block(dots: Sparse, start: int, norms: DoubleArray, k: int, shrink: float) -> Sparse:
    """The k best similarities per row; row r of `dots` belongs to item `start + r`."""
    row = np.repeat(np.arange(dots.shape[0]), np.diff(dots.indptr))
    keep = (dots.indices != row + start) & (dots.data > 0)
    row, column, dot = row[keep], dots.indices[keep], dots.data[keep]
    similarity = dot / (norms[row + start] * norms[column] + shrink)
    order = np.lexsort((column, -similarity, row))
    first = np.searchsorted(row[order], np.arange(dots.shape[0]))
    order = order[np.arange(len(order)) - first[row[order]] < k]
    found = csr_array((similarity[order], (row[order], column[order])), shape=dots.shape)
    found.sort_indices()
    return found
