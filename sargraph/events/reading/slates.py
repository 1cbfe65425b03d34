"""Slates: the items that were shown together, out of lists in one column."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sargraph.core.types import IntArray


class Shown(NamedTuple):
    """The shown items in the order of rows and lists: the row of each, its place in the list
    (from 0), its id, each [shown]; and the length of every row's list, int64 [rows]."""

    row: IntArray
    place: IntArray
    item: pa.Array
    lengths: IntArray


def read_slates(column: pa.ChunkedArray, separator: str) -> Shown:
    """The shown items of every row.

    `column` holds texts, `separator` stands between entries, or is "json" for JSON lists. Entries
    are stripped; an empty one counts in the places and is left out, and a row without a list, or
    with one that cannot be read, shows nothing. Cost: O(characters).
    """
    lengths, entries = split_lists(column, separator)
    row = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
    place = np.arange(len(row), dtype=np.int64) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    is_shown = pc.not_equal(entries, "")
    chosen = np.asarray(is_shown, dtype=np.bool_)
    return Shown(row[chosen], place[chosen], entries.filter(is_shown), lengths)


def split_lists(
    column: pa.ChunkedArray, separator: str, *, with_null: bool = False
) -> tuple[IntArray, pa.Array]:
    """The length of every row's list, int64 [rows], and the stripped entries of all, string.

    A blank text, and a JSON list that cannot be read, have length 0. `with_null`: a JSON null is
    an empty entry; without it, it makes the list unreadable. Cost: O(characters).
    """
    parts = [_split(chunk, separator, with_null) for chunk in column.chunks]
    lengths = np.concatenate([np.empty(0, np.int64), *(own for own, _ in parts)])
    return lengths, pa.concat_arrays([pa.array([], pa.string()), *(own for _, own in parts)])


def _split(texts: pa.Array, separator: str, with_null: bool) -> tuple[IntArray, pa.Array]:
    texts = pc.fill_null(texts, "")
    if separator == "json":
        lists = _json_lists(texts, with_null)
    else:
        # A blank text would be split into one empty entry, and is no list.
        is_blank = pc.equal(pc.utf8_trim_whitespace(texts), "")
        lists = pc.split_pattern(texts, pattern=separator)
        lists = pc.if_else(is_blank, pa.scalar([], lists.type), lists)
    lengths = np.asarray(pc.list_value_length(lists), dtype=np.int64)
    return lengths, pc.utf8_trim_whitespace(pc.list_flatten(lists))


def _json_lists(texts: pa.Array, with_null: bool) -> pa.Array:
    distinct = texts.dictionary_encode()
    lists = [_entries(text, with_null) for text in distinct.dictionary.to_pylist()]
    return pa.array(lists, pa.list_(pa.string())).take(distinct.indices)


def _entries(text: str, with_null: bool) -> list[str]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return []
    kinds: tuple[Any, ...] = (str, int, float, type(None)) if with_null else (str, int, float)
    is_list = isinstance(values, list) and all(type(value) in kinds for value in values)
    return ["" if value is None else str(value) for value in values] if is_list else []
