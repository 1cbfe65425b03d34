"""Lookups: readable names of ids, and the items' own texts as terms."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, BoolArray, IntArray
from sargraph.events.reading.files import find_files, require_files
from sargraph.events.reading.identifiers import Coded, as_dictionary
from sargraph.events.reading.raw import load
from sargraph.events.reading.recipe_fields import TermsColumn
from sargraph.events.reading.workspace import Workspace
from sargraph.events.recipe import Lookup, Recipe
from sargraph.events.text import parse_terms


@dataclass
class Texts:
    """What the lookups say of one kind of ids: `names` by id, and terms of items.

    `pairs` are parallel arrays of item codes and codes into `term_code` (by first use).
    """

    names: dict[str, str] = field(default_factory=dict)
    pairs: list[tuple[IntArray, IntArray]] = field(default_factory=list)
    term_code: dict[str, int] = field(default_factory=dict)

    def name_of(self, id_: str) -> str:
        """The readable name, or the id where there is none."""
        return self.names.get(id_, id_)

    def terms(self, num_items: int) -> Ragged:
        """Term codes of each item, in the order of the file."""
        nothing = np.empty(0, dtype=np.int64)
        item, term = (np.concatenate(p) for p in zip((nothing, nothing), *self.pairs, strict=True))
        return Ragged.group(item, term, num_items)


def read_texts(
    work: Workspace, recipe: Recipe, folder: Path, of: str, ids: list[str], counts: Counter[str]
) -> Texts:
    """Read all lookups of one kind for the given sorted ids; the first word on an id counts.

    Adds to `counts` what was met. Raises DataError and RecipeError as `load` does.
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
    terms = [column.column for column in lookup.terms]
    wanted = [lookup.id, *([lookup.name] if lookup.name else []), *terms]
    raw = load(work, path, lookup, wanted)
    coded = Coded.from_column(raw.select({"id": raw.column(lookup.id)})["id"])
    raw.quarantine("no id", np.flatnonzero(coded.codes == NO_ROW))
    first, used = _first_of_each(coded, ids)
    counts["lookup_rows"] += raw.num_rows
    counts["lookup_duplicates"] += int(np.sum(coded.codes != NO_ROW)) - len(coded.ids)
    counts["lookup_unused"] += len(coded.ids) - len(first)
    fields = {f"terms{place}": raw.column(names) for place, names in enumerate(terms)}
    if lookup.name:
        fields["name"] = raw.column(lookup.name)
    if fields and len(first):
        chosen = work.register(pa.table({"place": first}))
        table = raw.select(fields, f"__place IN (SELECT place FROM {chosen})")
        _add(table, lookup, used, ids, texts, counts)
    raw.drop()


def _first_of_each(coded: Coded, ids: list[str]) -> tuple[IntArray, IntArray]:
    """Places (rising) of the first row of each id that is among `ids`, and its code there."""
    code_of = {id_: code for code, id_ in enumerate(ids)}
    codes, first = np.unique(coded.codes, return_index=True)
    first = first[codes != NO_ROW]
    used = np.array([code_of.get(id_, NO_ROW) for id_ in coded.ids], dtype=np.int64)
    first, used = first[used != NO_ROW], used[used != NO_ROW]
    order = np.argsort(first)
    return first[order].astype(np.int64), used[order]


def _add(
    table: pa.Table,
    lookup: Lookup,
    used: IntArray,
    ids: list[str],
    texts: Texts,
    counts: Counter[str],
) -> None:
    """Take names and terms of the chosen rows over into `texts`."""
    if lookup.name:
        for code, name in zip(used.tolist(), table["name"].to_pylist(), strict=True):
            if name and name.strip():
                texts.names.setdefault(ids[code], " ".join(name.split()))
    for place, column in enumerate(lookup.terms):
        distinct = as_dictionary(table[f"terms{place}"])
        terms, unreadable = _parse(distinct.dictionary.to_pylist(), column, texts.term_code)
        codes = np.asarray(pc.fill_null(distinct.indices, NO_ROW), dtype=np.int64)
        rows = terms.take(codes)
        texts.pairs.append((np.repeat(used, rows.lengths), rows.values))
        counts["unreadable_item_text"] += int(unreadable[codes].sum())


def _parse(
    raw: list[str], column: TermsColumn, term_code: dict[str, int]
) -> tuple[Ragged, BoolArray]:
    """Term codes of each distinct text, and which were unreadable; the last row is "no text"."""
    values, lengths, unreadable = array("q"), array("q"), []
    for text in (*raw, None):
        terms, is_readable = parse_terms(text, column)
        values.extend(term_code.setdefault(term, len(term_code)) for term in terms)
        lengths.append(len(terms))
        unreadable.append(not is_readable)
    flat, sizes = np.array(values, dtype=np.int64), np.array(lengths, dtype=np.int64)
    return Ragged.from_lengths(flat, sizes), np.array(unreadable)
