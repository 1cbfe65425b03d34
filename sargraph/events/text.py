"""Texts: from raw query strings and term lists to terms, and from terms to one canonical query."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sargraph.events.reading.recipe_fields import TermsColumn
from sargraph.events.reading.tokens import (
    TOKENISERS,
    WHOLE_NUMBER,
    canonical_id,
    in_words,
    normalise,
)

__all__ = [
    "WHOLE_NUMBER",
    "Query",
    "as_set",
    "canonical_id",
    "normalise",
    "parse_ids",
    "parse_terms",
]


class Query(NamedTuple):
    """The terms of a query, in order; those of a set (`is_set`) are sorted."""

    terms: tuple[str, ...]
    is_set: bool = False

    @property
    def id(self) -> str:
        """The canonical text: terms joined by a space, those of a set by `|`."""
        return ("|" if self.is_set else " ").join(self.terms)

    def name(self, names: Callable[[str], str]) -> str:
        """Readable text; `names` gives the readable form of a term."""
        readable = [names(term) for term in self.terms]
        return ", ".join(readable) if self.is_set else " ".join(in_words(readable))


def as_set(terms: Sequence[str]) -> Query:
    """The query of a set of terms: sorted, each once."""
    return Query(tuple(sorted(set(terms))), is_set=True)


def parse_terms(raw: str | None, column: TermsColumn) -> tuple[list[str], bool]:
    """The terms of one raw value, and whether the value was readable.

    A list that cannot be read gives no terms and False; an empty value gives no terms and True.
    """
    entries, is_readable = parse_entries(raw, column)
    tokenise = TOKENISERS[column.tokens]
    return [column.prefix + term for entry in entries for term in tokenise(entry)], is_readable


def parse_ids(raw: str | None, column: TermsColumn) -> tuple[list[str], bool]:
    """As `parse_terms`, of a list of ids, whose white space and signs are their own."""
    entries, is_readable = parse_entries(raw, column)
    return [id_ for id_ in map(canonical_id, entries) if id_], is_readable


def parse_entries(raw: str | None, column: TermsColumn) -> tuple[list[str], bool]:
    """The entries of one raw value that are not `missing`, and whether it was readable."""
    if raw is None or not raw.strip():
        return [], True
    entries = _entries(raw, column.list)
    if entries is None:
        return [], False
    return [entry for entry in entries if entry.strip() not in column.missing], True


def _entries(raw: str, how: str | None) -> list[str] | None:
    """The entries of a list as texts, or None where it cannot be read."""
    if how is None:
        return [raw]
    if how != "json":
        return raw.split(how)
    try:
        values = _JSON.decode(raw.strip())
    except (ValueError, RecursionError):
        return None
    plain = isinstance(values, list) and all(type(v) in (str, int, float) for v in values)
    return [str(value) for value in values] if plain else None


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not a term")


_JSON = json.JSONDecoder(parse_constant=_refuse)
