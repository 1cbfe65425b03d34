"""Embeddings as files for other tools: Parquet, NumPy, safetensors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sargraph.core.artifact import writing
from sargraph.core.errors import ConfigError, nearest
from sargraph.core.table import write_tensors
from sargraph.embedding.embeddings import Embeddings


def export(embeddings: Embeddings, path: Path | str, format: str = "parquet") -> Path:
    """Write every table to the folder `path`; returns it.

    - parquet: `user.parquet`, .. with columns id, name and vector (a list of dim floats);
    - npy: `user.npy`, .. [rows, dim] and `user.json`, .. with ids and names in row order;
    - safetensors: `tables.safetensors` and `ids.json`, ids by kind in row order.

    The folder appears whole or not at all and has a manifest that names the embeddings it came
    from. Raises ConfigError for an unknown format, ArtifactError for a foreign folder at `path`.
    """
    if format not in FORMATS:
        raise ConfigError(f"unknown export format '{format}'; {nearest(format, FORMATS)}")
    about = {"format": format, "model": embeddings.model}
    parents = {"embeddings": embeddings.content_hash} if embeddings.content_hash else {}
    with writing(path, "export", config=about, seed=embeddings.seed, parents=parents) as folder:
        FORMATS[format](embeddings, folder)
    return Path(path)


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
        vocabulary = embeddings.vocabularies[kind]
        _write_json(folder / f"{kind}.json", {"ids": vocabulary.ids, "names": vocabulary.names})


def _safetensors(embeddings: Embeddings, folder: Path) -> None:
    write_tensors(folder / "tables.safetensors", dict(embeddings.tables))
    ids = {kind: embeddings.vocabularies[kind].ids for kind in embeddings.tables}
    _write_json(folder / "ids.json", ids)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False) + "\n", encoding="utf-8")


FORMATS: dict[str, Callable[[Embeddings, Path], None]] = {
    "parquet": _parquet,
    "npy": _npy,
    "safetensors": _safetensors,
}
"""How each format is written."""
