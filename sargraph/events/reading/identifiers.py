"""Ids: one spelling per outside id, and codes by the order of the distinct ids.

The rule: an id is its text in Unicode NFC without white space at its ends; a whole number written
as a float is that number (`7.0` is `7`); leading zeros and the case of letters count (`007` is not
`7`). What the rule made one, and what merely looks alike, is counted and sampled for the report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sargraph.core.types import NO_ROW, BoolArray, CodeArray, IntArray
from sargraph.events.text import WHOLE_NUMBER

NOT_AN_ID = ("", "nan", "null", "none", "na", "<na>", "\\n")
"""Lowercased texts that stand for a missing id."""

SAMPLE = 5


@dataclass(frozen=True)
class Coded:
    """A column of ids as codes: `ids` are distinct and sorted, `codes` [n], -1 = no id.

    `joined` samples the spellings that became one id, as (spelling, id).
    """

    ids: list[str]
    codes: CodeArray
    num_joined: int = 0
    joined: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def none(cls, size: int) -> Coded:
        """Rows of a log that has no such column."""
        return cls([], np.broadcast_to(np.int32(NO_ROW), (size,)))

    @classmethod
    def from_column(cls, column: pa.ChunkedArray, missing: tuple[str, ...] = ()) -> Coded:
        """Code a column of texts or integers by its canonical ids; `missing` texts are no ids.

        Cost: a hash of the rows and a sort of the distinct values.
        """
        coded = as_dictionary(column)
        canonical = canonical_ids(coded.dictionary)
        if missing:
            absent = pc.is_in(canonical, value_set=canonical_ids(pa.array(missing, pa.string())))
            canonical = pc.if_else(absent, pa.scalar(None, pa.string()), canonical)
        distinct = pc.drop_null(pc.unique(canonical))
        ids = distinct.take(pc.array_sort_indices(distinct))
        code_of = _codes(pc.index_in(canonical, value_set=ids))
        joined = _joined(coded.dictionary, canonical, len(ids))
        return cls(ids.to_pylist(), chase(code_of, _codes(coded.indices)), *joined)

    def select(self, chosen: BoolArray | IntArray) -> Coded:
        """The chosen rows."""
        return Coded(self.ids, self.codes[chosen], self.num_joined, self.joined)

    @classmethod
    def unite(cls, parts: Sequence[Coded]) -> tuple[list[str], list[CodeArray]]:
        """The ids of all parts, sorted, and for each part the new code of each of its ids."""
        known = [pa.array(part.ids, pa.string()) for part in parts]
        distinct = pc.unique(pa.concat_arrays(known)) if known else pa.array([], pa.string())
        ids = distinct.take(pc.array_sort_indices(distinct))
        return ids.to_pylist(), [_codes(pc.index_in(own, value_set=ids)) for own in known]


def canonical_ids(raw: pa.Array) -> pa.Array:
    """Ids in their one spelling (as `text.canonical_id`); null where there is none."""
    if pa.types.is_integer(raw.type):
        return pc.cast(raw, pa.string())
    if pa.types.is_floating(raw.type):
        raw = pa.array([None if v is None else repr(v) for v in raw.to_pylist()], pa.string())
    clean = pc.utf8_normalize(pc.utf8_trim_whitespace(raw), form="NFC")
    is_missing = pc.is_in(pc.utf8_lower(clean), value_set=pa.array(NOT_AN_ID))
    clean = pc.if_else(is_missing, pa.scalar(None, pa.string()), clean)
    return pc.replace_substring_regex(clean, pattern=WHOLE_NUMBER, replacement=r"\1")


def _joined(raw: pa.Array, canonical: pa.Array, num_ids: int) -> tuple[int, list[tuple[str, str]]]:
    """How many spellings beyond one per id there are, and a sample of respelled ones."""
    num_joined = len(canonical) - canonical.null_count - num_ids
    if num_joined == 0 or pa.types.is_integer(raw.type):
        return num_joined, []
    texts = pc.cast(raw, pa.string())
    changed = pc.fill_null(pc.not_equal(texts, canonical), False)
    pairs = zip(texts.filter(changed)[:SAMPLE], canonical.filter(changed)[:SAMPLE], strict=True)
    return num_joined, [(spelling.as_py(), id_.as_py()) for spelling, id_ in pairs]


def as_dictionary(column: pa.ChunkedArray) -> Any:
    """A column as one dictionary array, its dictionary in order of first use."""
    if column.num_chunks == 0:
        return pa.array([], pa.string()).dictionary_encode()
    if not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(column)
    coded = column.unify_dictionaries().combine_chunks()
    return coded.chunk(0) if isinstance(coded, pa.ChunkedArray) else coded


def codes_of(column: pa.ChunkedArray) -> CodeArray:
    """Codes of the distinct values of a column in order of first use, -1 = null."""
    return _codes(as_dictionary(column).indices)


def chase(table: CodeArray, codes: CodeArray) -> CodeArray:
    """`table[codes]` where a code of -1 stays -1."""
    with_none = np.append(table, np.asarray(NO_ROW, dtype=table.dtype))
    return np.asarray(with_none[codes])


def count_alike(ids: list[str]) -> tuple[int, list[str]]:
    """Number of ids that differ from another only by leading zeros or case, and a sample."""
    groups: dict[str, str] = {}
    alike: list[str] = []
    num_alike = 0
    for id_ in ids:
        first = groups.setdefault(id_.casefold().lstrip("0") or "0", id_)
        if first != id_:
            num_alike += 1
            if len(alike) < SAMPLE:
                alike.append(f"{first} and {id_}")
    return num_alike, alike


def _codes(indices: pa.Array) -> CodeArray:
    return np.asarray(pc.fill_null(indices, NO_ROW))
