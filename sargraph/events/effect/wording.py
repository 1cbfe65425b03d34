"""Do the words of a query occur in what is chosen after it?"""

from __future__ import annotations

import numpy as np

from sargraph.core.types import NO_ROW, DoubleArray, IntArray
from sargraph.events.effect.null import NOTHING, Measured
from sargraph.events.events import Events

MAX_CHOICES = 5_000


def measure_wording(events: Events, num_draws: int, rng: np.random.Generator) -> Measured:
    """Mean share of a query's terms that stand in the text of the item chosen from its results.

    Null: the queries of the choices are permuted. At most 5,000 choices (a seeded sample), of
    different searches. Cost: O(draws x terms of the sampled queries x log terms of all items).
    """
    rows = np.flatnonzero(events.is_search & events.is_positive & (events.query != NO_ROW))
    has_terms = events.query_terms.lengths[events.query[rows]] > 0
    rows = rows[has_terms & (events.item_terms.lengths[events.item[rows]] > 0)]
    # One choice of each search, so that the choices can be exchanged.
    _, place = np.unique(events.session[rows], return_index=True)
    rows = np.sort(rng.permutation(rows[np.sort(place)])[:MAX_CHOICES])
    if len(rows) < 2:
        return NOTHING
    query, item = events.query[rows], events.item[rows]
    texts = _texts(events)
    value = float(shared_terms(events, query, item, texts).mean())
    null = [
        float(shared_terms(events, query[rng.permutation(len(query))], item, texts).mean())
        for _ in range(num_draws)
    ]
    return Measured(value, np.array(null), len(np.unique(events.user[rows])), len(rows))


def _texts(events: Events) -> IntArray:
    """Sorted keys item x terms + term of all item texts."""
    return np.sort(events.item_terms.row_of_value * len(events.terms) + events.item_terms.values)


def shared_terms(
    events: Events, query: IntArray, item: IntArray, texts: IntArray | None = None
) -> DoubleArray:
    """Share of each query's terms that the item's text has, float64 [n]."""
    texts = _texts(events) if texts is None else texts
    terms = events.query_terms.take(query)
    pair = terms.row_of_value
    wanted = item[pair] * len(events.terms) + terms.values
    hit = np.zeros(len(wanted), dtype=np.bool_)
    if len(texts):
        hit = texts[np.minimum(np.searchsorted(texts, wanted), len(texts) - 1)] == wanted
    return np.asarray(
        np.bincount(pair, weights=hit, minlength=len(query)) / np.maximum(terms.lengths, 1)
    )
