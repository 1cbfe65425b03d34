"""User profiles: what each user chose and searched for, weighted by recency and rarity."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array

from sargraph.core.config import Config
from sargraph.core.errors import DataError
from sargraph.core.types import NO_ROW, BoolArray, DoubleArray, IntArray
from sargraph.events.events import Events
from sargraph.events.searches import searches
from sargraph.events.transitions import TRANSITIONS, transitions_of

FIELDS = ("item", "term")
"""What is searched by; also the names of the vocabularies."""

MS_PER_DAY = 86_400_000
DEFAULT_HALF_LIFE = {"ms": 7.0, "ordinal": 50.0, "none": 1.0}
DEFAULT_CATEGORY_HALF_LIFE = {"ms": 30.0, "ordinal": 50.0, "none": 1.0}
MAX_HALF_LIVES = 500.0


class ProfileConfig(Config):
    """Which events count in a profile, and how much."""

    source: Literal["both", "search", "recommend"] = "both"
    """Profiles from everything, from searches and what was chosen there, or from the feed alone."""
    transition: Literal["any", "S2S", "R2R", "S2R", "R2S"] = "any"
    """Only events that followed by this transition (from search S or the feed R to S or R)."""
    item_half_life: float | None = Field(default=None, gt=0)
    """Days (ordinal logs: events) after which an item counts half; none = 7 days or 50 events."""
    term_half_life: float | None = Field(default=None, gt=0)
    """The same for the terms of queries."""
    category_half_life: float | None = Field(default=None, gt=0)
    """The same for categories; none = 30 days or 50 events."""
    search_weight: float = Field(default=1.5, ge=0)
    """Weight of a search and of an item chosen in one."""
    click_weight: float = Field(default=1.0, ge=0)
    """Weight of an item chosen in recommendation."""
    impression_weight: float = Field(default=0.0, ge=0)
    """Weight of an item that was shown and not chosen."""


def profiles(
    events: Events, mask: BoolArray, as_of: int, config: ProfileConfig | None = None
) -> dict[str, csr_array]:
    """Sparse profiles of all users over items, over query terms and, where known, over categories.

    `p_u^f(x) = idf_f(x) · Σ_n ω_n · 2^(-(T - τ_n) / h_f)` over the masked events n of user u with
    x in n and `τ_n < T = as_of`; an event without a time takes factor 1. `idf_f(x) = log(1 + U /
    df(x))` with U users, df(x) of whom have x. A search counts once, whatever it led to; a term
    counts once per search; an item counts in each of its categories. `mask` bool [n] (True = may
    be used, such as `split.is_train`).

    Returns float64 CSR arrays [users, width] by field. Factors stop falling after 500 half-lives,
    so that nothing turns to zero. Raises DataError for transitions that the log cannot have.
    Cost: one sort of the events.
    """
    require_events(events, mask, as_of, config or ProfileConfig())
    sums = profile_sums(events, mask, as_of, config)
    return {field: scaled(part, idf(part)) for field, part in sums.items()}


def profile_sums(
    events: Events, mask: BoolArray, as_of: int, config: ProfileConfig | None = None
) -> dict[str, csr_array]:
    """The sums of `profiles` without idf, which an index has of its own."""
    config = config or ProfileConfig()
    used = used_events(events, mask, as_of, config)
    rows, weights = _chosen(events, used, config)
    items = _sums(events, rows, weights * decay(events, rows, as_of, config.item_half_life))
    found = {"item": items, "term": _term_sums(events, used, as_of, config)}
    if events.categories is not None:
        ages = decay(events, rows, as_of, config.category_half_life, DEFAULT_CATEGORY_HALF_LIFE)
        of_item = _incidence(events.categories.of_item.row_of_value,
                             events.categories.of_item.values,
                             (len(events.items), len(events.categories.vocabulary)))  # fmt: skip
        by_category = csr_array(_sums(events, rows, weights * ages) @ of_item)
        found["category"] = by_category.sorted_indices()
    return found


def used_events(events: Events, mask: BoolArray, as_of: int, config: ProfileConfig) -> BoolArray:
    """Which events a profile is made of, bool [n]: masked, before `as_of`, of the right kind.

    Raises DataError where a transition is asked for and the log has no clock.
    """
    used = mask & (~events.is_timed | (events.time < as_of))
    if config.source != "both":
        used &= events.is_search if config.source == "search" else events.is_recommend
    if config.transition == "any":
        return used
    if events.time_kind != "ms":
        raise DataError(
            f"got transition {config.transition} for a log without a clock, expected times in ms; "
            "leave transition at 'any'"
        )
    return used & (transitions_of(events).kind == TRANSITIONS.index(config.transition))


def require_events(events: Events, mask: BoolArray, as_of: int, config: ProfileConfig) -> None:
    """Raise DataError where a log has no event that followed by the transition asked for.

    A single user may have none, whose profile is then empty.
    """
    if config.transition != "any" and not used_events(events, mask, as_of, config).any():
        raise DataError(
            f"got no event that followed by {config.transition}; use another transition or 'any'"
        )


def decay(
    events: Events,
    rows: IntArray,
    as_of: int | IntArray,
    half_life: float | None,
    defaults: dict[str, float] = DEFAULT_HALF_LIFE,
) -> DoubleArray:
    """`2^(-(T - τ) / h)` of the given events, 1 for an event without a time, float64 [rows].

    `as_of` is T, one for all or int64 [rows].
    """
    unit = MS_PER_DAY if events.time_kind == "ms" else 1
    period = unit * (defaults[events.time_kind] if half_life is None else half_life)
    age = as_of - np.where(events.is_timed[rows], events.time[rows], as_of)
    return np.exp2(-np.minimum(age / period, MAX_HALF_LIVES))


def idf(sums: csr_array) -> DoubleArray:
    """`log(1 + U / df)` of each column, float64 [width]; `sums` holds positive numbers only."""
    num_users, width = sums.shape
    df = np.bincount(sums.indices, minlength=width)
    # Of nobody all are equally rare, so that users who are added later have weights.
    return np.log1p(max(num_users, 1) / np.maximum(df, 1))


def scaled(sums: csr_array, factors: DoubleArray) -> csr_array:
    """Each column multiplied by its factor."""
    values = sums.data * factors[sums.indices]
    return csr_array((values, sums.indices, sums.indptr), shape=sums.shape)


def _chosen(events: Events, used: BoolArray, config: ProfileConfig) -> tuple[IntArray, DoubleArray]:
    """Rows of the events on items that count, and their weights."""
    chosen = np.where(events.is_search, config.search_weight, config.click_weight)
    weight = np.where(events.is_positive, chosen, config.impression_weight)
    rows = np.flatnonzero(used & (events.item != NO_ROW) & (weight > 0))
    return rows, weight[rows]


def _sums(events: Events, rows: IntArray, values: DoubleArray) -> csr_array:
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
    has_term = _incidence(texts.row_of_value, texts.values, (num_queries, num_terms))
    return csr_array(queries @ has_term).sorted_indices()


def _incidence(row: IntArray, column: IntArray, shape: tuple[int, int]) -> csr_array:
    """1 where a row has a column: what stands twice in a row, such as a repeated term, is there."""
    found = csr_array((np.ones(len(row)), (row, column)), shape=shape)
    found.data[:] = 1
    return found
