"""Sources: whether an entry is of search or of recommendation, and what was shown beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sargraph.core.errors import DataError, nearest
from sargraph.core.types import NO_ROW, BoolArray, CodeArray
from sargraph.events.attribution import attribute
from sargraph.events.reading.batches import Batches, constant, join_codes
from sargraph.events.reading.entries import Rows
from sargraph.events.reading.identifiers import Coded, as_dictionary, chase, codes_of
from sargraph.events.reading.order import order_events
from sargraph.events.reading.prices import read_prices
from sargraph.events.reading.query_codes import QueryCodes
from sargraph.events.reading.slates import read_slates
from sargraph.events.recipe import Table
from sargraph.events.schema import IMPRESSION, RECOMMEND, SEARCH, SOURCES

MINUTE = 60_000


@dataclass(frozen=True)
class Roles:
    """What each entry can be: masks of entries that open a search, end one, have a query, and
    cannot do without an item."""

    opens: BoolArray
    ends: BoolArray
    has_query: BoolArray
    needs_item: BoolArray

    @classmethod
    def of(cls, found: Batches, table: Table) -> Roles:
        """Roles by the table's attribution; without one no entry opens or ends a search.

        Raises DataError where an attribution has no entry that opens a search.
        """
        nowhere: Any = constant(False, found.size, np.bool_)
        needs_item: Any = constant(
            table.item is not None and not table.item.optional, found.size, np.bool_
        )
        rule = table.attribution
        if rule is None:
            asks: Any = constant(table.query is not None, found.size, np.bool_)
            return cls(nowhere, nowhere, asks, needs_item)
        marker = as_dictionary(found.texts["marker"])
        opens, ends = (_is_one_of(marker, names) for names in (rule.opens, rule.ends))
        if not opens.any():
            kinds = [kind for kind in marker.dictionary.to_pylist() if kind]
            raise DataError(
                f"no row of '{table.file}' opens a search: none has {' or '.join(rule.opens)} in "
                f"column '{'/'.join(rule.column)}'; {nearest(rule.opens[0], kinds)}"
            )
        return cls(opens, ends, opens, ~opens & ~ends)

    def among(self, fit: BoolArray) -> Roles:
        """Roles where only `fit` entries open a search; the others end the one before."""
        return replace(self, opens=self.opens & fit, ends=self.ends | (self.opens & ~fit))


def _is_one_of(column: Any, names: tuple[str, ...]) -> BoolArray:
    among = np.asarray(pc.is_in(column.dictionary, value_set=pa.array(names, pa.string())))
    return np.asarray(np.append(among, False)[np.asarray(pc.fill_null(column.indices, NO_ROW))])


def decide_source(rows: Rows, found: Batches, table: Table, roles: Roles) -> Rows:
    """Give each entry its source; those of recommendation have no query, and no search unless
    the columns of `search` name one for them, too (a list that was shown)."""
    if table.source in SOURCES:
        source = constant(SOURCES.index(table.source), len(rows), np.int8)
        return replace(rows, columns={**rows.columns, "source": source})
    search: Any = rows.columns["search"]
    codes = rows.query.codes
    if table.source == "by_query":
        is_search = ~rows.query.is_empty
    else:
        opener = _openers(rows, found, table, roles)
        is_search = opener != NO_ROW
        codes, search = codes[opener], opener.astype(np.int32)
    codes = np.where(is_search, codes, np.int32(NO_ROW))
    has_search: Any = is_search | np.asarray(found.arrays.get("is_listed", is_search), np.bool_)
    search = np.where(has_search, search, NO_ROW)
    source = np.where(is_search, np.int8(SEARCH), np.int8(RECOMMEND))
    columns = {**rows.columns, "source": source, "search": search}
    return replace(rows, columns=columns, query=QueryCodes(rows.query.queries, codes))


def _openers(rows: Rows, found: Batches, table: Table, roles: Roles) -> CodeArray:
    """For each entry the place of the entry that opened its search, -1 = none."""
    rule = table.attribution
    assert rule is not None
    group: CodeArray = rows.user.codes
    if "within" in found.texts:
        group = join_codes(group, codes_of(found.texts["within"]))
    user = rows.user.codes + 1  # rows without a user are in quarantine, but still here
    # Rows without a time keep the order of the file here: which search was open is all it says.
    place: Any = constant(0, len(user), np.int32)
    order = order_events(user, found.time, place, int(user.max(initial=0)) + 1)
    max_gap = None if rule.minutes is None else round(rule.minutes * MINUTE)
    opened = attribute(
        group[order].astype(np.int64), found.time[order], roles.opens[order], roles.ends[order],
        max_gap,
    )  # fmt: skip
    opener = np.empty(len(order), dtype=np.int64)
    opener[order] = chase(order, opened)
    return opener


def add_shown(rows: Rows, lists: Mapping[str, pa.ChunkedArray], table: Table) -> Rows:
    """Add an impression for every item of a slate but the one of its entry.

    `lists` holds the texts of `slate`, and of `slate_price` where the table has one. An impression
    has the time, source, query, search and ledger row of its entry, and its place in the slate as
    position; the entry takes its own first place, and the price there, if it stands in the slate.
    """
    assert table.slate is not None
    separator = table.slate.list or ","
    found = read_slates(lists["slate"], separator)
    owner, place = found.row, found.place
    coded = Coded.from_column(pa.chunked_array([found.item]), table.slate.missing)
    ids, (of_rows, of_shown) = Coded.unite([rows.item, coded])
    own, item = chase(of_rows, rows.item.codes), chase(of_shown, coded.codes)
    given: dict[str, Any] = {"position": place}
    counts = Counter(rows.counts)
    if table.slate_price:
        price_separator = table.slate_price.list or separator
        given["price"], met = read_prices(lists["slate_price"], price_separator, found)
        counts.update(met)
    is_own = item == own[owner]
    extra = np.flatnonzero(~is_own & (item != NO_ROW))
    taken = np.concatenate([np.arange(len(rows)), owner[extra]])
    columns = {name: column[taken] for name, column in rows.columns.items()}
    if table.price:
        columns["price"][len(rows) :] = np.nan  # it is that of the entry's own item
    for name, values in given.items():
        columns[name][owner[is_own][::-1]] = values[is_own][::-1]  # the last to be written stays
        columns[name][len(rows) :] = values[extra]
    columns["action"][len(rows) :] = IMPRESSION
    columns["weight"][len(rows) :] = 1
    items = Coded(ids, np.concatenate([own, item[extra]]), rows.item.num_joined, rows.item.joined)
    return Rows(columns, rows.user.select(taken), items, rows.query.select(taken), counts)
