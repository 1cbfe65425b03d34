"""Pairs of items that one user chose near each other in time, and items drawn by frequency."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_TIME, BoolArray, DoubleArray, IntArray
from sargraph.embedding.graph_pairs import CHOSEN, chosen_pairs
from sargraph.graph.graph import Graph

CHOICES_AT_ONCE = 1 << 17
"""Choices whose pairs are formed and shuffled together."""

Pairs: TypeAlias = tuple[IntArray, IntArray]
"""(centre, context), items."""


@dataclass(frozen=True)
class Choices:
    """The choices of each user, background first, then by time; `offsets` [users + 1].

    An item that a user chose twice without a time is one choice; timed choices all stay.
    """

    offsets: IntArray
    item: IntArray
    is_timed: BoolArray
    num_items: int

    @classmethod
    def of(cls, graph: Graph) -> Choices:
        """From the clicked and found edges; ties in time are in the order of the edge tables."""
        tables = [graph.edges[kind] for kind in CHOSEN if kind in graph.edges]
        user, item, time = (
            np.concatenate([np.empty(0, np.int64), *(getattr(table, name) for table in tables)])
            for name in ("from_row", "to_row", "time")
        )
        is_timed = time != NO_TIME
        order = np.lexsort((np.where(is_timed, 0, item), time, user))
        user, item, is_timed = user[order], item[order], is_timed[order]
        again = np.zeros(len(user), dtype=np.bool_)
        again[1:] = (user[1:] == user[:-1]) & (item[1:] == item[:-1]) & ~is_timed[1:]
        lengths = np.bincount(user[~again], minlength=graph.num_nodes["user"])
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        return cls(offsets, item[~again], is_timed[~again], graph.num_nodes["item"])

    @property
    def counts(self) -> IntArray:
        """How often each item was chosen, int64 [items]."""
        return np.bincount(self.item, minlength=self.num_items)

    def take(self, users: IntArray) -> Choices:
        """The given users, in the given order, as users 0, 1, .."""
        places = Ragged(np.arange(len(self.item)), self.offsets).take(users)
        kept = places.values
        return Choices(places.offsets, self.item[kept], self.is_timed[kept], self.num_items)

    def keep(self, mask: BoolArray) -> Choices:
        """The choices where `mask` is True."""
        before = np.concatenate([np.zeros(1, np.int64), np.cumsum(mask)])
        return Choices(before[self.offsets], self.item[mask], self.is_timed[mask], self.num_items)

    @property
    def user(self) -> IntArray:
        """The user of each choice, int64 [choices]."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def pairs(self, window: int) -> Pairs:
        """Both orders of every two choices of a user that belong together.

        Two timed choices do when at most `window` apart in the user's order; an untimed one, which
        has no place in it, belongs to all choices of its user. An item is never its own context.
        Cost: O(timed window + untimed choices of their users).
        """
        first, second = map(np.concatenate, zip(*self._near(window), self._untimed(), strict=True))
        left, right = self.item[first], self.item[second]
        differ = left != right
        left, right = left[differ], right[differ]
        return np.concatenate([left, right]), np.concatenate([right, left])

    def _near(self, window: int) -> Iterator[Pairs]:
        """Places of two timed choices; background stands before them, so one look is enough."""
        user = self.user
        for shift in range(1, window + 1):
            same = (user[shift:] == user[:-shift]) & self.is_timed[:-shift]
            first = np.flatnonzero(same)
            if not len(first):
                return
            yield first, first + shift

    def _untimed(self) -> Pairs:
        """Places of an untimed choice, and of each that stands behind it."""
        first = np.flatnonzero(~self.is_timed)
        behind = self.offsets[1:][self.user[first]] - first - 1
        lists = Ragged.from_lengths(np.empty(int(behind.sum()), np.int64), behind)
        within = np.arange(len(lists.values)) - lists.offsets[lists.row_of_value]
        place = first[lists.row_of_value]
        return place, place + 1 + within

    def with_few_untimed(self, most: int, rng: np.random.Generator) -> Choices:
        """At most so many untimed choices of each user, drawn at random where there are more."""
        untimed = np.flatnonzero(~self.is_timed)
        user = self.user[untimed]
        if np.bincount(user, minlength=1).max(initial=0) <= most:
            return self
        order = np.lexsort((rng.random(len(user)), user))
        rank = np.arange(len(user)) - np.searchsorted(user[order], user[order])
        mask = self.is_timed.copy()
        mask[untimed[order[rank < most]]] = True
        return self.keep(mask)


@dataclass(frozen=True)
class SkipGrams:
    """Draws the pairs of a pass and their negatives.

    `kept` [items] is the chance that a choice of an item takes part in a pass, `upto` [items] the
    cumulated weights count^0.75 of the negatives.
    """

    choices: Choices
    window: int
    max_untimed: int
    num_negatives: int
    kept: DoubleArray
    upto: Float[Tensor, " items"]

    @classmethod
    def build(
        cls, choices: Choices, window: int, max_untimed: int, num_negatives: int, subsample: float
    ) -> SkipGrams:
        """Chance min(1, sqrt(subsample / f)) for an item with the share f of choices; 0 = all."""
        counts = choices.counts
        share = counts / max(int(counts.sum()), 1)
        kept = np.ones(len(counts))
        if subsample > 0:
            kept = np.minimum(1.0, np.sqrt(subsample / np.where(share > 0, share, 1.0)))
        upto = torch.from_numpy(np.cumsum(counts**0.75))
        return cls(choices, window, max_untimed, num_negatives, kept, upto)

    def batches(
        self, size: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """(centres [n], contexts [n], negatives [n, num_negatives]) of one pass.

        Users come in random order, pairs are shuffled within some thousands of users. Where
        subsampling leaves no pair at all the pass takes every choice.
        """
        seed = int(torch.randint(2**62, (1,), generator=generator))
        is_empty = True
        for kept in (self.kept, np.ones_like(self.kept)):
            for centre, context in self._blocks(kept, np.random.default_rng(seed)):
                is_empty = is_empty and not len(centre)
                parts = torch.from_numpy(centre).split(size), torch.from_numpy(context).split(size)
                for rows, others in zip(*parts, strict=True):
                    if len(rows):
                        yield rows, others, self.negatives(len(rows), generator)
            if not is_empty:
                return

    def _blocks(self, kept: DoubleArray, rng: np.random.Generator) -> Iterator[Pairs]:
        """Shuffled pairs of some users after some others."""
        users = rng.permutation(len(self.choices.offsets) - 1)
        upto = np.cumsum(np.diff(self.choices.offsets)[users])
        for block in np.split(users, np.flatnonzero(np.diff(upto // CHOICES_AT_ONCE)) + 1):
            chosen = self.choices.take(block)
            chosen = chosen.keep(rng.random(len(chosen.item)) < kept[chosen.item])
            chosen = chosen.with_few_untimed(self.max_untimed, rng)
            centre, context = chosen.pairs(self.window)
            order = rng.permutation(len(centre))
            yield centre[order], context[order]

    def negatives(self, rows: int, generator: torch.Generator) -> Int[Tensor, "rows negatives"]:
        """Items in proportion to count^0.75. Cost: O(log items) each."""
        share = torch.rand(rows, self.num_negatives, generator=generator, dtype=torch.float64)
        found = torch.searchsorted(self.upto, share * self.upto[-1], right=True)
        return found.clamp(max=len(self.upto) - 1)


def chosen_lists(graph: Graph) -> Ragged:
    """The distinct items that each user chose."""
    user, item = chosen_pairs(graph)
    return Ragged.group(user, item, graph.num_nodes["user"])
