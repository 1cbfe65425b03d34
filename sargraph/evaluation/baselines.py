"""Baselines that stand beside every figure: popularity and the words of the query.

They are scorers that learn by counting training events. `is_train` (bool [n events], such as
`Split.is_train`) says which. A candidate of -1 is padding and scores -inf.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, BoolArray, DoubleArray, FloatArray, IntArray
from sargraph.evaluation.term_matrix import (
    Sparse,
    binary,
    cells,
    clicks_by_term,
    inverse,
    scale_rows,
    term_sets,
)
from sargraph.events.events import Events

_BLOCK = 512


class Popularity:
    """score(i) = number of training events in which someone chose item i.

    `source` says where the choices are counted. `counts` int64 [items].
    """

    name = "popularity"

    def __init__(
        self,
        events: Events,
        is_train: BoolArray,
        source: Literal["search", "recommend", "both"] = "both",
    ) -> None:
        chosen = is_train & events.is_positive
        if source != "both":
            chosen &= events.is_search if source == "search" else events.is_recommend
        self.counts: IntArray = np.bincount(events.item[chosen], minlength=len(events.items))

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Counts of the candidates, float32 [n, c]; the requests do not matter."""
        return _masked(self.counts[candidates].astype(np.float64), candidates)


class TermLexical:
    """p(item | term) from training search clicks, mixed over the terms of the query.

    score(i) = (1 - backoff) / |q| * sum over terms t of q of n(t, i) / n(t)  +  backoff * p(i)

    with n(t, i) the training search clicks on i whose query holds t, n(t) their sum over items,
    |q| the number of distinct terms, and p(i) item i's share of all training choices (add-one
    smoothed). Terms never clicked give nothing; a request without a query gets p(i) alone.
    """

    name = "p(item | term)"

    def __init__(self, events: Events, is_train: BoolArray, backoff: float = 0.01) -> None:
        counts = clicks_by_term(events, is_train)
        self._item_given_term = scale_rows(counts, inverse(counts.sum(axis=1)))
        queries = term_sets(events.query_terms, len(events.terms))
        self._queries = scale_rows(queries, inverse(queries.sum(axis=1)))
        smoothed = Popularity(events, is_train).counts + 1.0
        self._share: DoubleArray = smoothed / smoothed.sum()
        self._backoff = backoff

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Smoothed p(item | terms of the query), float32 [n, c]."""
        scores = self._backoff * self._share[candidates]
        for start in range(0, len(requests), _BLOCK):
            rows = slice(start, start + _BLOCK)
            found = self._queries[requests.query[rows]] @ self._item_given_term
            scores[rows] += (1 - self._backoff) * cells(found, candidates[rows])
        return _masked(scores, candidates)


class TermMatch:
    """Overlap of the query's terms with the item's: score(i) = |T(q) & T(i)| / |T(q) | T(i)|.

    T(i) holds the terms of the item's text and of the training queries that led to it. Ties are
    left as ties. On queries derived from item attributes this is the figure to beat.
    """

    name = "term match"

    def __init__(self, events: Events, is_train: BoolArray) -> None:
        texts = term_sets(events.item_terms, len(events.terms))[:-1]
        self._items: Sparse = binary(texts + clicks_by_term(events, is_train).T.tocsr())
        self._queries = term_sets(events.query_terms, len(events.terms))
        self._sizes: DoubleArray = self._items.sum(axis=1)

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Jaccard overlap of the term sets, float32 [n, c]; 0 without any term."""
        scores = np.zeros(candidates.shape)
        by_term = self._items.T.tocsr()
        for start in range(0, len(requests), _BLOCK):
            rows = slice(start, start + _BLOCK)
            queries = self._queries[requests.query[rows]]
            overlap = cells(queries @ by_term, candidates[rows])
            union = queries.sum(axis=1)[:, None] + self._sizes[candidates[rows]] - overlap
            np.divide(overlap, union, out=scores[rows], where=union > 0)
        return _masked(scores, candidates)


class SourceTerms:
    """The stronger simple answer in each source: p(item | term) in search, popularity elsewhere.

    Requests with a query are scored by `TermLexical`, the others by `Popularity` of
    recommendation, so that one baseline stands beside a model that answers both.
    """

    name = "p(item | term) or popularity"

    def __init__(self, events: Events, is_train: BoolArray, backoff: float = 0.01) -> None:
        self._search = TermLexical(events, is_train, backoff)
        self._recommend = Popularity(events, is_train, "recommend")

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Scores by the scorer of each request's source, float32 [n, c]."""
        scores = self._recommend.score(requests, candidates)
        rows = np.flatnonzero(requests.is_search)
        scores[rows] = self._search.score(requests.take(rows), candidates[rows])
        return scores


def _masked(scores: DoubleArray, candidates: IntArray) -> FloatArray:
    """The scores as float32, with -inf for padding."""
    return np.where(candidates == NO_ROW, -np.inf, scores).astype(np.float32)
