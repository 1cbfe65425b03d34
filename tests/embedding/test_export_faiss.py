"""faiss indices: the answers are right, and no byte reaches faiss that was not checked."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

import faiss
import numpy as np
import pytest

from sargraph.core.artifact import hash_of
from sargraph.core.errors import ArtifactError, BadInputError
from sargraph.embedding import export_faiss
from sargraph.embedding.embeddings import unit_rows
from sargraph.embedding.export_faiss import HEADER, read_index
from sargraph.testing.tables import embeddings_of, naive_nearest, random_tables

TABLES = random_tables(0, dim=6, user=7, item=40)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return embeddings_of(TABLES).export(tmp_path / "out", "faiss")


@pytest.fixture
def never_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*args: object) -> None:
        raise AssertionError("faiss was given bytes that should have been refused")

    for name in ("read_index", "deserialize_index"):
        monkeypatch.setattr(faiss, name, read)


def forge(folder: Path, name: str, content: bytes) -> None:
    """Replace a file and make the manifest fit it, as someone would who can write both."""
    (folder / name).write_bytes(content)
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    manifest["files"][name] = hashlib.sha256(content).hexdigest()
    manifest["content_hash"] = hash_of(manifest["files"])
    file.write_text(json.dumps(manifest), encoding="utf-8")


def test_the_index_answers_with_cosines(folder: Path) -> None:
    found = read_index(folder, "item")
    assert found.metric == "cosine"
    probes = TABLES["user"]
    scores, rows = found.index.search(unit_rows(probes), 5)
    for place, probe in enumerate(probes.tolist()):
        expected = naive_nearest(TABLES["item"], probe, 5)
        assert rows[place].tolist() == [row for row, _ in expected]
        np.testing.assert_allclose(scores[place], [cosine for _, cosine in expected], atol=1e-6)


def test_the_index_of_raw_vectors_answers_with_dot_products(tmp_path: Path) -> None:
    found = read_index(embeddings_of(TABLES).export(tmp_path / "out", "faiss-dot"), "item")
    assert found.metric == "dot"
    scores, rows = found.index.search(TABLES["user"], 40)
    for place, probe in enumerate(TABLES["user"].tolist()):
        for row, score in zip(rows[place].tolist(), scores[place].tolist(), strict=True):
            product = sum(a * b for a, b in zip(TABLES["item"][row].tolist(), probe, strict=True))
            assert score == pytest.approx(product, abs=1e-5)
        assert scores[place].tolist() == sorted(scores[place].tolist(), reverse=True)


def test_another_library_reads_the_same_file(folder: Path) -> None:
    index = faiss.read_index(str(folder / "item.faiss"))
    assert (index.ntotal, index.d, index.metric_type) == (40, 6, faiss.METRIC_INNER_PRODUCT)


@pytest.mark.usefixtures("never_read")
@pytest.mark.parametrize("name", ["item.faiss", "item.json", "user.faiss"])
@pytest.mark.parametrize("place", [0, 8, -1])
def test_a_changed_byte_is_found_before_faiss_reads(folder: Path, name: str, place: int) -> None:
    content = bytearray((folder / name).read_bytes())
    content[place] ^= 1
    (folder / name).write_bytes(bytes(content))
    with pytest.raises(ArtifactError, match="does not have the hash it was written with"):
        read_index(folder, "item")


@pytest.mark.usefixtures("never_read")
def test_a_file_changed_after_the_manifest_was_checked_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = export_faiss.read_manifest

    def read_then_change(*args: object) -> object:
        manifest = real(*args)  # type: ignore[arg-type]
        (folder / "item.faiss").write_bytes(b"IxFI" + bytes(200))
        return manifest

    monkeypatch.setattr(export_faiss, "read_manifest", read_then_change)
    with pytest.raises(ArtifactError, match="does not have the hash it was written with"):
        read_index(folder, "item")


@pytest.mark.usefixtures("never_read")
def test_an_index_without_a_manifest_is_refused(tmp_path: Path) -> None:
    index = faiss.IndexFlatIP(2)
    faiss.write_index(index, str(tmp_path / "item.faiss"))
    with pytest.raises(ArtifactError, match="not an artefact"):
        read_index(tmp_path, "item")


def header(**changes: object) -> bytes:
    fields = {"type": b"IxFI", "dim": 6, "rows": 40, "a": 1 << 20, "b": 1 << 20, "trained": 1,
              "metric": 0, "floats": 240}  # fmt: skip
    return HEADER.pack(*(fields | changes).values())


HOSTILE = {
    "nothing": b"",
    "a header cut short": header()[:-1],
    "no vectors": header(),
    "a cell type whose sizes are not checked": header(type=b"IwFl") + bytes(960),
    "another metric": header(metric=1) + bytes(960),
    "not trained": header(trained=0) + bytes(960),
    "one float too many": header() + bytes(964),
    "more rows than there are": header(rows=1 << 40, floats=6 << 40) + bytes(960),
    "sizes whose product overflows": header(dim=1 << 30, rows=1 << 34, floats=0),
    "a number of floats that is not rows by dimensions": header(dim=7) + bytes(960),
    "fewer than no rows": header(rows=-40) + bytes(960),
    "fewer than no dimensions": header(dim=-6, rows=-40) + bytes(960),
    "another number of rows than ids": header(rows=39, floats=234) + bytes(936),
}


@pytest.mark.usefixtures("never_read")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_index_with_a_forged_manifest_is_refused(folder: Path, name: str) -> None:
    """faiss issue 5400: sizes in an index file are trusted by faiss."""
    forge(folder, "item.faiss", HOSTILE[name])
    with pytest.raises(ArtifactError, match="no flat inner-product index of 40 rows"):
        read_index(folder, "item")


def test_the_forged_header_that_changes_nothing_is_read(folder: Path) -> None:
    """So that the refusals above are for what they name."""
    forge(folder, "item.faiss", header() + struct.pack("<240f", *range(240)))
    np.testing.assert_array_equal(read_index(folder, "item").vectors.reshape(-1), np.arange(240))


@pytest.mark.parametrize("ids", [b"", b"[]", b"{}", b'{"ids": [1], "names": ["a"]}', b"\xff"])
def test_ids_that_are_none_are_refused(folder: Path, ids: bytes) -> None:
    forge(folder, "item.json", ids)
    with pytest.raises(ArtifactError, match=r"item\.json cannot be read"):
        read_index(folder, "item")


def test_an_unknown_kind_and_another_format_are_refused(folder: Path, tmp_path: Path) -> None:
    for kind in ("itme", "../out/item", "query", "manifest"):
        with pytest.raises(BadInputError, match=f"no index of '{kind}' vectors; (did|known)"):
            read_index(folder, kind)
    other = embeddings_of(TABLES).export(tmp_path / "npy", "npy")
    with pytest.raises(ArtifactError, match="expected 'faiss'"):
        read_index(other, "item")
    saved = embeddings_of(TABLES)
    saved.save(tmp_path / "e")
    with pytest.raises(ArtifactError, match="expected 'export'"):
        read_index(tmp_path / "e", "item")
