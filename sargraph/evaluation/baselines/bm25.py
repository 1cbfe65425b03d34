"""BM25 over two fields of an item: its own words, and the words that led people to it."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from sargraph.core.config import Config
from sargraph.core.scorer import Requests
from sargraph.core.types import BoolArray, DoubleArray, FloatArray, IntArray
from sargraph.evaluation.baselines.blocks import masked, score_by_rows
from sargraph.evaluation.term_matrix import (
    Sparse,
    clicks_by_term,
    inverse,
    scale_rows,
    term_counts,
    term_sets,
)
from sargraph.events.events import Events


class BM25Config(Config):
    """Settings of BM25."""

    k1: float = Field(1.2, ge=0)
    """How late repeated terms stop counting; 0 = a term counts once."""
    b: float = Field(0.75, ge=0, le=1)
    """How much long fields are discounted."""
    text_weight: float = Field(1.0, ge=0)
    """Weight of the item's own terms."""
    query_weight: float = Field(1.0, ge=0)
    """Weight of the terms of the training queries that led to the item."""
    idf_floor: float = Field(0.01, ge=0)
    """Least weight of a term; the formula goes below 0 for terms in more than half the items."""


class BM25:
    """BM25 with weighted fields.

    score(i) = sum over distinct terms t of q of idf(t) f(t, i) (k1 + 1) / (k1 + f(t, i))
    f(t, i)  = sum over fields w n(t, i) / (1 - b + b length(i) / mean length)
    idf(t)   = max(idf_floor, ln((N - N_t + 1/2) / (N_t + 1/2)))

    with n(t, i) how often t stands in that field of i (in the second field: training search clicks
    on i whose query holds t, repeated words of one query counted once), mean lengths over the
    items that have the field, N items with any term and N_t those with t in a field of weight
    above 0. A request without a query, or of unknown terms only, scores 0 everywhere.
    Cost: O(terms in items) to fit; one sparse product per request.
    Source: Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009).
    """

    name = "BM25"

    def __init__(
        self, events: Events, is_train: BoolArray, config: BM25Config | None = None
    ) -> None:
        self.config = config or BM25Config()
        text = term_counts(events.item_terms, len(events.terms))[:-1].T.tocsr()
        self._weights = self._term_weights(text, clicks_by_term(events, is_train))
        self._queries = term_sets(events.query_terms, len(events.terms))

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """BM25 of the candidates for the query, float32 [n, c]."""
        scores = score_by_rows(
            requests,
            candidates,
            self._weights.shape[1],
            lambda asked: self._queries[asked.query] @ self._weights,
        )
        return masked(scores, candidates)

    def _term_weights(self, text: Sparse, clicked: Sparse) -> Sparse:
        """What one query term adds to an item's score, [terms, items]."""
        config = self.config
        counts: Sparse = config.text_weight * self._discounted(text)
        counts = counts + config.query_weight * self._discounted(clicked)
        counts.eliminate_zeros()
        counts.data = counts.data * (config.k1 + 1) / (config.k1 + counts.data)
        return scale_rows(counts, self._idf(counts))

    def _discounted(self, field: Sparse) -> Sparse:
        """A field's counts [terms, items] over their items' relative lengths."""
        lengths: DoubleArray = field.sum(axis=0)
        filled = lengths[lengths > 0]
        relative = lengths / filled.mean() if len(filled) else lengths
        shares = inverse(1 - self.config.b + self.config.b * relative)
        discounted = field.copy()
        discounted.data = discounted.data * shares[discounted.indices]
        return discounted

    def _idf(self, counts: Sparse) -> DoubleArray:
        items_with = np.diff(counts.indptr)
        num_items = len(np.unique(counts.indices))
        odds = (num_items - items_with + 0.5) / (items_with + 0.5)
        return np.maximum(self.config.idf_floor, np.log(odds))
