"""Rows: one log read by its recipe, every field typed, every unusable row in quarantine."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sargraph.core.types import NO_ROW, NO_TIME, Array, BoolArray, DoubleArray, IntArray
from sargraph.events.reading.fields import expressions, needed_columns, number_columns
from sargraph.events.reading.identifiers import Coded, codes_of
from sargraph.events.reading.query_codes import QueryCodes, code_queries, union_by_group
from sargraph.events.reading.raw import RawTable, load
from sargraph.events.reading.recipe_fields import ActionRule
from sargraph.events.reading.times import check_unit, time_faults
from sargraph.events.reading.workspace import Workspace
from sargraph.events.recipe import Recipe, Table
from sargraph.events.schema import ACTIONS, SEARCHED, SOURCES

MAX_NUMBER = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Rows:
    """The usable rows of one log, in its order.

    `columns` are arrays of one length: time, source, action, search (a code: rows of one search
    share it), group (a code or -1), position, weight. `counts` says what became of the rows of
    the file.
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
        return replace(
            self,
            columns={name: column[chosen] for name, column in self.columns.items()},
            user=self.user.select(chosen),
            item=self.item.select(chosen),
            query=self.query.select(chosen),
        )


def read_rows(work: Workspace, table: Table, path: Path, recipe: Recipe, now: int) -> Rows:
    """Read one file of a table; rows of a group become one.

    Raises DataError and RecipeError (see `raw.load` and `times.check_unit`).
    """
    raw = load(work, path, table, needed_columns(table))
    found = raw.select(expressions(table, raw))
    kept = _kept(found, len(table.keep))
    user = Coded.from_column(found["user"], table.user.missing)
    item = _items(found, table)
    time = np.asarray(pc.fill_null(found["time"], NO_TIME), dtype=np.int64)
    faults = {
        "no user id": user.codes == NO_ROW,
        "no item id": (item.codes == NO_ROW) & _needs_item(table),
        **_time_faults(found, time, kept, table, path.name, now),
        **_number_faults(found, table),
    }
    fit = _put_away(raw, kept, faults)
    query, counts = QueryCodes.none(len(found)), Counter[str]()
    if table.query:
        query, counts = code_queries(found["query"], table.query, recipe.max_query_terms, fit)
    num_kept, num_fit = int(kept.sum()), int(fit.sum())
    counts["rows"] = raw.num_rows
    counts["left_out"] = len(raw) - num_kept
    counts["quarantined"] = raw.num_rejects + num_kept - num_fit
    raw.drop()
    columns = _columns(table, found, time, item.codes)
    rows = Rows(columns, user, item, query, counts).select(fit)
    return _merge_groups(rows) if table.group_by else rows


def _merge_groups(rows: Rows) -> Rows:
    """One row per group, the first of it; its query is the set of all terms of the group."""
    group: Any = rows.columns["group"]
    first, member = np.unique(group, return_index=True, return_inverse=True)[1:]
    query = union_by_group(rows.query, member, len(first))
    order = np.argsort(first)
    counts = Counter({**rows.counts, "merged": len(rows) - len(first)})
    return replace(rows.select(first[order]), query=query.select(order), counts=counts)


def _columns(table: Table, found: pa.Table, time: IntArray, item: IntArray) -> dict[str, Array]:
    position = np.nan_to_num(_numbers(found, "position", NO_ROW), posinf=0, neginf=0)
    return {
        "time": time,
        "source": np.full(len(time), SOURCES.index(table.source), dtype=np.int8),
        "action": _actions(table.action, found, item),
        "search": _codes(found, "search"),
        "group": _codes(found, "group"),
        "position": np.clip(position, -MAX_NUMBER, MAX_NUMBER).astype(np.int32),
        "weight": np.clip(_numbers(found, "weight", 1), 0, MAX_NUMBER).astype(np.float32),
    }


def _kept(found: pa.Table, num_conditions: int) -> BoolArray:
    kept = np.ones(len(found), dtype=bool)
    for place in range(num_conditions):
        kept &= np.asarray(found[f"keep{place}"])
    return kept


def _items(found: pa.Table, table: Table) -> Coded:
    if table.item is None:
        return Coded([], np.full(len(found), NO_ROW, dtype=np.int64))
    return Coded.from_column(found["item"], table.item.missing)


def _needs_item(table: Table) -> bool:
    return table.item is not None and not table.item.optional


def _time_faults(
    found: pa.Table, time: IntArray, kept: BoolArray, table: Table, file: str, now: int
) -> dict[str, BoolArray]:
    is_null = np.asarray(pc.is_null(found["time"]))
    if table.time.unit == "ordinal":
        return {"unreadable time": is_null}
    check_unit(time[kept & ~is_null], table.time.unit, "/".join(table.time.column), file)
    return time_faults(time, is_null, now)


def _number_faults(found: pa.Table, table: Table) -> dict[str, BoolArray]:
    faults = {}
    for name in number_columns(table):
        values = _numbers(found, name, np.nan)
        bad = ~(np.abs(values) <= MAX_NUMBER)
        faults[f"unreadable {name}"] = bad | (values < 0) if name == "weight" else bad
    return faults


def _put_away(raw: RawTable, kept: BoolArray, faults: dict[str, BoolArray]) -> BoolArray:
    """Quarantine the kept rows that have a fault, under their first; True where a row is fit."""
    fit = kept.copy()
    for reason, bad in faults.items():
        raw.quarantine(reason, np.flatnonzero(fit & bad))
        fit &= ~bad
    return fit


def _actions(rule: ActionRule, found: pa.Table, item: IntArray) -> Array:
    yes, no = ACTIONS.index(rule.yes), ACTIONS.index(rule.no)
    decided = np.where(_numbers(found, "action", np.inf) >= rule.at_least, yes, no)
    return np.where(item == NO_ROW, SEARCHED, decided).astype(np.int8)


def _numbers(found: pa.Table, name: str, default: float) -> DoubleArray:
    """A field of numbers, `default` where the table has no such field, NaN where unreadable."""
    if name not in found.column_names:
        return np.full(len(found), default, dtype=np.float64)
    return np.asarray(pc.fill_null(found[name], np.nan), dtype=np.float64)


def _codes(found: pa.Table, name: str) -> IntArray:
    if name not in found.column_names:
        return np.full(len(found), NO_ROW, dtype=np.int64)
    return codes_of(found[name])
