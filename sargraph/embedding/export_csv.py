"""CSV that a spreadsheet opens without running what an id or a name says."""

from __future__ import annotations

import re
from pathlib import Path

from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.export_word2vec import float_format

SIGNS = "=+-@＝＋－＠"  # noqa: RUF001
"""What begins a formula; some East Asian settings take the wide signs too."""
SEPARATORS = ",;|\t\r\n"
"""Where some spreadsheet begins a new cell, whatever separator the file was written with."""
RISKY = re.compile(rf"['{re.escape(SIGNS)}]|\A[\t\r\n]")
GUARD = re.compile(rf"(?:\A|(?<=[{SEPARATORS}]))'")


def write_csv(embeddings: Embeddings, folder: Path) -> None:
    """Write `user.csv`, .. (RFC 4180, UTF-8): columns id, name, v0, .., text quoted, numbers not.

    Ids and names are `safe_cell` of theirs, floats have 9 significant digits. A spreadsheet can
    still show an id of digits as a number: import the column as text. Cost: O(rows · dim).
    """
    for kind, table in embeddings.tables.items():
        vocabulary = embeddings.vocabularies[kind]
        line = f'"%s","%s",{float_format(table.shape[1], ",")}\r\n'
        with (folder / f"{kind}.csv").open("w", encoding="utf-8", newline="") as file:
            file.write(",".join(["id", "name", *(f"v{n}" for n in range(table.shape[1]))]) + "\r\n")
            for id_, name, vector in zip(vocabulary.ids, vocabulary.names, table, strict=True):
                file.write(line % (_escaped(id_), _escaped(name), *vector.tolist()))


def safe_cell(text: str) -> str:
    """The text with an apostrophe before whatever a spreadsheet could take for a formula.

    Guarded are a text that begins with a tab or a line break, one whose first visible sign is one
    of `= + - @`, and such a sign behind a separator (`,` `;` `|`, tab, line break), where a
    spreadsheet with another separator begins a new cell. An apostrophe in such a place gets a
    second one, so that `text_of_cell` is the inverse. Cost: O(length).
    """
    if not RISKY.search(text):
        return text
    written, behind, is_formula = [], "", False  # from the end: what follows decides
    for sign in reversed(text):
        if sign in SEPARATORS and (is_formula or behind == "'"):
            written.append("'")
        written.append(sign)
        is_formula = sign in SIGNS or (is_formula and _is_skipped(sign))
        behind = sign
    if is_formula or behind in ("'", "\t", "\r", "\n"):
        written.append("'")
    return "".join(reversed(written))


def text_of_cell(cell: str) -> str:
    """The text that `safe_cell` made the cell of: without the apostrophe that begins a cell."""
    return GUARD.sub("", cell)


def _is_skipped(sign: str) -> bool:
    """True for what may stand before a formula: blanks, invisible signs, the quote of a cell."""
    return sign.isspace() or not sign.isprintable() or sign == '"'


def _escaped(text: str) -> str:
    return safe_cell(text).replace('"', '""')
