"""`FreeItems`: what a user can still be given, and uniform draws from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from sargraph.core.errors import DataError
from sargraph.core.types import IntArray
from sargraph.graph.counter import base_key, salted
from sargraph.graph.negative_draws import draw_free, draw_listed
from sargraph.graph.positives import Positives
from sargraph.graph.rows import integers, rows_of

ENOUGH = -1
"""Says of a row that its negatives were drawn."""

Drawn: TypeAlias = tuple[IntArray, IntArray]
"""(items [n, count], and of each row ENOUGH, or how many items it has where they are too few)"""


@dataclass(frozen=True)
class Rows:
    """The rows of one call: `users` and `names` int64 [n], each to be given `count` items."""

    users: IntArray
    names: IntArray
    count: int
    epoch: int

    def __len__(self) -> int:
        return len(self.users)

    def take(self, places: IntArray) -> Rows:
        """The rows at some places."""
        return Rows(self.users[places], self.names[places], self.count, self.epoch)

    def empty(self) -> Drawn:
        """Room for the items, and the word that they are enough."""
        items = np.empty((len(self), self.count), dtype=np.int64)
        return items, np.full(len(self), ENOUGH, dtype=np.int64)

    def refuse(self, short: IntArray, what: str) -> None:
        """Raise DataError that names the first row for which there are too few."""
        wrong = np.flatnonzero(short != ENOUGH)
        if len(wrong):
            first = wrong[0]
            raise DataError(
                f"{len(wrong)} rows have too few negatives: user row {self.users[first]} has "
                f"{short[first]} free {what}, expected at least {self.count}; ask for fewer or "
                "set allow_positives=True"
            )


@dataclass(frozen=True)
class FreeItems:
    """The items that are no known positives of a user; all items with `allow_positives`."""

    positives: Positives
    seed: int = 0
    allow_positives: bool = False

    def num_free(self, users: IntArray) -> IntArray:
        """How many items each user can be given, int64 [n]. Raises DataError for unknown rows."""
        known = self.positives.count(users)
        return self.positives.num_items - (0 * known if self.allow_positives else known)

    def _rows(self, users: IntArray, count: int, number: IntArray | None, epoch: int) -> Rows:
        """The rows of a call, checked."""
        users = rows_of("users", users, len(self.positives))
        if count < 0:
            raise DataError(f"got {count} negatives per row, expected 0 or more")
        names = np.arange(len(users)) if number is None else number
        return Rows(users, integers("numbers of rows", names, users.shape), count, epoch)

    def _items(self, items: IntArray, rows: Rows) -> IntArray:
        """The target of each row, checked."""
        return rows_of("items", items, self.positives.num_items, len(rows))

    def _among_all(self, rows: Rows, own: IntArray) -> Drawn:
        """Uniformly from the free items but the row's `own` (NO_ROW = none)."""
        out, short = rows.empty()
        num_items, key = self.positives.num_items, self._key("uniform", rows.epoch)
        draw_free(*self._blocked(), num_items, rows.users, own, rows.names, key, out, short)
        return out, short

    def _among(
        self, lists: Positives, list_of: IntArray, rows: Rows, own: IntArray, label: str
    ) -> Drawn:
        """Uniformly from the free items of one of the lists per row but the row's `own`."""
        out, short = rows.empty()
        listed, key = (lists.indptr, lists.items), self._key(label, rows.epoch)
        draw_listed(
            *self._blocked(), *listed, list_of, rows.users, own, rows.names, key, out, short
        )
        return out, short

    def _key(self, label: str, epoch: int) -> np.uint64:
        return salted(base_key(self.seed, "negatives"), label, epoch)

    def _blocked(self) -> tuple[IntArray, IntArray]:
        """The positives to avoid, as CSR."""
        indptr, items = self.positives.indptr, self.positives.items
        if self.allow_positives:
            indptr, items = np.zeros_like(indptr), items[:0]
        return indptr, items  # type: ignore[return-value]
