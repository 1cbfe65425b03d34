"""Most clicked for the query: the answer of a platform that only counts."""

from __future__ import annotations

from sargraph.core.scorer import Requests
from sargraph.core.types import BoolArray, DoubleArray, FloatArray, IntArray
from sargraph.evaluation.baselines.blocks import masked, score_by_rows
from sargraph.evaluation.baselines.popularity import Popularity
from sargraph.evaluation.term_matrix import pair_counts, search_clicks
from sargraph.events.events import Events


class MostClicked:
    """score(i) = n(q, i) + n(i) / (1 + max n), ranked first by the clicks after the same query.

    n(q, i): training search clicks on i after exactly this query; n(i): all training choices of i,
    which only break ties, as they add less than one click. In float32 two items whose n(i) differ
    by less than 10^-7 n(q, i) max n may tie. A query never clicked, and a request without a query,
    are answered by popularity.
    """

    name = "most clicked for query"

    def __init__(self, events: Events, is_train: BoolArray) -> None:
        rows = search_clicks(events, is_train)
        # The last row stays empty and stands for "no query" (-1).
        shape = (len(events.queries) + 1, len(events.items))
        self._clicks = pair_counts(events.query[rows], events.item[rows], shape)
        counts = Popularity(events, is_train).counts
        self._share: DoubleArray = counts / (1.0 + counts.max(initial=0))

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Clicks after the exact query, popularity below one click, float32 [n, c]."""
        scores = score_by_rows(
            requests, candidates, len(self._share), lambda asked: self._clicks[asked.query]
        )
        return masked(scores + self._share[candidates], candidates)
