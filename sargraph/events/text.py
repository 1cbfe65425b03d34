"""Texts: from raw query strings and term lists to terms, and from terms to one canonical query."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from sargraph.events.reading.recipe_fields import TermsColumn

WHOLE_NUMBER = r"^([+-]?[0-9]+)\.0*$"
"""A whole number written as a float, such as `7.0`; its id is the digits before the point."""

MAX_TERM_LENGTH = 100

_whole_number = re.compile(WHOLE_NUMBER)
_control = re.compile(r"[\x00-\x08\x0e-\x1b\x7f]")


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
        return (", " if self.is_set else " ").join(names(term) for term in self.terms)


def as_set(terms: Sequence[str]) -> Query:
    """The query of a set of terms: sorted, each once."""
    return Query(tuple(sorted(set(terms))), is_set=True)


def normalise(text: str) -> str:
    """Unicode NFC, lowercase, no control characters, single spaces, none at the ends."""
    folded = unicodedata.normalize("NFC", _control.sub("", text)).lower()
    # Lowercasing can leave a composed form apart, so the form is fixed once more.
    return unicodedata.normalize("NFC", " ".join(folded.split()))


@lru_cache(maxsize=1 << 20)
def canonical_id(text: str) -> str:
    """One spelling per id: NFC, stripped, `7.0` as `7`; `007` stays itself."""
    return _whole_number.sub(r"\1", unicodedata.normalize("NFC", text.strip()))


def words(text: str) -> list[str]:
    """Lowercased words between white space, each cut at 100 characters."""
    return [word[:MAX_TERM_LENGTH] for word in normalise(text).split()]


def tag(text: str) -> list[str]:
    """The whole text as one lowercased term; `|` joins the terms of sets and becomes `/`."""
    whole = normalise(text).replace("|", "/")[:MAX_TERM_LENGTH].strip()
    return [whole] if whole else []


def word_id(text: str) -> list[str]:
    """The id of a term as given; inner white space becomes `_` so that query ids stay unique."""
    whole = "_".join(canonical_id(text).split()).replace("|", "/")
    return [whole] if whole else []


TOKENISERS: dict[str, Callable[[str], list[str]]] = {
    "whitespace": words,
    "ids": word_id,
    "tag": tag,
}


def parse_terms(raw: str | None, column: TermsColumn) -> tuple[list[str], bool]:
    """The terms of one raw value, and whether the value was readable.

    A list that cannot be read gives no terms and False; an empty value gives no terms and True.
    """
    if raw is None or not raw.strip():
        return [], True
    entries = _entries(raw, column.list)
    if entries is None:
        return [], False
    tokenise = TOKENISERS[column.tokens]
    kept = [entry for entry in entries if entry.strip() not in column.missing]
    return [column.prefix + term for entry in kept for term in tokenise(entry)], True


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
