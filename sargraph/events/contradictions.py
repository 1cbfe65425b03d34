"""Contradictions: what a recipe says with known words and yet cannot mean."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sargraph.events.reading.recipe_fields import TimeColumn

if TYPE_CHECKING:  # recipe.py asks this file, so it cannot be imported here
    from sargraph.events.recipe import Lookup, Recipe, Table, Thin


def contradiction(recipe: Recipe) -> str | None:
    """The first thing in a recipe that cannot be meant, in one line, or None."""
    return next(_all(recipe), None)


def _all(recipe: Recipe) -> Iterator[str]:
    for source in (*recipe.tables, *recipe.lookups):
        if Path(source.file).is_absolute() or ".." in Path(source.file).parts:
            yield f"file '{source.file}' leads out of the source folder; give a path inside it"
    for table in recipe.tables:
        faults = (*_of_source(table), *_of_time(table.time, recipe.time_kind), *_of_rest(table))
        yield from (f"table '{table.file}': {fault}" for fault in faults)
    for lookup in recipe.lookups:
        yield from (f"lookup '{lookup.file}': {fault}" for fault in _of_lookup(lookup))
    if recipe.derive and not any(lookup.terms for lookup in recipe.lookups):
        yield "[derive] needs a lookup of items with terms"
    if recipe.thin and recipe.thin.max_items:
        yield from _of_thin(recipe.thin, recipe.core.min_user_items)
    cuts = recipe.split.cuts
    if cuts and recipe.split.kind != "global_time":
        yield "[split] `cuts` are times of kind = 'global_time'; leave one of the two out"
    if cuts and cuts[0] > cuts[1]:
        yield f"[split] `cuts` are (validation, test), got {list(cuts)}; the first must come first"


def _of_thin(thin: Thin, core_items: int) -> Iterator[str]:
    most = thin.max_items
    if thin.min_items > most:
        yield f"[thin] min_items = {thin.min_items} is above max_items = {most}; no user can stay"
    if core_items > most:
        yield (
            f"[thin] max_items = {most} is below min_user_items = {core_items} of [core]; no user "
            "can stay"
        )


def _of_source(table: Table) -> Iterator[str]:
    if table.source != "recommend" and table.query is None:
        yield f"a table of source '{table.source}' needs `query`"
    if table.source != "search" and table.item is None:
        yield f"a table of source '{table.source}' needs `item`"
    if table.source == "recommend" and (table.query is not None or table.search):
        yield "a recommend table has no `query` and no `search`"
    may_lack_item = table.source in ("search", "by_query")
    if table.item is not None and table.item.optional and not may_lack_item:
        yield "only the item of a search can be optional"
    if (table.source == "attributed") != (table.attribution is not None):
        yield "source = 'attributed' and `attribution` go together; give both or none"
    if table.source == "attributed" and table.search:
        yield "the searches of an attributed table are its opening rows; leave `search` out"
    both = set(table.attribution.opens) & set(table.attribution.ends) if table.attribution else ()
    if both:
        yield f"'{min(both)}' cannot both open and end a search"


def _of_time(time: TimeColumn, time_kind: str) -> Iterator[str]:
    kind = "ordinal" if time.unit == "ordinal" else "ms"
    if time.unit != "none" and kind != time_kind:
        yield f"time is in '{time.unit}' but time_kind is '{time_kind}'"
    if time.unit == "date" and not time.year:
        yield "time in date parts needs `year`"
    if time.constant is not None and (time.unit != "ordinal" or time.column):
        yield "a `constant` time is for unit 'ordinal' and needs no `column`"
    has_time = time.unit in ("none", "date") or time.column or time.constant is not None
    if not has_time:
        yield 'time needs `column`, or the text "none" where the log has no time'
    if time.elapsed and time.unit in ("ordinal", "none"):
        yield f"`elapsed` adds milliseconds to a time, and the unit is '{time.unit}'"
    if time.zone is not None:
        yield from _of_zone(time, time.zone)


def _of_zone(time: TimeColumn, zone: str) -> Iterator[str]:
    if time.unit not in ("iso", "date"):
        yield f"`zone` is for units 'iso' and 'date', not for '{time.unit}', which counts from UTC"
    if time.utc_offset != "+00:00":
        yield "give `zone` or `utc_offset`, not both"
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        yield f"unknown time zone '{zone}'; give an IANA name such as 'Asia/Shanghai'"


def _of_rest(table: Table) -> Iterator[str]:
    if table.group_by and table.query is None:
        yield "`group_by` joins the terms of a query, and there is none"
    if table.group_by and table.source != "search":
        yield "`group_by` is for tables of source 'search'"
    if table.slate and (table.item is None or table.group_by):
        yield "`slate` needs `item`, and rows that are not joined by `group_by`"
    if table.slate and not table.slate.list:
        yield '`slate` is a list; say how it is written, such as list = "|"'
    if table.slate_price and not table.slate:
        yield "`slate_price` holds the prices of a `slate`, and there is none"
    if table.slate_price and table.price:
        yield "`slate_price` gives the row's own item its price too; leave `price` or it out"
    if table.price and table.item is None:
        yield "`price` is that of an item, and there is no `item`"
    if table.attribution and table.attribution.minutes and table.time.unit in ("ordinal", "none"):
        yield "`minutes` of the attribution needs clock times"
    if table.action.values and not table.action.column:
        yield "the `values` of an action need the `column` they stand in"


def _of_lookup(lookup: Lookup) -> Iterator[str]:
    if lookup.of != "item" and (lookup.terms or lookup.categories):
        yield f"terms and categories are those of items, not of a {lookup.of}"
    if lookup.category_names and len(lookup.category_names) != len(lookup.categories):
        yield (
            f"{len(lookup.categories)} levels of categories have {len(lookup.category_names)} "
            "columns of names; give one for each level"
        )
    if lookup.of != "user" and lookup.follows:
        yield f"only users follow users, not a {lookup.of}"
