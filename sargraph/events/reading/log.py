"""The log: the usable rows of all tables together, coded, in the order of events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sargraph.core.types import NO_ROW, NO_TIME, Array, BoolArray, IntArray
from sargraph.events.reading.identifiers import Coded, chase
from sargraph.events.reading.rows import Rows
from sargraph.events.schema import POSITIVE_ACTIONS
from sargraph.events.text import Query


@dataclass(frozen=True)
class Log:
    """Events to be, sorted by (user, time, order in the log).

    `columns` are arrays of one length: time, source, action, user, item, query, search, position,
    weight. User and item codes point into the sorted ids, query codes into `queries`; `search` is
    a code that rows of one search share. `counts` says how many rows each step took away.
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

    def select(self, chosen: BoolArray, lost_to: str) -> Log:
        """The chosen events; the others are counted as `lost_to`."""
        columns = {name: column[chosen] for name, column in self.columns.items()}
        counts = Counter({**self.counts, lost_to: len(self) - int(chosen.sum())})
        return replace(self, columns=columns, counts=counts)


def unite(parts: Sequence[Rows]) -> Log:
    """All rows of all tables as one sorted log.

    Equal times keep the order of tables and files; events without a time are ordered by item, so
    that the order of a file (often by weight) says nothing. Cost: O(n log n).
    """
    user = Coded.unite([part.user for part in parts])
    item = Coded.unite([part.item for part in parts])
    query, queries = _unite_queries(parts)
    columns: dict[str, Array] = {"user": user.codes, "item": item.codes, "query": query}
    columns["search"] = _unite_searches(parts)
    for name in ("time", "source", "action", "position", "weight"):
        columns[name] = np.concatenate([part.columns[name] for part in parts])
    is_untimed = columns["time"] == NO_TIME
    order = np.lexsort((np.where(is_untimed, item.codes, 0), columns["time"], user.codes))
    ordered = {name: column[order] for name, column in columns.items()}
    return Log(ordered, user.ids, item.ids, queries, Counter())


def drop_duplicates(log: Log) -> Log:
    """Keep the first of events equal in user, item, query, time, source and action.

    Cost: O(n log n).
    """
    keys = [log[name] for name in ("action", "source", "query", "item", "time", "user")]
    order = np.lexsort(keys)
    again = np.zeros(len(log), dtype=bool)
    if len(log):
        same = [key[order][1:] == key[order][:-1] for key in keys]
        again[order[1:]] = np.logical_and.reduce(same)
    return log.select(~again, "duplicates")


def _unite_queries(parts: Sequence[Rows]) -> tuple[IntArray, list[Query]]:
    code_of: dict[Query, int] = {}
    codes = []
    for part in parts:
        table = [code_of.setdefault(query, len(code_of)) for query in part.query.queries]
        codes.append(chase(np.array(table, dtype=np.int64), part.query.codes))
    return np.concatenate(codes), list(code_of)


def _unite_searches(parts: Sequence[Rows]) -> IntArray:
    offset, shifted = 0, []
    for part in parts:
        codes: Any = part.columns["search"]
        shifted.append(np.where(codes == NO_ROW, NO_ROW, codes + offset))
        offset += int(codes.max(initial=NO_ROW)) + 1
    return np.concatenate(shifted)
