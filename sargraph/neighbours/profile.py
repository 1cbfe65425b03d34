"""User profiles: what each user chose and searched for, weighted by recency and rarity."""

from __future__ import annotations

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array

from sargraph.core.config import Config
from sargraph.core.types import NO_ROW, BoolArray, DoubleArray, IntArray
from sargraph.events.events import Events
from sargraph.events.searches import searches

FIELDS = ("item", "term")
"""What a profile is made of; also the names of the vocabularies."""

MS_PER_DAY = 86_400_000
DEFAULT_HALF_LIFE = {"ms": 7.0, "ordinal": 50.0, "none": 1.0}
MAX_HALF_LIVES = 500.0


class ProfileConfig(Config):
    """How much an event counts in a profile."""

    item_half_life: float | None = Field(default=None, gt=0)
    """Days (ordinal logs: events) after which an item counts half; none = 7 days or 50 events."""
    term_half_life: float | None = Field(default=None, gt=0)
    """The same for the terms of queries."""
    search_weight: float = Field(default=1.5, ge=0)
    """Weight of a search and of an item chosen in one."""
    click_weight: float = Field(default=1.0, ge=0)
    """Weight of an item chosen in recommendation."""
    impression_weight: float = Field(default=0.0, ge=0)
    """Weight of an item that was shown and not chosen."""


def profiles(
    events: Events, mask: BoolArray, as_of: int, config: ProfileConfig | None = None
) -> dict[str, csr_array]:
    """Sparse profiles of all users over items and over query terms.

    `p_u^f(x) = idf_f(x) · Σ_n ω_n · 2^(-(T - τ_n) / h_f)` over the masked events n of user u with
    x in n and `τ_n < T = as_of`; an event without a time takes factor 1. `idf_f(x) = log(1 + U /
    df(x))` with U users, df(x) of whom have x. A search counts once, whatever it led to; a term
    counts once per search. `mask` bool [n] (True = may be used, such as `split.is_train`).

    Returns float64 CSR arrays, "item" [users, items] and "term" [users, terms]. Factors stop
    falling after 500 half-lives, so that nothing turns to zero. Cost: one sort of the events.
    """
    config = config or ProfileConfig()
    used = mask & (~events.is_timed | (events.time < as_of))
    return {
        "item": _with_idf(_item_sums(events, used, as_of, config)),
        "term": _with_idf(_term_sums(events, used, as_of, config)),
    }


def decay(events: Events, rows: IntArray, as_of: int, half_life: float | None) -> DoubleArray:
    """`2^(-(T - τ) / h)` of the given events, 1 for an event without a time, float64 [rows]."""
    unit = MS_PER_DAY if events.time_kind == "ms" else 1
    period = unit * (DEFAULT_HALF_LIFE[events.time_kind] if half_life is None else half_life)
    age = as_of - np.where(events.is_timed[rows], events.time[rows], as_of)
    return np.exp2(-np.minimum(age / period, MAX_HALF_LIVES))


def _item_sums(events: Events, used: BoolArray, as_of: int, config: ProfileConfig) -> csr_array:
    chosen = np.where(events.is_search, config.search_weight, config.click_weight)
    weight = np.where(events.is_positive, chosen, config.impression_weight)
    rows = np.flatnonzero(used & (events.item != NO_ROW) & (weight > 0))
    values = weight[rows] * decay(events, rows, as_of, config.item_half_life)
    shape = (len(events.users), len(events.items))
    return csr_array((values, (events.user[rows], events.item[rows])), shape=shape)


def _term_sums(events: Events, used: BoolArray, as_of: int, config: ProfileConfig) -> csr_array:
    num_users, num_queries, num_terms = map(len, (events.users, events.queries, events.terms))
    if config.search_weight == 0:
        return csr_array((num_users, num_terms), dtype=np.float64)
    rows = searches(events, used)
    values = config.search_weight * decay(events, rows, as_of, config.term_half_life)
    cells = (events.user[rows], events.query[rows])
    queries = csr_array((values, cells), shape=(num_users, num_queries))
    texts = events.query_terms
    ones = np.ones(len(texts.values))
    has_term = csr_array((ones, (texts.row_of_value, texts.values)), shape=(num_queries, num_terms))
    has_term.data[:] = 1  # a term that a query repeats stands in the event once
    return csr_array(queries @ has_term).sorted_indices()


def _with_idf(sums: csr_array) -> csr_array:
    """Multiply each column by `log(1 + U / df)`; `sums` holds positive numbers only."""
    num_users, width = sums.shape
    df = np.bincount(sums.indices, minlength=width)
    idf = np.log1p(num_users / np.maximum(df, 1))
    return csr_array((sums.data * idf[sums.indices], sums.indices, sums.indptr), shape=sums.shape)
