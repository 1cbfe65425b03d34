"""The log: the usable rows of all tables together, coded, in the order of events."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from sargraph.core.types import NO_ROW, Array, BoolArray, CodeArray
from sargraph.events.reading.batches import constant
from sargraph.events.reading.entries import Rows
from sargraph.events.reading.identifiers import Coded, chase
from sargraph.events.reading.ledger import Ledger
from sargraph.events.reading.order import order_events
from sargraph.events.reading.query_codes import unite_queries
from sargraph.events.schema import POSITIVE_ACTIONS
from sargraph.events.text import Query

_PLAIN = ("search", "time", "source", "action", "position", "weight", "row")


@dataclass
class Log:
    """Events to be, sorted by (user, time, order in the log).

    `columns` are arrays of one length: time, source, action, user, item, query, search, position,
    weight, row, and price where a table has prices. User and item codes point into the sorted ids,
    query codes into `queries`; `search` is a code that rows of one search share, `row` a number of
    the ledger. Columns are replaced one by one, so that a large log is never held twice.
    """

    columns: dict[str, Array]
    user_ids: list[str]
    item_ids: list[str]
    queries: list[Query]
    counts: Counter[str]

    def __len__(self) -> int:
        return len(self.columns["time"])

    def __getitem__(self, name: str) -> Any:
        return self.columns[name]

    @property
    def is_choice(self) -> BoolArray:
        """True where the user chose an item."""
        return np.asarray(np.isin(self["action"], POSITIVE_ACTIONS) & (self["item"] != NO_ROW))

    def keep(self, chosen: BoolArray, ledger: Ledger, fate: int, why: str) -> None:
        """Keep the chosen events; the rows of the others get a fate in the ledger."""
        if chosen.all():
            return
        ledger.record(self["row"][~chosen], fate, why)
        for name in list(self.columns):
            self.columns[name] = self.columns[name][chosen]


def unite(parts: list[Rows]) -> Log:
    """All rows of all tables as one sorted log; takes the columns out of `parts`.

    Equal times keep the order of tables and files; events without a time are ordered by item, so
    that the order of a file (often by weight) says nothing. Cost: as `order_events`.
    """
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(part.counts)
    user_ids, of_user = Coded.unite([part.user for part in parts])
    item_ids, of_item = Coded.unite([part.item for part in parts])
    queries, of_query = unite_queries([part.query for part in parts])
    given: dict[str, list[Any]] = {
        "user": [part.user.codes for part in parts],
        "item": [part.item.codes for part in parts],
        "query": [part.query.codes for part in parts],
        **{name: [part.columns[name] for part in parts] for name in _PLAIN},
    }
    if any("price" in part.columns for part in parts):
        given["price"] = [part.columns.get("price", _unknown(len(part))) for part in parts]
    parts.clear()
    given["search"] = _apart(given["search"])
    user = _joined(given.pop("user"), of_user)
    item = _joined(given.pop("item"), of_item)
    time = _joined(given.pop("time"))
    order = order_events(user, time, item, len(user_ids))
    columns: dict[str, Array] = {"time": time[order]}
    del time
    columns["user"], columns["item"] = user[order], item[order]
    del user, item
    columns["query"] = _joined(given.pop("query"), of_query)[order]
    for name in list(given):
        columns[name] = _joined(given.pop(name))[order]
    return Log(columns, user_ids, item_ids, queries, counts)


def _joined(arrays: list[Any], tables: list[CodeArray] | None = None) -> Any:
    """The arrays one after the other, each through its table of new codes; empties the list."""
    arrays.reverse()
    parts = []
    for place in range(len(arrays)):
        array = arrays.pop()
        parts.append(array if tables is None else chase(tables[place], array))
        del array
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _unknown(size: int) -> Array:
    """The prices of a table without prices."""
    return constant(np.nan, size, np.float32)


def _apart(searches: list[Any]) -> list[Any]:
    """Search codes of the parts, shifted so that no two parts share one; empties the list."""
    offset, shifted = 0, []
    searches.reverse()
    while searches:
        codes: Any = searches.pop()
        largest = int(codes.max(initial=NO_ROW))
        if largest == NO_ROW:
            shifted.append(codes)
            continue
        if offset + largest >= 2**31:
            codes = codes.astype(np.int64)
        if offset:
            codes = np.where(codes == NO_ROW, codes, codes + codes.dtype.type(offset))
        shifted.append(codes)
        offset += largest + 1
    return shifted
