"""Rows: one log read by its recipe, every field typed, every unusable row in quarantine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from sargraph.core.types import NO_ROW, Array, BoolArray, CodeArray, IntArray
from sargraph.events.reading.batches import Batches, constant, read_batches
from sargraph.events.reading.entries import Rows
from sargraph.events.reading.fields import settle_unit
from sargraph.events.reading.identifiers import Coded, codes_of
from sargraph.events.reading.ledger import FILTERED, MERGED, QUARANTINED
from sargraph.events.reading.query_codes import QueryCodes, code_queries, union_by_group
from sargraph.events.reading.raw import RawTable
from sargraph.events.reading.sources import Roles, add_shown, decide_source
from sargraph.events.reading.times import check_unit, time_faults, zone_offsets
from sargraph.events.reading.workspace import Workspace
from sargraph.events.recipe import Recipe, Table
from sargraph.events.schema import ACTIONS, SEARCHED


def read_rows(
    work: Workspace, raw: RawTable, name: str, table: Table, recipe: Recipe, now: int
) -> Rows:
    """Read one file of a table under its `name` in the ledger; rows of a group become one.

    Raises DataError and RecipeError (see `RawTable.scan` and `times.settle_times`).
    """
    table = settle_unit(table, raw)
    found = read_batches(raw, table)
    row = _enter(work, raw, found, name)
    work.ledger.record(row[~found.kept], FILTERED, "keep")
    roles = Roles.of(found, table)
    user = Coded.from_column(found.texts["user"], table.user.missing)
    item = _items(found, table)
    time = _times(found, table, raw.file)
    faults = {
        "no user id": lambda: user.codes == NO_ROW,
        "no item id": lambda: (item.codes == NO_ROW) & roles.needs_item,
        **_faults(found, table, time, now),
    }
    fit = _put_away(work, raw, found.kept, row, faults)
    query, counts = QueryCodes.none(found.size), Counter[str]()
    if table.query:
        asks = fit & roles.has_query
        query, counts = code_queries(
            found.texts["query"], table.query, recipe.max_query_terms, asks
        )
    if table.source == "by_query":
        nothing = (item.codes == NO_ROW) & query.is_empty
        fit = _put_away(work, raw, fit, row, {"no item id": lambda: nothing})
    columns = {"time": time, "row": row, **_columns(found, table, item.codes)}
    rows = decide_source(Rows(columns, user, item, query, counts), found, table, roles.among(fit))
    work.ledger.record(row[fit & roles.ends], FILTERED, "marks the end of a search")
    fit &= ~roles.ends
    rows = rows.select(fit)
    if table.slate:
        rows = add_shown(rows, found.texts["slate"].filter(fit), table.slate.list or ",")
    return _merge_groups(work, rows) if table.group_by else rows


def _enter(work: Workspace, raw: RawTable, found: Batches, name: str) -> CodeArray:
    """Enter a file in the ledger; the ledger's number of the row of each entry."""
    refused = [number for number, _, _ in raw.rejects]
    number: Any = found.arrays["row"] if raw.is_packed else raw.row_numbers()
    size = int(max(number.max(initial=0), *refused, 0))
    start = work.ledger.open(name, size).start
    for reason in sorted({reason for _, reason, _ in raw.rejects}):
        rejects = [reject for reject in raw.rejects if reject[1] == reason]
        numbers = np.array([number for number, _, _ in rejects], dtype=np.int64)
        work.quarantine.add(name, reason, numbers, [text for _, _, text in rejects])
        work.ledger.record(start + numbers - 1, QUARANTINED, reason)
    is_small = start + size < 2**31
    return np.asarray(number + (start - 1), dtype=np.int32 if is_small else np.int64)


def _items(found: Batches, table: Table) -> Coded:
    if table.item is None:
        return Coded.none(found.size)
    return Coded.from_column(found.texts["item"], table.item.missing)


def _times(found: Batches, table: Table, file: str) -> IntArray:
    """Times in UTC; refuses a column that is not in the unit it is declared in."""
    time = found.time
    if table.time.zone is not None:
        is_local: Any = found.arrays["is_local"]
        local = np.flatnonzero(is_local & ~found.faults["time"])
        time[local] -= zone_offsets(time[local], table.time.zone)
    fit = found.kept & ~found.faults["time"]
    check_unit(time[fit], table.time.unit, "/".join(table.time.column), file)
    return time


def _columns(found: Batches, table: Table, item: CodeArray) -> dict[str, Array]:
    size, given = found.size, found.arrays
    action = given.get("action", constant(ACTIONS.index(table.action.yes), size, np.int8))
    if (item == NO_ROW).any():
        action = np.where(item == NO_ROW, np.int8(SEARCHED), action)
    codes = {
        name: codes_of(found.texts[name]) if name in found.texts else constant(-1, size, np.int32)
        for name in ("search", "group")
    }
    return {
        "action": action,
        "position": given.get("position", constant(-1, size, np.int32)),
        "weight": given.get("weight", constant(1, size, np.float32)),
        **codes,
    }


def _faults(
    found: Batches, table: Table, time: IntArray, now: int
) -> dict[str, Callable[[], BoolArray]]:
    masks = {f"unreadable {name}": mask for name, mask in found.faults.items()}
    if table.time.unit not in ("ordinal", "none"):
        # Looked at only after unreadable times, which hold a place-holder, are put away.
        masks |= time_faults(time, found.faults["time"], now)
    return {reason: partial(np.asarray, mask) for reason, mask in masks.items()}


def _put_away(
    work: Workspace,
    raw: RawTable,
    kept: BoolArray,
    row: CodeArray,
    faults: dict[str, Callable[[], BoolArray]],
) -> BoolArray:
    """Quarantine the kept entries that have a fault, under their first; True where one is fit."""
    fit = kept.copy()
    for reason, find in faults.items():
        bad = find() & fit
        places = np.flatnonzero(bad)
        if len(places) == 0:
            continue
        fit &= ~bad
        file = work.ledger.files[-1]
        numbers = row[places].astype(np.int64) - file.start + 1
        work.quarantine.add(file.name, reason, numbers, raw.texts_of(places))
        work.ledger.record(row[places], QUARANTINED, reason)
    return fit


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
