"""Tokens: one spelling per text and per id, and the ways to cut a text into terms."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache

WHOLE_NUMBER = r"^([+-]?[0-9]+)\.0*$"
"""A whole number written as a float, such as `7.0`; its id is the digits before the point."""

MAX_TERM_LENGTH = 100

_whole_number = re.compile(WHOLE_NUMBER)

# Control characters, and marks that show nothing: zero-width spaces, byte order and direction
# marks, soft hyphens. The joiners U+200C and U+200D stay: emoji and some scripts are spelt by them.
_unseen = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f\xad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)

_JOINERS = "\u200c\u200d"

# Han with its extensions and compatibility forms, kana with half-width forms, Hangul syllables.
_CJK = (
    "\u3005\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U000323af"
)
_runs = re.compile(f"([{_CJK}]+)|([^{_CJK}]+)")
_pair = re.compile(f"[{_CJK}]{{2}}")


def normalise(text: str) -> str:
    """Unicode NFC, lowercase, no unseen characters, single spaces, none at the ends."""
    folded = unicodedata.normalize("NFC", _unseen.sub("", text)).lower()
    seen = (word for word in folded.split() if word.strip(_JOINERS))
    # Lowercasing can leave a composed form apart, so the form is fixed once more.
    return unicodedata.normalize("NFC", " ".join(seen))


@lru_cache(maxsize=1 << 20)
def canonical_id(text: str) -> str:
    """One spelling per id: NFC, stripped, `7.0` as `7`; `007` stays itself."""
    return _whole_number.sub(r"\1", unicodedata.normalize("NFC", text.strip()))


def words(text: str) -> list[str]:
    """Lowercased words between white space, each cut at 100 characters."""
    return [word[:MAX_TERM_LENGTH] for word in normalise(text).split()]


def characters(text: str) -> list[str]:
    """Words, with each CJK character and each pair of neighbouring ones as a term of its own.

    Such scripts have no spaces: `红色手机` gives `红 红色 色 色手 手 手机 机`, so that a query
    shares terms with another that holds the same word. Runs of other scripts are whole words.
    """
    terms: list[str] = []
    for cjk, other in (
        run.groups() for word in normalise(text).split() for run in _runs.finditer(word)
    ):
        if other:
            terms.append(other[:MAX_TERM_LENGTH])
        for place in range(len(cjk or "")):
            terms += [cjk[place : place + size] for size in (1, 2) if place + size <= len(cjk)]
    return terms


def in_words(terms: Sequence[str]) -> list[str]:
    """The words that terms of `characters` came from: pairs left out, their signs put together.

    `红 红色 色` gives `红色`. Terms of other tokenisers stay as they are.
    """
    found: list[str] = []
    joins = False
    for place, term in enumerate(terms):
        is_pair = 0 < place < len(terms) - 1 and term == terms[place - 1] + terms[place + 1]
        if is_pair and _pair.fullmatch(term):
            joins = True
        elif joins:
            found[-1] += term
            joins = False
        else:
            found.append(term)
    return found


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
    "characters": characters,
}
