"""Evidence: which items, terms, categories and transitions make two users similar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sargraph.core.types import CodeArray, DoubleArray, FloatArray, IntArray
from sargraph.events.transitions import TRANSITIONS
from sargraph.neighbours.neighbours import Neighbour, Shared
from sargraph.neighbours.profiled import Profiled

if TYPE_CHECKING:
    from sargraph.neighbours.index import UserIndex


Values = FloatArray | DoubleArray


def neighbour_of(
    index: UserIndex, one: Profiled, other: Profiled, user: int, similarity: float
) -> Neighbour:
    """A user found for a probe, with what each shared thing adds to their cosine.

    `cosine = Σ_x factor · u_x v_x` over shared items, terms and categories x, whose terms are the
    contributions. `one` and `other` are one user each.
    """
    entries, products = _shared(one.rows.entries, one.rows.values,
                                other.rows.entries, other.rows.values)  # fmt: skip
    factor, category_factor = _factors(index, one, other)
    products = products * factor
    categories, by_category = _shared_categories(one, other)
    by_category = by_category * category_factor
    cosine = float(products.sum() + by_category.sum())
    num_items = len(index.vocabularies["item"])
    is_item = entries < num_items
    return Neighbour(
        user_id=index.users.ids[user],
        name=index.users.names[user],
        similarity=similarity,
        cosine=cosine,
        shared_items=_named(index, "item", entries[is_item], products[is_item], cosine),
        shared_terms=_named(
            index, "term", entries[~is_item] - num_items, products[~is_item], cosine
        ),
        shared_categories=_named(index, "category", categories, by_category, cosine),
        transitions=_transition_shares(one, other, entries, products, cosine),
    )


def _shared(
    mine: CodeArray, my_values: Values, theirs: CodeArray, their_values: Values
) -> tuple[IntArray, DoubleArray]:
    """The common entries and the products of their weights, in float64."""
    entries, at_mine, at_theirs = np.intersect1d(
        mine, theirs, assume_unique=True, return_indices=True
    )
    products = my_values[at_mine].astype(np.float64) * their_values[at_theirs].astype(np.float64)
    return entries.astype(np.int64), products


def _shared_categories(one: Profiled, other: Profiled) -> tuple[IntArray, DoubleArray]:
    if one.categories is None or other.categories is None:
        return np.empty(0, dtype=np.int64), np.empty(0)
    mine, theirs = one.categories, other.categories
    return _shared(mine.entries, mine.values, theirs.entries, theirs.values)


def _factors(index: UserIndex, one: Profiled, other: Profiled) -> tuple[float, float]:
    """What a product of weights, and one of units of categories, counts in the cosine."""
    config = index.config.similarity
    masses = config.masses()
    total = float(masses[one.fields[0] | other.fields[0]])
    share = 0.0
    if one.categories is not None and other.categories is not None:
        share = config.category_mass
        total += share * bool(len(one.categories.entries) + len(other.categories.entries))
    return (1 / total, share / total) if total else (0.0, 0.0)


def _named(
    index: UserIndex, kind: str, entries: IntArray, values: DoubleArray, cosine: float
) -> tuple[Shared, ...]:
    """Ids, names and shares of what is shared, the highest first."""
    if not len(entries):
        return ()
    vocabulary = index.vocabularies[kind]
    order = np.lexsort((entries, -values))
    return tuple(
        Shared(vocabulary.ids[entry], vocabulary.names[entry], value, value / cosine)
        for entry, value in zip(entries[order].tolist(), values[order].tolist(), strict=True)
    )


def _transition_shares(
    one: Profiled, other: Profiled, entries: IntArray, products: DoubleArray, cosine: float
) -> dict[str, float]:
    """Of the cosine, the share of items that both came to by each transition, on average."""
    if one.transitions is None or other.transitions is None or not len(entries):
        return {}
    mine = one.transitions[np.searchsorted(one.rows.entries, entries)] / 255
    theirs = other.transitions[np.searchsorted(other.rows.entries, entries)] / 255
    shares = products @ ((mine + theirs) / 2) / cosine
    found = zip(TRANSITIONS, shares.tolist(), strict=True)
    return {name: share for name, share in found if share > 0}
