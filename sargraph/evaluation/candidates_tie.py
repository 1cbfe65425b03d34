"""Ties of terms: the items that a match of term sets cannot tell apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Requests
from sargraph.core.types import IntArray
from sargraph.evaluation.candidates import check_targets, target_first


@dataclass(frozen=True)
class TermTies:
    """Items grouped by their set of terms: the group of each item, and the items of each group.

    Items without terms are one group: nothing tells them apart either.
    """

    group: IntArray
    members: Ragged

    @classmethod
    def of(cls, item_terms: Ragged) -> TermTies:
        """Group items by their term sets, repeats and order aside. Cost: O(terms log)."""
        ids: dict[bytes, int] = {}
        group = np.empty(len(item_terms), dtype=np.int64)
        for item, terms in enumerate(item_terms):
            group[item] = ids.setdefault(np.unique(terms).tobytes(), len(ids))
        return cls(group, Ragged.group(group, np.arange(len(group)), len(ids)))

    def num_others(self, items: IntArray) -> IntArray:
        """How many other items have exactly the terms of each item, int64 [len(items)]."""
        return self.members.lengths[self.group[items]] - 1

    def candidates(self, requests: Requests) -> Ragged:
        """The target, then the other items whose term set equals the target's, ascending.

        What is ranked here was learned from behaviour, not read off the words. Raises
        BadInputError for a target outside the catalogue. Cost: O(total).
        """
        check_targets(requests, len(self.group))
        return target_first(requests, self.members.take(self.group[requests.target]))
