"""p(item | term): what people chose after typing the same words."""

from __future__ import annotations

import numpy as np

from sargraph.core.scorer import Requests
from sargraph.core.types import BoolArray, DoubleArray, FloatArray, IntArray
from sargraph.evaluation.baselines.blocks import masked, score_by_rows
from sargraph.evaluation.baselines.popularity import Popularity
from sargraph.evaluation.term_matrix import clicks_by_term, inverse, scale_rows, term_sets
from sargraph.events.events import Events


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
        scores = score_by_rows(
            requests,
            candidates,
            len(self._share),
            lambda asked: self._queries[asked.query] @ self._item_given_term,
        )
        return masked(
            (1 - self._backoff) * scores + self._backoff * self._share[candidates], candidates
        )


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
