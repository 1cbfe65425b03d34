"""Slates: the items that were shown together, out of lists in one column."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sargraph.core.types import IntArray

_UNIT = "\x1f"
"""Between entries of JSON lists once they are read: no id holds it."""


def read_slates(column: pa.ChunkedArray, separator: str) -> tuple[IntArray, IntArray, pa.Array]:
    """The shown items of every row: their row, their place in its list (from 0), their id.

    `column` holds texts, `separator` stands between entries, or is "json" for JSON lists. Entries
    are stripped; an empty one counts in the places and is left out, and a row without a list, or
    with one that cannot be read, shows nothing. Arrays int64 [shown], int64 [shown], string
    [shown], in the order of rows and lists. Cost: O(characters).
    """
    parts = [_read(chunk, separator) for chunk in column.chunks]
    starts = np.cumsum([0, *(len(chunk) for chunk in column.chunks)])
    row = [np.empty(0, np.int64), *(s + rows for s, (rows, *_) in zip(starts, parts, strict=False))]
    place = [np.empty(0, np.int64), *(places for _, places, _ in parts)]
    shown = pa.concat_arrays([pa.array([], pa.string()), *(shown for *_, shown in parts)])
    return np.concatenate(row), np.concatenate(place), shown


def _read(texts: pa.Array, separator: str) -> tuple[IntArray, IntArray, pa.Array]:
    if separator == "json":
        texts, separator = _without_brackets(texts), _UNIT
    lists = pc.split_pattern(pc.fill_null(texts, ""), pattern=separator)
    shown = pc.utf8_trim_whitespace(pc.list_flatten(lists))
    lengths = np.asarray(pc.list_value_length(lists), dtype=np.int64)
    row = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
    place = np.arange(len(row), dtype=np.int64) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    is_shown = pc.not_equal(shown, "")
    chosen = np.asarray(is_shown, dtype=np.bool_)
    return row[chosen], place[chosen], shown.filter(is_shown)


def _without_brackets(texts: pa.Array) -> pa.Array:
    """JSON lists as their entries with a control character between them."""
    distinct = texts.dictionary_encode()
    lists = [_entries(text) for text in distinct.dictionary.to_pylist()]
    return pa.array([_UNIT.join(entries) for entries in lists], pa.string()).take(distinct.indices)


def _entries(text: str) -> list[str]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return []
    is_list = isinstance(values, list) and all(type(v) in (str, int, float) for v in values)
    return [str(value) for value in values] if is_list else []
