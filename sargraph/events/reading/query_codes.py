"""Query codes: the distinct queries of one log, and the code of each row."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sargraph.core.types import NO_ROW, BoolArray, CodeArray, IntArray
from sargraph.events.reading.identifiers import as_dictionary
from sargraph.events.reading.recipe_fields import TermsColumn
from sargraph.events.text import Query, as_set, parse_terms


@dataclass(frozen=True)
class QueryCodes:
    """Distinct `queries` in order of first use; `codes` [n], -1 = a row without a query."""

    queries: list[Query]
    codes: CodeArray

    @classmethod
    def none(cls, size: int) -> QueryCodes:
        """Rows of a log that has no queries."""
        return cls([], np.broadcast_to(np.int32(NO_ROW), (size,)))

    def select(self, chosen: BoolArray | IntArray) -> QueryCodes:
        """The chosen rows."""
        return QueryCodes(self.queries, self.codes[chosen])

    @property
    def is_empty(self) -> BoolArray:
        """True where the query of a row has no terms, or there is none."""
        empty = np.array([not query.terms for query in self.queries] + [True])
        return np.asarray(empty[self.codes])


def code_queries(
    column: pa.ChunkedArray, how: TermsColumn, max_terms: int, fit: BoolArray
) -> tuple[QueryCodes, Counter[str]]:
    """Parse each distinct raw text once; counts are over the `fit` rows.

    An empty value and a list that cannot be read are the empty query (no terms), counted as
    `empty_query` and `unreadable_list`. Terms after `max_terms` are cut, counted as `cut_query`.
    """
    raw = as_dictionary(column)
    code_of: dict[Query, int] = {}
    codes: list[int] = []
    fates: dict[str, list[bool]] = {"unreadable_list": [], "empty_query": [], "cut_query": []}
    for text in (*_as_texts(raw.dictionary), None):  # the last entry serves a missing text
        terms, is_readable = parse_terms(text, how)
        kept = terms[:max_terms]
        query = as_set(kept) if how.tokens == "tag" else Query(tuple(kept))
        codes.append(code_of.setdefault(query, len(code_of)))
        fates["unreadable_list"].append(not is_readable)
        fates["empty_query"].append(is_readable and not terms)
        fates["cut_query"].append(len(terms) > max_terms)
    places = np.asarray(pc.fill_null(raw.indices, NO_ROW))
    uses = np.bincount(places[fit] + 1, minlength=len(codes))  # missing texts come first here
    uses = np.append(uses[1:], uses[0])
    counts = {name: int(uses[np.array(hit)].sum()) for name, hit in fates.items()}
    table = np.array(codes, dtype=np.int32)
    return QueryCodes(list(code_of), table[places]), Counter(counts)


def _as_texts(values: pa.Array) -> list[str | None]:
    texts: list[str | None] = pc.cast(values, pa.string()).to_pylist()
    return texts


def union_by_group(rows: QueryCodes, member: IntArray, num_groups: int) -> QueryCodes:
    """One query per group: the set of all terms of its rows. `member` is each row's group."""
    terms: list[set[str]] = [set() for _ in range(num_groups)]
    for group, code in zip(member.tolist(), rows.codes.tolist(), strict=True):
        terms[group].update(rows.queries[code].terms)
    code_of: dict[Query, int] = {}
    codes = [code_of.setdefault(as_set(list(group)), len(code_of)) for group in terms]
    return QueryCodes(list(code_of), np.array(codes, dtype=np.int32))


def unite_queries(parts: list[QueryCodes]) -> tuple[list[Query], list[CodeArray]]:
    """The distinct queries of all parts, and for each part the new code of each of its queries."""
    code_of: dict[Query, int] = {}
    tables: list[CodeArray] = [
        np.array([code_of.setdefault(q, len(code_of)) for q in part.queries], dtype=np.int32)
        for part in parts
    ]
    return list(code_of), tables
