"""Term-set match: how much of the query and of the item's words is the same."""

from __future__ import annotations

import numpy as np

from sargraph.core.scorer import Requests
from sargraph.core.types import BoolArray, DoubleArray, FloatArray, IntArray
from sargraph.evaluation.baselines.blocks import blocks, masked
from sargraph.evaluation.term_matrix import Sparse, binary, cells, clicks_by_term, term_sets
from sargraph.events.events import Events


class TermMatch:
    """Overlap of the query's terms with the item's: score(i) = |T(q) & T(i)| / |T(q) | T(i)|.

    T(i) holds the terms of the item's text and, unless `clicked` is False, of the training queries
    that led to it. Ties are left as ties. On queries derived from item attributes this is the
    figure to beat.
    """

    name = "term match"

    def __init__(self, events: Events, is_train: BoolArray, clicked: bool = True) -> None:
        items: Sparse = term_sets(events.item_terms, len(events.terms))[:-1]
        if clicked:
            items = binary(items + clicks_by_term(events, is_train).T.tocsr())
        self._by_term: Sparse = items.T.tocsr()
        self._queries = term_sets(events.query_terms, len(events.terms))
        self._sizes: DoubleArray = items.sum(axis=1)

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Jaccard overlap of the term sets, float32 [n, c]; 0 without any term."""
        scores = np.zeros(candidates.shape)
        for block in blocks(len(requests), len(self._sizes)):
            queries = self._queries[requests.query[block]]
            overlap = cells(queries @ self._by_term, candidates[block])
            union = queries.sum(axis=1)[:, None] + self._sizes[candidates[block]] - overlap
            np.divide(overlap, union, out=scores[block], where=union > 0)
        return masked(scores, candidates)
