"""Exports can be read back by other tools and hold every id and vector."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from sargraph.core.artifact import read_manifest
from sargraph.core.errors import ArtifactError, ConfigError
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.export import FORMATS, export


def read_parquet(folder: Path, kind: str) -> tuple[list[str], np.ndarray]:
    frame = pd.read_parquet(folder / f"{kind}.parquet")
    assert list(frame.columns) == ["id", "name", "vector"]
    return frame["id"].tolist(), np.stack(frame["vector"].to_list())


def read_npy(folder: Path, kind: str) -> tuple[list[str], np.ndarray]:
    about = json.loads((folder / f"{kind}.json").read_text())
    assert len(about["names"]) == len(about["ids"])
    return about["ids"], np.load(folder / f"{kind}.npy", allow_pickle=False)


def read_safetensors(folder: Path, kind: str) -> tuple[list[str], np.ndarray]:
    ids = json.loads((folder / "ids.json").read_text())
    return ids[kind], load_file(folder / "tables.safetensors")[kind]


READERS = {"parquet": read_parquet, "npy": read_npy, "safetensors": read_safetensors}


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_what_is_read_back_is_what_was_written(
    embeddings: Embeddings, tmp_path: Path, format: str
) -> None:
    folder = embeddings.export(tmp_path / "out", format)
    for kind, table in embeddings.tables.items():
        ids, vectors = READERS[format](folder, kind)
        assert tuple(ids) == embeddings.vocabularies[kind].ids
        assert vectors.dtype == np.float32
        np.testing.assert_array_equal(vectors, table)


def test_an_export_names_what_it_came_from(embeddings: Embeddings, tmp_path: Path) -> None:
    saved = embeddings.save(tmp_path / "e")
    manifest = read_manifest(export(saved, tmp_path / "out", "npy"), "export")
    assert manifest.parents == {"embeddings": saved.content_hash}
    assert manifest.config == {"format": "npy", "model": "uditsr"}


def test_an_unknown_format_and_a_foreign_folder_are_refused(
    embeddings: Embeddings, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="parquet"):
        export(embeddings, tmp_path / "out", "parket")
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(ArtifactError):
        export(embeddings, tmp_path, "npy")
    assert (tmp_path / "mine.txt").read_text() == "precious"
