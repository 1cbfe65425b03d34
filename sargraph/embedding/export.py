"""Embeddings as files for other tools: Parquet, NumPy, safetensors, CSV, word2vec, faiss."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sargraph.core.artifact import writing
from sargraph.core.errors import BadInputError, ConfigError, nearest
from sargraph.core.table import write_tensors
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.export_csv import write_csv
from sargraph.embedding.export_faiss import write_faiss
from sargraph.embedding.export_ids import write_ids, write_json
from sargraph.embedding.export_word2vec import write_word2vec

# Lower case only: `User` and `user` are one file on some systems. `manifest` is the artefact's own,
# and Windows opens a device for `con.csv` or `nul.csv`.
KIND_NAME = re.compile(r"(?!(manifest|con|prn|aux|nul|(com|lpt)[0-9])\Z)[a-z0-9][a-z0-9_-]{0,63}")


def export(embeddings: Embeddings, path: Path | str, format: str = "parquet") -> Path:
    """Write every table to the folder `path`; returns it.

    - parquet: `user.parquet`, .. with columns id, name and vector (a list of dim floats);
    - npy: `user.npy`, .. [rows, dim] and `user.json`, .. with ids and names in row order;
    - safetensors: `tables.safetensors` and `ids.json`, ids by kind in row order;
    - csv: `user.csv`, .. with columns id, name, v0, .., no cell of which a spreadsheet runs;
    - word2vec: `user.txt`, .., the text format, without names, ids percent-encoded where needed;
    - faiss: `user.faiss`, .., flat inner-product indices over rows of length 1, whose answers are
      cosines, and `user.json`, .. as for npy; read back with `read_index`;
    - faiss-dot: the same over the vectors as they are, whose answers are dot products.

    Every format gives back the ids and (faiss: of the rows of length 1) the same float32 values.
    Ids stand inside files and never in their names. The folder appears whole or not at all and has
    a manifest with the hash of each file and of the embeddings it came from. Raises ConfigError
    for an unknown format, ArtifactError for a foreign folder at `path`, BadInputError for a kind
    that is no plain file name or an id that is no valid Unicode. Cost: O(numbers in the tables).
    """
    if format not in FORMATS:
        raise ConfigError(f"unknown export format '{format}'; {nearest(format, FORMATS)}")
    for kind in embeddings.tables:
        _check(embeddings, kind)
    about = {"format": format, "model": embeddings.model}
    parents = {"embeddings": embeddings.content_hash} if embeddings.content_hash else {}
    with writing(path, "export", config=about, seed=embeddings.seed, parents=parents) as folder:
        FORMATS[format](embeddings, folder)
    return Path(path)


def _check(embeddings: Embeddings, kind: str) -> None:
    """Refuse what could lead out of the folder, or could not be written, before a file is made."""
    if not KIND_NAME.fullmatch(kind):
        raise BadInputError(
            f"got a table of the kind {kind!r}, expected a name that can be a file's: lower-case "
            "letters, digits, _ and -, at most 64, not 'manifest'; rename the table"
        )
    vocabulary = embeddings.vocabularies[kind]
    for text in (*vocabulary.ids, *vocabulary.names):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise BadInputError(
                f"the {kind} id or name {text!r} holds half a character, expected valid Unicode; "
                "mend the text in the logs"
            ) from None


def _parquet(embeddings: Embeddings, folder: Path) -> None:
    for kind, table in embeddings.tables.items():
        vocabulary = embeddings.vocabularies[kind]
        flat = pa.array(np.ascontiguousarray(table).reshape(-1))
        columns = {
            "id": pa.array(vocabulary.ids, pa.string()),
            "name": pa.array(vocabulary.names, pa.string()),
            "vector": pa.FixedSizeListArray.from_arrays(flat, table.shape[1]),
        }
        pq.write_table(pa.table(columns), folder / f"{kind}.parquet")


def _npy(embeddings: Embeddings, folder: Path) -> None:
    for kind, table in embeddings.tables.items():
        np.save(folder / f"{kind}.npy", table, allow_pickle=False)
        write_ids(folder / f"{kind}.json", embeddings.vocabularies[kind])


def _safetensors(embeddings: Embeddings, folder: Path) -> None:
    write_tensors(folder / "tables.safetensors", dict(embeddings.tables))
    ids = {kind: embeddings.vocabularies[kind].ids for kind in embeddings.tables}
    write_json(folder / "ids.json", ids)


FORMATS: dict[str, Callable[[Embeddings, Path], None]] = {
    "parquet": _parquet,
    "npy": _npy,
    "safetensors": _safetensors,
    "csv": write_csv,
    "word2vec": write_word2vec,
    "faiss": partial(write_faiss, is_unit=True),
    "faiss-dot": partial(write_faiss, is_unit=False),
}
"""How each format is written."""
