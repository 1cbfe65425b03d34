"""Ids and names beside exported vectors: JSON in row order."""

from __future__ import annotations

import json
from pathlib import Path

from sargraph.core.errors import ArtifactError
from sargraph.events.vocabulary import Vocabulary


def write_ids(path: Path, vocabulary: Vocabulary) -> None:
    """Write `{"ids": [..], "names": [..]}`, one of each per row."""
    write_json(path, {"ids": vocabulary.ids, "names": vocabulary.names})


def read_ids(content: bytes, where: Path) -> Vocabulary:
    """The vocabulary in the bytes that `write_ids` wrote to the file `where`.

    Raises ArtifactError for anything else.
    """
    try:
        about = json.loads(content)
        ids, names = about["ids"], about["names"]
        if not all(isinstance(text, str) for text in (*ids, *names)):
            raise ValueError("an id or a name is no text")
        return Vocabulary(ids, names)
    except (ValueError, TypeError, KeyError) as error:
        raise ArtifactError(
            f"{where} cannot be read ({error}), expected ids and names; export again"
        ) from None


def write_json(path: Path, value: object) -> None:
    """Write one line of JSON in UTF-8."""
    path.write_text(json.dumps(value, ensure_ascii=False) + "\n", encoding="utf-8")
