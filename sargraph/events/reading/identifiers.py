"""Ids: one spelling per outside id, and codes by the order of the distinct ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sargraph.core.types import NO_ROW, BoolArray, IntArray
from sargraph.events.text import WHOLE_NUMBER

NOT_AN_ID = ("", "nan", "null", "none", "na", "<na>", "\\n")
"""Lowercased texts that stand for a missing id."""


@dataclass(frozen=True)
class Coded:
    """A column of ids as codes: `ids` are distinct and sorted, `codes` int64 [n], -1 = no id."""

    ids: list[str]
    codes: IntArray

    @classmethod
    def from_column(cls, column: pa.ChunkedArray, missing: tuple[str, ...] = ()) -> Coded:
        """Code a column of texts by its canonical ids; `missing` texts are no ids.

        Cost: a hash of the rows and a sort of the distinct values.
        """
        coded = as_dictionary(column)
        canonical = canonical_ids(coded.dictionary)
        if missing:
            absent = pc.is_in(canonical, value_set=pa.array(missing))
            canonical = pc.if_else(absent, pa.scalar(None, pa.string()), canonical)
        distinct = pc.drop_null(pc.unique(canonical))
        ids = distinct.take(pc.array_sort_indices(distinct))
        code_of = _codes(pc.index_in(canonical, value_set=ids))
        return cls(ids.to_pylist(), chase(code_of, _codes(coded.indices)))

    def select(self, chosen: BoolArray | IntArray) -> Coded:
        """The chosen rows."""
        return Coded(self.ids, self.codes[chosen])

    @classmethod
    def unite(cls, parts: list[Coded]) -> Coded:
        """One coding of all parts, their rows one after the other."""
        ids = sorted(set().union(*(part.ids for part in parts)))
        code_of = {id_: code for code, id_ in enumerate(ids)}
        codes = [
            chase(np.array([code_of[i] for i in part.ids], dtype=np.int64), part.codes)
            for part in parts
        ]
        return cls(ids, np.concatenate(codes))


def canonical_ids(raw: pa.Array) -> pa.Array:
    """Ids in their one spelling (as `text.canonical_id`); null where there is none."""
    clean = pc.utf8_normalize(pc.utf8_trim_whitespace(raw), form="NFC")
    is_missing = pc.is_in(pc.utf8_lower(clean), value_set=pa.array(NOT_AN_ID))
    clean = pc.if_else(is_missing, pa.scalar(None, pa.string()), clean)
    return pc.replace_substring_regex(clean, pattern=WHOLE_NUMBER, replacement=r"\1")


def as_dictionary(column: pa.ChunkedArray) -> Any:
    """A column of texts as one dictionary array, its dictionary in order of first use."""
    if column.num_chunks == 0:
        return pa.array([], pa.string()).dictionary_encode()
    return pc.dictionary_encode(column).unify_dictionaries().combine_chunks()


def codes_of(column: pa.ChunkedArray) -> IntArray:
    """Codes of the distinct texts of a column in order of first use, -1 = null."""
    return _codes(as_dictionary(column).indices)


def chase(table: IntArray, codes: IntArray) -> IntArray:
    """`table[codes]` where a code of -1 stays -1."""
    if len(table) == 0:
        return np.full(len(codes), NO_ROW, dtype=np.int64)
    return np.where(codes == NO_ROW, NO_ROW, table[codes])


def count_alike(ids: list[str]) -> int:
    """Number of ids that differ from another one only by leading zeros, such as 007 and 7."""
    return len(ids) - len({id_.lstrip("0") or "0" for id_ in ids})


def _codes(indices: pa.Array) -> IntArray:
    return np.asarray(pc.fill_null(indices, NO_ROW), dtype=np.int64)
