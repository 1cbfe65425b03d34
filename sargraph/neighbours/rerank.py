"""Putting the best users of an index in order by a measure that an inverted list cannot add up."""

from __future__ import annotations

import numpy as np

from sargraph.core.types import NO_ROW, DoubleArray, IntArray
from sargraph.neighbours.index_config import IndexConfig
from sargraph.neighbours.measures import (
    Rows,
    common_entries,
    cosine,
    order_aware,
    stan_similarity,
    weighted_jaccard,
)
from sargraph.neighbours.postings import Found
from sargraph.neighbours.profile import MS_PER_DAY
from sargraph.neighbours.profiled import Profiled
from sargraph.neighbours.similarity import SimilarityConfig


def is_reranked(config: IndexConfig, probes: Profiled) -> bool:
    """True where the best users by the index are compared once more."""
    return config.measure != "cosine" or probes.categories is not None


def reranked(found: Found, probes: Profiled, users: Profiled, config: IndexConfig) -> Found:
    """The users found for each probe in the order of the measure, ties by place.

    Whoever the measure finds nothing in common with is not found (STAN reads no terms).
    Similarities are those of the measure, shrunk by the number of common items and terms.
    Cost: O(Σ profile sizes of the users found), in compiled loops.
    """
    user, similarity = np.full_like(found.user, NO_ROW), np.full_like(found.similarity, -np.inf)
    for probe in range(len(probes)):
        places = found.user[probe][found.user[probe] != NO_ROW]
        one = probes.take(np.array([probe]))
        measured = _measure(one, users, places, config) * _shrink(one, users, places, config)
        order = np.lexsort((places, -measured))
        order = order[measured[order] > 0]
        user[probe, : len(order)] = places[order]
        similarity[probe, : len(order)] = measured[order]
    return Found(user, similarity, found.num_duplicates)


def whole_cosine(
    one: Profiled, users: Profiled, places: IntArray, config: SimilarityConfig
) -> DoubleArray:
    """`Σ_f a_f cos_f / Σ_f a_f` over items, terms and categories that either has, float64 [n]."""
    masses = config.masses()
    mine, theirs = masses[one.fields[0]], masses[users.fields[places]]
    # `cosine` divides by both lengths, which are the roots of the masses of the fields they have.
    product = cosine(one.rows, users.rows, places) * np.sqrt(mine * theirs)
    total = masses[one.fields[0] | users.fields[places]]
    if one.categories is not None and users.categories is not None:
        share = config.category_mass
        either = (len(one.categories.entries) > 0) | (_sizes(users.categories, places) > 0)
        product = product + share * cosine(one.categories, users.categories, places)
        total = total + share * either
    return np.divide(product, total, out=np.zeros_like(product), where=total > 0)


def _measure(one: Profiled, users: Profiled, places: IntArray, config: IndexConfig) -> DoubleArray:
    if config.measure == "cosine":
        return whole_cosine(one, users, places, config.similarity)
    if config.measure == "jaccard":
        return weighted_jaccard(one.rows, users.rows, places)
    assert one.sequences is not None and users.sequences is not None
    if config.measure == "order_aware":
        return order_aware(one.rows, one.sequences, users.rows, users.sequences, places)
    decay = config.stan_days * MS_PER_DAY
    return stan_similarity(one.sequences, users.sequences, places, time_decay=decay)


def _shrink(one: Profiled, users: Profiled, places: IntArray, config: IndexConfig) -> DoubleArray:
    common = common_entries(one.rows, users.rows, places)
    return config.similarity.shrink(len(one.rows.entries))[common]


def _sizes(rows: Rows, places: IntArray) -> IntArray:
    return rows.offsets[places + 1] - rows.offsets[places]
