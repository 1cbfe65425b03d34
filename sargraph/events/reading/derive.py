"""Derived queries: for logs without searches, a seeded share of the events becomes search."""

from __future__ import annotations

import numpy as np

from sargraph.core.ragged import Ragged
from sargraph.core.rng import make_rng
from sargraph.events.reading.log import Log
from sargraph.events.recipe import Derive
from sargraph.events.schema import RECOMMEND, SEARCH
from sargraph.events.text import Query


def derive_queries(
    log: Log, derive: Derive, item_terms: Ragged, term_ids: list[str], seed: int
) -> None:
    """Turn a share of the recommendation events into searches for their item's own terms.

    `item_terms` holds, for each item code, rows of `term_ids`. The event moves: no copy of it
    stays in recommendation. Each is a search of its own. Items without terms are never searched.
    The query is made from the target, so results on such events must be labelled as derived.
    """
    drawn = make_rng(seed, "events", "derive").random(len(log)) < derive.share
    # The last entry serves item code -1.
    has_terms = np.append(item_terms.lengths > 0, False)
    moved = drawn & (log["source"] == RECOMMEND) & has_terms[log["item"]]
    code_of = {query: code for code, query in enumerate(log.queries)}
    query_of = np.zeros(len(item_terms), dtype=np.int32)
    for item in np.unique(log["item"][moved]).tolist():
        query = Query(tuple(term_ids[term] for term in item_terms[item].tolist()))
        query_of[item] = code_of.setdefault(query, len(code_of))
    own_search = log["search"].max(initial=-1) + 1 + np.cumsum(moved)
    log.columns["source"] = np.where(moved, np.int8(SEARCH), log["source"])
    log.columns["query"] = np.where(moved, query_of[log["item"]], log["query"])
    log.columns["search"] = np.where(moved, own_search, log["search"])
    log.queries = list(code_of)
    log.counts["derived_searches"] = int(moved.sum())
