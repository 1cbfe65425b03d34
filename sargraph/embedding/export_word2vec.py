"""The text format of word2vec: a header, then one line per id."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote, unquote

from sargraph.embedding.embeddings import Embeddings

# What some reader splits or trims at: white space of any script, control characters, the byte
# order mark; and the sign of the encoding itself.
UNSAFE = re.compile(r"[\s%\x00-\x20\x7f-\x9f\ufeff]")
EMPTY = "%"


def write_word2vec(embeddings: Embeddings, folder: Path) -> None:
    """Write `user.txt`, ..: a line `rows dim`, then `word v_1 .. v_dim` per row, one space between.

    The word is `word_of_id(id)`. Floats have 9 significant digits, which name a float32 uniquely.
    Names are left out: the format has no place for them. Cost: O(rows · dim), one row in memory.
    """
    for kind, table in embeddings.tables.items():
        rows, dim = table.shape
        line = f"%s {float_format(dim, ' ')}\n"
        with (folder / f"{kind}.txt").open("w", encoding="utf-8", newline="") as file:
            file.write(f"{rows} {dim}\n")
            for id_, vector in zip(embeddings.vocabularies[kind].ids, table, strict=True):
                file.write(line % (word_of_id(id_), *vector.tolist()))


def word_of_id(id_: str) -> str:
    """The id as one word: white space, control characters and `%` as `%XX` per byte of UTF-8.

    The empty id becomes a lone `%`. Different ids give different words; `id_of_word` is the
    inverse, and for any other id so is the percent-decoding that every language has.
    """
    return UNSAFE.sub(lambda found: quote(found[0], safe=""), id_) or EMPTY


def id_of_word(word: str) -> str:
    """The id that `word_of_id` made the word of."""
    return "" if word == EMPTY else unquote(word)


def float_format(dim: int, separator: str) -> str:
    """A %-format of `dim` floats with 9 significant digits: text and back gives the same float32.

    (A float32 has at most 9; read as a double first, it still rounds to the same.)
    """
    return separator.join(["%.9g"] * dim)
