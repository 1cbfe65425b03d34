"""`NegativeSampler`: items that a user is not known to have chosen, distinct, four ways."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sargraph.core.errors import DataError
from sargraph.core.ragged import Ragged
from sargraph.core.types import IntArray
from sargraph.graph.counter import base_key, salted
from sargraph.graph.negative_draws import draw_free, draw_listed
from sargraph.graph.popular import ItemWeights, draw_weighted
from sargraph.graph.positives import Positives

ENOUGH = -1
"""Says of a row that its negatives were drawn."""


@dataclass(frozen=True)
class NegativeSampler:
    """Draws `count` distinct negatives for each user row: int64 [n, count].

    A known positive of the user is never drawn; `allow_positives=True` draws from all items (but
    in a batch or a category never the row's own target). Draws depend on (seed, epoch, number of
    the row) alone; rows are named by `number` (default 0, 1, ...).
    """

    positives: Positives
    seed: int = 0
    allow_positives: bool = False

    def num_free(self, users: IntArray) -> IntArray:
        """How many items each user can be given, int64 [n]."""
        total = np.full(len(users), self.positives.num_items, dtype=np.int64)
        return total if self.allow_positives else total - self.positives.count(users)

    def uniform(
        self, users: IntArray, count: int, *, number: IntArray | None = None, epoch: int = 0
    ) -> IntArray:
        """Every free item equally likely. Cost: O(count log positives) per row.

        Raises DataError where a user has fewer than `count` free items.
        """
        users, names, out = self._prepare(users, count, number)
        short = np.full(len(users), ENOUGH, dtype=np.int64)
        indptr, items = self._blocked()
        key = salted(base_key(self.seed, "negatives"), "uniform", epoch)
        draw_free(indptr, items, self.positives.num_items, users, names, key, out, short)
        _refuse(short, users, count, "items")
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

        Items of weight 0 are never drawn. Cost: O(count log items) per row, O(items) for a user
        whose positives hold nearly all the weight. Raises DataError as `uniform`.
        """
        users, names, out = self._prepare(users, count, number)
        if len(weights.upto) != self.positives.num_items:
            raise DataError(
                f"got {len(weights.upto)} weights, expected one per item "
                f"({self.positives.num_items})"
            )
        short = np.full(len(users), ENOUGH, dtype=np.int64)
        indptr, items = self._blocked()
        key = salted(base_key(self.seed, "negatives"), "popular", epoch)
        draw_weighted(
            indptr, items, weights.upto, weights.num_weighted, users, names, key, out, short
        )
        _refuse(short, users, count, "items of positive weight")
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
        users, names, out = self._prepare(users, count, number)
        batch = Ragged.from_lists([np.unique(items)])
        lists = np.zeros(len(users), dtype=np.int64)
        short = self._listed(batch, lists, users, items, names, "batch", epoch, out)
        _refuse(short, users, count, "items in the batch")
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
        any category is drawn uniformly with `else_uniform`, else it raises DataError.
        Cost: O(min(positives, category) log) per row and category tried.
        """
        users, names, out = self._prepare(users, count, number)
        items = np.asarray(items, dtype=np.int64)
        members = _members(of_item)
        pending = np.arange(len(users))
        depth = of_item.lengths[items]
        short = depth * 0
        while len(pending := pending[depth[pending] > 0]):
            depth[pending] -= 1
            lists = of_item.values[of_item.offsets[items[pending]] + depth[pending]]
            drawn = out[pending]
            short[pending] = self._listed(
                members, lists, users[pending], items[pending], names[pending], "category",
                epoch, drawn,
            )  # fmt: skip
            out[pending] = drawn
            pending = pending[short[pending] != ENOUGH]
        left = np.flatnonzero(short != ENOUGH) if count else np.empty(0, dtype=np.int64)
        if not else_uniform:
            _refuse(short[left], users[left], count, "items in the target's categories")
        elif len(left):
            out[left] = self.uniform(users[left], count, number=names[left], epoch=epoch)
        return out

    def _listed(
        self,
        lists: Ragged,
        list_of: IntArray,
        users: IntArray,
        items: IntArray,
        names: IntArray,
        label: str,
        epoch: int,
        out: IntArray,
    ) -> IntArray:
        short = np.full(len(users), ENOUGH, dtype=np.int64)
        key = salted(base_key(self.seed, "negatives"), label, epoch)
        draw_listed(
            *self._blocked(), lists.offsets, lists.values, list_of, users,
            np.asarray(items, dtype=np.int64), names, key, out, short,
        )  # fmt: skip
        return short

    def _blocked(self) -> tuple[IntArray, IntArray]:
        """The positives to avoid, as CSR."""
        indptr, items = self.positives.indptr, self.positives.items
        if self.allow_positives:
            indptr, items = np.zeros_like(indptr), items[:0]
        return indptr, items  # type: ignore[return-value]

    def _prepare(
        self, users: IntArray, count: int, number: IntArray | None
    ) -> tuple[IntArray, IntArray, IntArray]:
        users = np.asarray(users, dtype=np.int64)
        if count < 0:
            raise DataError(f"got {count} negatives per row, expected 0 or more")
        if len(users) and not 0 <= users.min() <= users.max() < len(self.positives):
            raise DataError(f"user rows must be 0..{len(self.positives) - 1}")
        names = np.arange(len(users)) if number is None else np.asarray(number, dtype=np.int64)
        return users, names, np.empty((len(users), count), dtype=np.int64)


def _members(of_item: Ragged) -> Ragged:
    """The items of each category, ascending."""
    num_categories = int(of_item.values.max(initial=-1)) + 1
    return Ragged.group(of_item.values, of_item.row_of_value, num_categories)


def _refuse(short: IntArray, users: IntArray, count: int, what: str) -> None:
    """Raise DataError that names the first row for which there are too few."""
    wrong = np.flatnonzero(short != ENOUGH)
    if len(wrong):
        first = wrong[0]
        raise DataError(
            f"{len(wrong)} rows have too few negatives: user row {users[first]} has "
            f"{short[first]} free {what}, expected at least {count}; ask for fewer or set "
            "allow_positives=True"
        )
