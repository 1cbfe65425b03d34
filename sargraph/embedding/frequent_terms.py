"""The words that people used most often for a user or an item, and whose words they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sargraph.core.ragged import Ragged
from sargraph.core.types import BoolArray, IntArray

_KNOWN_ANYWAY = 1 << 40


@dataclass(frozen=True)
class FrequentTerms:
    """The most frequent query terms of each user or item.

    `terms` int64 [rows, k], best first, -1 where there are fewer; `counts` int64 [rows, k], how
    often each was used, huge for a term of the item's own text, which no query gives away.
    """

    terms: IntArray
    counts: IntArray

    @classmethod
    def count(
        cls, row: IntArray, queries: IntArray, num_rows: int, k: int, own: Ragged | None = None
    ) -> FrequentTerms:
        """Count the terms of `queries` [n, length] (-1 = none) at the given rows.

        Ties: the term seen first in the order of the queries. Where a row has fewer than k query
        terms, the terms of its own text (`own`) follow in text order. Cost: one sort.
        """
        at, place = np.nonzero(queries >= 0)
        owner, term, used = row[at], queries[at, place], np.ones(len(at))
        if own is not None:
            owner = np.concatenate([owner, own.row_of_value])
            term = np.concatenate([term, own.values])
            used = np.concatenate([used, np.zeros(len(own.values))])
        base = int(term.max(initial=0)) + 1
        keys, first, group = np.unique(owner * base + term, return_index=True, return_inverse=True)
        times = np.bincount(group, used, len(keys)).astype(np.int64)
        is_own = np.bincount(group, 1 - used, len(keys)) > 0
        order = np.lexsort((first, -times, keys // base))
        lengths = np.bincount(keys // base, minlength=num_rows)
        terms = Ragged.from_lengths(keys[order] % base, lengths)
        counts = Ragged.from_lengths((times + _KNOWN_ANYWAY * is_own)[order], lengths)
        return cls(terms.to_padded(k), counts.to_padded(k))


def only_from_pair(
    frequent: FrequentTerms, row: IntArray, pair: IntArray, asked_pair: IntArray, queries: IntArray
) -> BoolArray:
    """Which terms of each example's row are there only because of the example's own pair.

    Example n is about entity `row[n]` and pair number `pair[n]`; `queries` [m, length] are the
    training queries and `asked_pair` [m] the pairs they belong to. Returns bool [n, k]: True where
    all uses of the term at that row come from that pair, so that the term would tell a model in
    training what was searched or chosen. Cost: O(n · k · log(words)).
    """
    at, place = np.nonzero(queries >= 0)
    term = queries[at, place]
    base = int(max(term.max(initial=0), frequent.terms.max(initial=0))) + 1
    keys, own = np.unique(asked_pair[at] * base + term, return_counts=True)
    if len(keys) == 0:
        return np.zeros((len(row), frequent.terms.shape[1]), dtype=np.bool_)
    terms = frequent.terms[row]
    wanted = pair[:, None] * base + terms
    found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    from_pair = np.where((keys[found] == wanted) & (terms >= 0), own[found], 0)
    return np.asarray((from_pair > 0) & (from_pair == frequent.counts[row]))
