"""`NegativeSampler`: items that a user is not known to have chosen, distinct, four ways."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sargraph.core.errors import DataError
from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, IntArray
from sargraph.graph.free_items import ENOUGH, Drawn, FreeItems, Rows
from sargraph.graph.popular import ItemWeights, draw_weighted
from sargraph.graph.positives import Positives
from sargraph.graph.rows import rows_of


@dataclass(frozen=True)
class NegativeSampler(FreeItems):
    """Draws `count` distinct negatives for each user row: int64 [n, count].

    A known positive of the user is never drawn; `allow_positives=True` draws from all items (but
    in a batch or a category never the row's own target). Draws depend on (seed, epoch, number of
    the row) alone; rows are named by `number` (default 0, 1, ...).
    """

    def uniform(
        self, users: IntArray, count: int, *, number: IntArray | None = None, epoch: int = 0
    ) -> IntArray:
        """Every free item equally likely. Cost: O(count log positives) per row.

        Raises DataError where a user has fewer than `count` free items, and for rows out of range
        or columns of different lengths.
        """
        rows = self._rows(users, count, number, epoch)
        out, short = self._among_all(rows, np.full(len(rows), NO_ROW, dtype=np.int64))
        rows.refuse(short, "items")
        return out

    def popular(
        self,
        users: IntArray,
        count: int,
        weights: ItemWeights,
        *,
        number: IntArray | None = None,
        epoch: int = 0,
    ) -> IntArray:
        """One after the other in proportion to `weights` among the free items not yet drawn.

        Items of weight 0 are never drawn. Cost: O(count log items) per row, plus O(items) once
        where the user's positives and the items drawn hold nearly all the weight. Raises DataError
        as `uniform`.
        """
        rows = self._rows(users, count, number, epoch)
        if len(weights.upto) != self.positives.num_items:
            raise DataError(
                f"got {len(weights.upto)} weights, expected one per item "
                f"({self.positives.num_items})"
            )
        out, short = rows.empty()
        weighted, key = (weights.upto, weights.num_weighted), self._key("popular", epoch)
        draw_weighted(*self._blocked(), *weighted, rows.users, rows.names, key, out, short)
        rows.refuse(short, "items of positive weight")
        return out

    def in_batch(
        self,
        users: IntArray,
        items: IntArray,
        count: int,
        *,
        number: IntArray | None = None,
        epoch: int = 0,
    ) -> IntArray:
        """From the distinct targets `items` of the batch, but not the row's own target.

        These depend on the batch, so the draw does too. Raises DataError as `uniform`.
        """
        rows = self._rows(users, count, number, epoch)
        items = self._items(items, rows)
        distinct = np.unique(items)
        batch = Positives(np.array([0, len(distinct)]), distinct, self.positives.num_items)
        lists = np.zeros(len(rows), dtype=np.int64)
        out, short = self._among(batch, lists, rows, items, "batch")
        rows.refuse(short, "items in the batch")
        return out

    def same_category(
        self,
        users: IntArray,
        items: IntArray,
        count: int,
        of_item: Ragged,
        *,
        else_uniform: bool = False,
        number: IntArray | None = None,
        epoch: int = 0,
    ) -> IntArray:
        """Hard negatives: from the narrowest category of the target that has enough free items.

        `of_item` holds the categories of each item, the broadest first. A row without enough in
        any category is drawn uniformly with `else_uniform` (never its own target), else it raises
        DataError, as it does for an `of_item` of another number of items, and as `uniform`.
        Cost: two counting sorts of `of_item`, and O(min(positives, category) log) per row and
        category tried.
        """
        rows = self._rows(users, count, number, epoch)
        items = self._items(items, rows)
        out, short = self._narrowest(of_item, items, rows)
        left = np.flatnonzero(short != ENOUGH) if count else np.empty(0, dtype=np.int64)
        what, unserved = "items in the target's categories", rows.take(left)
        if else_uniform:
            what = "items"
            out[left], short[left] = self._among_all(unserved, items[left])
        unserved.refuse(short[left], what)
        return out

    def _narrowest(self, of_item: Ragged, items: IntArray, rows: Rows) -> Drawn:
        """From the last category of each target that has enough, as far as one has."""
        members = _members(of_item, self.positives.num_items)
        out, short = rows.empty()
        depth = of_item.lengths[items]
        short[depth == 0] = 0
        pending = np.arange(len(rows))
        while len(pending := pending[depth[pending] > 0]):
            depth[pending] -= 1
            lists = of_item.values[of_item.offsets[items[pending]] + depth[pending]]
            out[pending], short[pending] = self._among(
                members, lists, rows.take(pending), items[pending], "category"
            )
            pending = pending[short[pending] != ENOUGH]
        return out, short


def _members(of_item: Ragged, num_items: int) -> Positives:
    """The items of each category, ascending, each once however often it lists the category."""
    if len(of_item) != num_items:
        raise DataError(f"of_item: got categories of {len(of_item)} items, expected {num_items}")
    num_categories = int(of_item.values.max(initial=-1)) + 1
    category = rows_of("of_item", of_item.values, num_categories)
    return Positives.build(category, of_item.row_of_value, num_categories, num_items)
