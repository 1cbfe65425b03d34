"""Lookups: names, texts, categories and follows of the ids that the log uses."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, BoolArray, CodeArray, IntArray
from sargraph.events.events import Categories
from sargraph.events.reading.files import find_files, require_files
from sargraph.events.reading.identifiers import Coded, as_dictionary, canonical_ids
from sargraph.events.reading.raw import RawTable, open_raw
from sargraph.events.reading.recipe_fields import TermsColumn
from sargraph.events.reading.workspace import Workspace
from sargraph.events.recipe import Lookup, Recipe
from sargraph.events.text import parse_ids, parse_terms
from sargraph.events.vocabulary import Vocabulary

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass
class Grouped:
    """Terms (or categories, or followed users) of ids: parallel arrays of codes of ids and codes
    into `code_of` (by first use)."""

    pairs: list[tuple[CodeArray, CodeArray]] = field(default_factory=list)
    code_of: dict[str, int] = field(default_factory=dict)

    def rows(self, size: int, *, distinct: bool = False) -> Ragged:
        """Codes of each of `size` ids, in the order of the file; `distinct` ones once each."""
        nothing = np.empty(0, dtype=np.int64)
        key, value = (np.concatenate(p) for p in zip((nothing, nothing), *self.pairs, strict=True))
        if distinct:
            is_new = ~pd.DataFrame({"key": key, "value": value}).duplicated().to_numpy()
            key, value = key[is_new], value[is_new]
        return Ragged.group(key, value, size)


@dataclass
class Texts:
    """What the lookups say of one kind of ids: `names` by id, and what is grouped by item or user.

    A category is `level/id`.
    """

    names: dict[str, str] = field(default_factory=dict)
    item_terms: Grouped = field(default_factory=Grouped)
    item_categories: Grouped = field(default_factory=Grouped)
    followed: Grouped = field(default_factory=Grouped)
    category_names: dict[str, str] = field(default_factory=dict)

    @property
    def term_code(self) -> dict[str, int]:
        """Code of each term, by first use."""
        return self.item_terms.code_of

    def name_of(self, id_: str) -> str:
        """The readable name, or the id where there is none."""
        return self.names.get(id_, id_)

    def terms(self, num_items: int) -> Ragged:
        """Term codes of each item, in the order of the file."""
        return self.item_terms.rows(num_items)

    def categories(self, used: IntArray) -> Categories | None:
        """Categories of the items in use, the broadest level first; None without a category."""
        found = self.item_categories
        if not found.code_of:
            return None
        size = int(used.max(initial=-1)) + 1
        kept = [(k[k < size], v[k < size]) for k, v in found.pairs]
        of_item = Grouped(kept, found.code_of).rows(size, distinct=True).take(used)
        given = list(found.code_of)
        ids = sorted({given[code] for code in np.unique(of_item.values).tolist()}, key=_by_level)
        row_of = {id_: row for row, id_ in enumerate(ids)}
        table = np.array([row_of.get(id_, NO_ROW) for id_ in given], dtype=np.int64)
        return Categories(
            Vocabulary(ids, [self.category_names.get(id_, id_) for id_ in ids]),
            np.array([_by_level(id_)[0] for id_ in ids], dtype=np.int64),
            Ragged.from_lengths(table[of_item.values], of_item.lengths),
        )

    def follows(self, used: IntArray, num_users: int) -> Ragged | None:
        """Rows of the users in use that each of them follows; None where the log does not say."""
        if not self.followed.pairs:
            return None
        row_of = np.full(num_users + 1, NO_ROW, dtype=np.int64)
        row_of[used] = np.arange(len(used))
        follower, followed = (np.concatenate(p) for p in zip(*self.followed.pairs, strict=True))
        follower, followed = row_of[follower], row_of[followed]
        known = (follower != NO_ROW) & (followed != NO_ROW)
        pairs = np.unique(np.stack([follower[known], followed[known]]), axis=1)
        return Ragged.group(pairs[0], pairs[1], len(used))


def _by_level(category: str) -> tuple[int, str]:
    level, id_ = category.split("/", 1)
    return int(level), id_


def read_texts(
    work: Workspace, recipe: Recipe, folder: Path, of: str, ids: list[str], counts: Counter[str]
) -> Texts:
    """Read all lookups of one kind for the given sorted ids; the first word on an id counts.

    Adds to `counts` what was met. Raises DataError and RecipeError as `RawTable.scan` does.
    """
    texts = Texts()
    for lookup in recipe.lookups:
        if lookup.of != of:
            continue
        paths = (find_files if lookup.optional else require_files)(folder, lookup)
        counts["absent_lookups"] += not paths
        for path in paths:
            _read_lookup(work, lookup, path, ids, texts, counts)
    return texts


def _read_lookup(
    work: Workspace, lookup: Lookup, path: Path, ids: list[str], texts: Texts, counts: Counter[str]
) -> None:
    raw = open_raw(work, path, lookup)
    fields = _fields(lookup, raw)
    code, table = _chosen_rows(work, raw, fields, ids, counts, bool(lookup.follows))
    if lookup.name:
        _add_names(texts.names, [ids[c] for c in code.tolist()], table["name"])
    for place, column in enumerate(lookup.terms):
        counts["unreadable_item_text"] += _group(
            texts.item_terms, code, table[f"terms{place}"], column
        )
    for place, column in enumerate(lookup.categories):
        level = column.model_copy(update={"prefix": f"{place + 1}/{column.prefix}"})
        values = table[f"category{place}"]
        counts["unreadable_category"] += _group(texts.item_categories, code, values, level)
        if place < len(lookup.category_names):
            level_ids = _first_terms(values, level)
            _add_names(texts.category_names, level_ids, table[f"category_name{place}"])
    if lookup.follows:
        _add_follows(texts.followed, code, table["follows"], lookup.follows, ids, counts)


def _fields(lookup: Lookup, raw: RawTable) -> dict[str, str]:
    """SQL of the id and of every field that the lookup gives."""
    wanted = {"id": lookup.id, **({"name": lookup.name} if lookup.name else {})}
    wanted |= {f"terms{n}": column.column for n, column in enumerate(lookup.terms)}
    wanted |= {f"category{n}": column.column for n, column in enumerate(lookup.categories)}
    wanted |= {f"category_name{n}": names for n, names in enumerate(lookup.category_names)}
    if lookup.follows:
        wanted["follows"] = lookup.follows.column
    columns = {name: raw.typed_column(names) for name, names in wanted.items()}
    return {n: c.id if n == "id" else f"CAST({c.sql} AS VARCHAR)" for n, c in columns.items()}


def _chosen_rows(
    work: Workspace,
    raw: RawTable,
    fields: dict[str, str],
    ids: list[str],
    counts: Counter[str],
    repeats: bool,
) -> tuple[IntArray, pa.Table]:
    """Codes of the ids in use that the file speaks of, with their fields, in its order.

    Only rows of ids in use stay in memory; of the rows of one id only the first, unless it
    `repeats` (a file of pairs).
    """
    known = pa.array(ids, pa.string())
    met = np.zeros(len(ids), dtype=bool)
    codes, parts, spoken, missing = [], [], [], []
    offset = 0
    for batch in raw.scan(fields):
        column = batch.column("id").dictionary_encode()
        spoken.append(column)
        place = np.asarray(pc.fill_null(pc.index_in(canonical_ids(column.dictionary), known), -1))
        null = np.asarray(pc.is_null(canonical_ids(column.dictionary)))
        index = np.asarray(pc.fill_null(column.indices, -1))
        missing.append(offset + np.flatnonzero(np.append(null, True)[index]))
        code = np.append(place, NO_ROW)[index].astype(np.int64)
        chosen = code != NO_ROW if repeats else _first_of_each(code, met)
        codes.append(code[chosen])
        parts.append(pa.table(batch).filter(pa.array(chosen)))
        offset += batch.num_rows
    _account(work, raw, np.concatenate(missing), spoken, sum(map(len, codes)), counts)
    return np.concatenate(codes), pa.concat_tables(parts)


def _first_of_each(code: IntArray, met: BoolArray) -> BoolArray:
    """True at the first row of each code not met before; marks these as met."""
    chosen = np.zeros(len(code), dtype=bool)
    distinct, first = np.unique(code, return_index=True)
    new = (distinct != NO_ROW) & ~met[distinct]
    met[distinct[new]] = True
    chosen[first[new]] = True
    return chosen


def _account(
    work: Workspace,
    raw: RawTable,
    missing: IntArray,
    spoken: list[pa.Array],
    num_used: int,
    counts: Counter[str],
) -> None:
    """Count what a lookup held beyond the ids in use; rows without an id go to quarantine."""
    for number, reason, text in raw.rejects:
        work.quarantine.add(raw.file, reason, [number], [text])
    if len(missing):
        numbers = raw.row_numbers()[missing]
        work.quarantine.add(raw.file, "no id", numbers, raw.texts_of(missing))
    distinct = as_dictionary(pa.chunked_array(spoken)).dictionary
    num_ids = len(pc.drop_null(pc.unique(canonical_ids(distinct))))
    num_rows = raw.num_entries - len(missing)
    counts["lookup_rows"] += raw.num_entries + len(raw.rejects)
    counts["lookup_duplicates"] += num_rows - num_ids
    counts["lookup_unused"] += max(num_ids - num_used, 0)


def _add_names(names: dict[str, str], ids: list[str], values: pa.ChunkedArray) -> None:
    for id_, name in zip(ids, values.to_pylist(), strict=True):
        if id_ and (readable := _CONTROL.sub(" ", name or "").strip()):
            names.setdefault(id_, " ".join(readable.split()))


Parser: TypeAlias = Callable[[str | None, TermsColumn], tuple[list[str], bool]]


def _group(
    grouped: Grouped,
    code: IntArray,
    values: pa.ChunkedArray,
    column: TermsColumn,
    parse: Parser = parse_terms,
) -> int:
    """Add the terms of each text under the code of its id; returns how many were unreadable."""
    distinct = as_dictionary(values)
    terms, unreadable = _parse(distinct.dictionary.to_pylist(), column, grouped.code_of, parse)
    places: Any = np.asarray(pc.fill_null(distinct.indices, NO_ROW), dtype=np.int64)
    rows = terms.take(places)
    grouped.pairs.append((np.repeat(code, rows.lengths), rows.values))
    return int(unreadable[places].sum())


def _first_terms(values: pa.ChunkedArray, column: TermsColumn) -> list[str]:
    """The first term of each text, empty where it has none."""
    found: dict[str | None, str] = {}
    for text in values.unique().to_pylist():
        terms, _ = parse_terms(text, column)
        found[text] = terms[0] if terms else ""
    return [found[text] for text in values.to_pylist()]


def _add_follows(
    grouped: Grouped,
    code: IntArray,
    values: pa.ChunkedArray,
    column: TermsColumn,
    ids: list[str],
    counts: Counter[str],
) -> None:
    """Add the followed users that the log knows; the others are counted."""
    own = Grouped()
    counts["unreadable_follows"] += _group(own, code, values, column, parse_ids)
    coded = Coded.from_column(pa.chunked_array([pa.array(list(own.code_of), pa.string())]))
    code_of = {id_: place for place, id_ in enumerate(ids)}
    known = np.array([code_of.get(id_, NO_ROW) for id_ in coded.ids] + [NO_ROW], dtype=np.int64)
    table = known[coded.codes]
    follower, followed = own.pairs[0]
    target = table[followed] if len(table) else followed
    inside = target != NO_ROW
    counts["follows_unknown_user"] += int((~inside).sum())
    grouped.pairs.append((follower[inside], target[inside]))


def _parse(
    raw: list[str], column: TermsColumn, term_code: dict[str, int], parse: Parser
) -> tuple[Ragged, BoolArray]:
    """Term codes of each distinct text, and which were unreadable; the last row is "no text"."""
    values, lengths, unreadable = array("q"), array("q"), []
    for text in (*raw, None):
        terms, is_readable = parse(text, column)
        values.extend(term_code.setdefault(term, len(term_code)) for term in terms)
        lengths.append(len(terms))
        unreadable.append(not is_readable)
    flat, sizes = np.array(values, dtype=np.int64), np.array(lengths, dtype=np.int64)
    return Ragged.from_lengths(flat, sizes), np.array(unreadable)
