"""Exports can be read back by other tools and hold every id and vector."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from sargraph.core.artifact import read_manifest
from sargraph.core.errors import ArtifactError, BadInputError, ConfigError
from sargraph.embedding.embeddings import Embeddings, unit_rows
from sargraph.embedding.export import FORMATS, export
from sargraph.embedding.export_csv import text_of_cell
from sargraph.embedding.export_faiss import read_index
from sargraph.embedding.export_word2vec import id_of_word
from sargraph.events.vocabulary import Vocabulary
from sargraph.testing.tables import embeddings_of, random_tables

NASTY = [
    "", " ", "%", "%41", "a b", "a\tb", "line\nbreak", "\r", "\x00", "\x85", "\u2028", "\ufeff",
    "=1+1", "+1", "-1", "@x", "'", "''=1", "\t=1", 'say "hi"', "a;=1", "a,'b", "../../etc/passwd",
    "/etc/passwd", "..\\x", "C:\\x", "manifest.json", "辣 面", "\U0001f35c", "e\u0301", "NaN",
    "007",
]  # fmt: skip


@pytest.fixture(scope="module")
def nasty() -> Embeddings:
    """Ids and names that break naive writers; floats at the edges of float32."""
    tables = random_tables(0, dim=5, user=len(NASTY), item=3)
    tables["user"][:3] = np.array([0.0, -0.0, 1e-45, -1.7e19, 1.17549435e-38], np.float32)
    tables["user"][3] = np.float32(0.1) + np.float32(2) ** np.arange(-26, -21, dtype=np.float32)
    tables["term"] = np.empty((0, 5), np.float32)
    return embeddings_of(tables, {"user": Vocabulary(NASTY, NASTY[::-1])})


def read_parquet(folder: Path, kind: str) -> tuple[list[str], list[str], np.ndarray]:
    frame = pd.read_parquet(folder / f"{kind}.parquet")
    assert list(frame.columns) == ["id", "name", "vector"]
    vectors = frame["vector"].to_list()
    table = np.stack(vectors) if vectors else np.empty((0, 5), np.float32)
    return frame["id"].tolist(), frame["name"].tolist(), table


def read_npy(folder: Path, kind: str) -> tuple[list[str], list[str], np.ndarray]:
    about = json.loads((folder / f"{kind}.json").read_text(encoding="utf-8"))
    return about["ids"], about["names"], np.load(folder / f"{kind}.npy", allow_pickle=False)


def read_safetensors(folder: Path, kind: str) -> tuple[list[str], None, np.ndarray]:
    ids = json.loads((folder / "ids.json").read_text(encoding="utf-8"))
    return ids[kind], None, load_file(folder / "tables.safetensors")[kind]


def read_csv(folder: Path, kind: str) -> tuple[list[str], list[str], np.ndarray]:
    with (folder / f"{kind}.csv").open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    assert header == ["id", "name", "v0", "v1", "v2", "v3", "v4"]
    ids, names = ([text_of_cell(line[place]) for line in lines] for place in (0, 1))
    values = [np.float32(value) for line in lines for value in line[2:]]
    return ids, names, np.array(values, np.float32).reshape(len(ids), 5)


def read_word2vec(folder: Path, kind: str) -> tuple[list[str], None, np.ndarray]:
    """As the readers of this format do: lines, each split wherever there is white space."""
    header, *lines = (folder / f"{kind}.txt").read_text(encoding="utf-8").splitlines()
    rows, dim = map(int, header.split())
    cells = [line.split() for line in lines]
    assert len(cells) == rows and all(len(line) == dim + 1 for line in cells)
    values = [np.float32(value) for line in cells for value in line[1:]]
    return (
        [id_of_word(line[0]) for line in cells],
        None,
        np.array(values, np.float32).reshape(rows, dim),
    )


def read_faiss(folder: Path, kind: str) -> tuple[list[str], list[str], np.ndarray]:
    found = read_index(folder, kind)
    return list(found.vocabulary.ids), list(found.vocabulary.names), found.vectors


READERS = {
    "parquet": read_parquet,
    "npy": read_npy,
    "safetensors": read_safetensors,
    "csv": read_csv,
    "word2vec": read_word2vec,
    "faiss": read_faiss,
    "faiss-dot": read_faiss,
}


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_what_is_read_back_is_what_was_written(
    nasty: Embeddings, tmp_path: Path, format: str
) -> None:
    folder = nasty.export(tmp_path / "out", format)
    for kind, table in nasty.tables.items():
        ids, names, vectors = READERS[format](folder, kind)
        assert tuple(ids) == nasty.vocabularies[kind].ids
        assert names is None or tuple(names) == nasty.vocabularies[kind].names
        expected = unit_rows(table) if format == "faiss" else table
        assert vectors.dtype == np.float32
        # As bits: -0.0 and the smallest numbers too.
        np.testing.assert_array_equal(vectors.view(np.int32), expected.view(np.int32))


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_no_id_leads_out_of_the_folder_or_into_a_files_name(
    nasty: Embeddings, tmp_path: Path, format: str
) -> None:
    nasty.export(tmp_path / "deep" / "out", format)
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]
    stems = {path.name.split(".")[0] for path in (tmp_path / "deep" / "out").iterdir()}
    assert stems <= {"user", "item", "term", "manifest", "tables", "ids"}


@pytest.mark.parametrize(
    "kind",
    [
        "../user",
        "/user",
        "a/b",
        "..",
        ".",
        "",
        "a\\b",
        "User",
        "manifest",
        "nul",
        "com1",
        "u\n",
        "x" * 65,
    ],
)
@pytest.mark.parametrize("format", sorted(FORMATS))
def test_a_kind_that_is_no_plain_file_name_is_refused(
    tmp_path: Path, kind: str, format: str
) -> None:
    with pytest.raises(BadInputError, match="expected a name that can be a file's"):
        export(embeddings_of(random_tables(0, **{kind: 2})), tmp_path / "a" / "out", format)
    assert not list(tmp_path.iterdir())


def test_half_a_character_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for vocabulary in (Vocabulary(["a", "\ud800"]), Vocabulary(["a", "b"], ["\udfff", "c"])):
        broken = embeddings_of(random_tables(0, item=2), {"item": vocabulary})
        with pytest.raises(BadInputError, match="expected valid Unicode"):
            export(broken, tmp_path / "out")
        assert not list(tmp_path.iterdir())


def test_the_same_embeddings_give_the_same_bytes(nasty: Embeddings, tmp_path: Path) -> None:
    for format in FORMATS:
        first, second = (nasty.export(tmp_path / format / name, format) for name in "ab")
        assert read_manifest(first).content_hash == read_manifest(second).content_hash


def test_an_export_names_what_it_came_from(nasty: Embeddings, tmp_path: Path) -> None:
    saved = embeddings_of(random_tables(0, item=2)).save(tmp_path / "e")
    manifest = read_manifest(export(saved, tmp_path / "out", "npy"), "export")
    assert manifest.parents == {"embeddings": saved.content_hash}
    assert manifest.config == {"format": "npy", "model": "uditsr"}
    assert set(manifest.files) == {"item.npy", "item.json"}


def test_an_unknown_format_and_a_foreign_folder_are_refused(
    nasty: Embeddings, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="parquet"):
        export(nasty, tmp_path / "out", "parket")
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(ArtifactError):
        export(nasty, tmp_path, "npy")
    assert (tmp_path / "mine.txt").read_text() == "precious"
