"""Levels of categories: what items can be compared by, level by level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, BoolArray, IntArray
from sargraph.events.events import Categories, Events

TERM_LEVEL = 0
"""The number of the stand-in level: item terms, where the log has no categories."""


@dataclass(frozen=True)
class Level:
    """One level of categories: its `number` (1 = the broadest, TERM_LEVEL = item terms) and size.

    `of_item`: the codes 0 .. size - 1 of each item's categories on this level.
    """

    number: int
    size: int
    of_item: Ragged

    @property
    def name(self) -> str:
        """The level as a person reads it."""
        return f"level {self.number}" if self.number != TERM_LEVEL else "item terms"

    @property
    def is_known(self) -> BoolArray:
        """True where the item has a category on this level, bool [items]."""
        return np.asarray(self.of_item.lengths > 0)


def category_levels(events: Events, max_level: int = 2) -> list[Level]:
    """Levels 1 .. `max_level` of the categories, as far as some item has one.

    Where the log has no categories the terms of the items stand in as one level, TERM_LEVEL; an
    empty list where items have no terms either. Cost: O(categories of all items).
    """
    categories = events.categories
    if categories is not None and len(categories.of_item.values):
        levels = [_level(categories, number) for number in range(1, max_level + 1)]
        return [level for level in levels if len(level.of_item.values)]
    if not len(events.item_terms.values):
        return []
    return [Level(TERM_LEVEL, len(events.terms), events.item_terms)]


def _level(categories: Categories, number: int) -> Level:
    here = categories.level == number
    code = np.where(here, np.cumsum(here) - 1, NO_ROW).astype(np.int64)
    codes = code[categories.of_item.values]
    return Level(number, int(here.sum()), _kept(categories.of_item, codes))


def _kept(rows: Ragged, codes: IntArray) -> Ragged:
    """The rows with the codes in the place of their values, without those of -1."""
    kept = codes != NO_ROW
    ends = np.concatenate([[0], np.cumsum(kept)])[rows.offsets]
    return Ragged.from_lengths(codes[kept], np.diff(ends))
