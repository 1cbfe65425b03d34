"""Entries: the usable rows of one log, typed and coded."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from sargraph.core.types import Array, BoolArray, IntArray
from sargraph.events.reading.identifiers import Coded
from sargraph.events.reading.query_codes import QueryCodes


@dataclass(frozen=True)
class Rows:
    """The usable entries of one log, in its order.

    `columns` are arrays of one length: time, source, action, search (a code that rows of one
    search share), group (a code or -1), position, weight, row (in the ledger), and price where the
    log has prices. `counts` says what was met on the way and changed no fate, such as queries that
    were cut.
    """

    columns: dict[str, Array]
    user: Coded
    item: Coded
    query: QueryCodes
    counts: Counter[str]

    def __len__(self) -> int:
        return len(self.user.codes)

    def select(self, chosen: BoolArray | IntArray) -> Rows:
        """The chosen rows (mask or places)."""
        if chosen.dtype == bool and chosen.all():
            return self
        return replace(
            self,
            columns={name: column[chosen] for name, column in self.columns.items()},
            user=self.user.select(chosen),
            item=self.item.select(chosen),
            query=self.query.select(chosen),
        )
