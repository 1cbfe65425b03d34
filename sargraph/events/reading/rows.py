"""Rows: one table read by its recipe, every field typed, every unusable row in quarantine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from sargraph.core.types import NO_ROW, Array, BoolArray, CodeArray
from sargraph.events.reading.batches import LISTS, Batches, constant
from sargraph.events.reading.entries import Rows
from sargraph.events.reading.identifiers import Coded, codes_of
from sargraph.events.reading.ledger import FILTERED, MERGED
from sargraph.events.reading.query_codes import QueryCodes, code_queries, union_by_group
from sargraph.events.reading.raw import RawTable
from sargraph.events.reading.scan import scan_files
from sargraph.events.reading.sources import Roles, add_shown, decide_source
from sargraph.events.reading.times import time_faults
from sargraph.events.reading.workspace import Workspace
from sargraph.events.recipe import Recipe, Table
from sargraph.events.schema import ACTIONS, SEARCHED


def read_rows(
    work: Workspace,
    table: Table,
    files: Sequence[tuple[str, RawTable]],
    recipe: Recipe,
    now: int,
) -> Rows:
    """Read the files of a table, each under its name in the ledger; rows of a group become one.

    Raises DataError and RecipeError (see `scan_files`).
    """
    scan = scan_files(work, table, files)
    found, row = scan.found, scan.row
    work.ledger.record(row[~found.kept], FILTERED, "keep")
    roles = Roles.of(found, table)
    user = Coded.from_column(found.texts["user"], table.user.missing)
    item = _items(found, table)
    faults = {
        "no user id": lambda: user.codes == NO_ROW,
        "no item id": lambda: (item.codes == NO_ROW) & roles.needs_item,
        **_faults(found, table, now),
    }
    fit = scan.put_away(work, found.kept, faults)
    query, counts = QueryCodes.none(found.size), Counter[str]()
    if table.query:
        asks = fit & roles.has_query
        query, counts = code_queries(
            found.texts["query"], table.query, recipe.max_query_terms, asks
        )
    if table.source == "by_query":
        nothing = (item.codes == NO_ROW) & query.is_empty
        fit = scan.put_away(work, fit, {"no item id": lambda: nothing})
    if table.price:
        bad: Any = found.arrays["bad_price"]
        counts["unreadable_price"] = int((bad & fit).sum())
    columns = {"time": found.time, "row": row, **_columns(found, table, item.codes)}
    rows = decide_source(Rows(columns, user, item, query, counts), found, table, roles.among(fit))
    work.ledger.record(row[fit & roles.ends], FILTERED, "marks the end of a search")
    fit &= ~roles.ends
    rows = rows.select(fit)
    if table.slate:
        lists = {name: found.texts[name].filter(fit) for name in LISTS if name in found.texts}
        rows = add_shown(rows, lists, table)
    return _merge_groups(work, rows) if table.group_by else rows


def _items(found: Batches, table: Table) -> Coded:
    if table.item is None:
        return Coded.none(found.size)
    return Coded.from_column(found.texts["item"], table.item.missing)


def _columns(found: Batches, table: Table, item: CodeArray) -> dict[str, Array]:
    size, given = found.size, found.arrays
    action = given.get("action", constant(ACTIONS.index(table.action.yes), size, np.int8))
    if (item == NO_ROW).any():
        action = np.where(item == NO_ROW, np.int8(SEARCHED), action)
    codes = {
        name: codes_of(found.texts[name]) if name in found.texts else constant(-1, size, np.int32)
        for name in ("search", "group")
    }
    price = given.get("price", constant(np.nan, size, np.float32))
    return {
        **({"price": price} if table.price or table.slate_price else {}),
        "action": action,
        "position": given.get("position", constant(-1, size, np.int32)),
        "weight": given.get("weight", constant(1, size, np.float32)),
        **codes,
    }


def _faults(found: Batches, table: Table, now: int) -> dict[str, Callable[[], BoolArray]]:
    masks = {f"unreadable {name}": mask for name, mask in found.faults.items()}
    if table.time.unit not in ("ordinal", "none"):
        # Looked at only after unreadable times, which hold a place-holder, are put away.
        masks |= time_faults(found.time, found.faults["time"], now)
    return {reason: partial(np.asarray, mask) for reason, mask in masks.items()}


def _merge_groups(work: Workspace, rows: Rows) -> Rows:
    """One row per group, the first of it; its query is the set of all terms of the group."""
    group: Any = rows.columns["group"]
    first, member = np.unique(group, return_index=True, return_inverse=True)[1:]
    query = union_by_group(rows.query, member, len(first))
    order = np.argsort(first)
    ledger_rows: Any = rows.columns["row"]
    work.ledger.record(np.delete(ledger_rows, first), MERGED, "same group")
    merged = rows.select(first[order])
    return Rows(merged.columns, merged.user, merged.item, query.select(order), rows.counts)
