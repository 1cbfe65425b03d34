"""Artefacts: whole or not at all, and refused when they are not what they say."""

from __future__ import annotations

import json

import pytest

from sargraph.core.artifact import MANIFEST, read_manifest, writing
from sargraph.core.errors import ArtifactError


def write(path, text="hello", kind="events"):
    with writing(path, kind, config={"a": 1}, seed=3, parents={"logs": "x"}) as folder:
        (folder / "data.txt").write_text(text)


def test_a_written_artefact_reads_back_with_everything_it_said(tmp_path):
    write(tmp_path / "out")
    manifest = read_manifest(tmp_path / "out", "events")
    assert (manifest.kind, manifest.seed, manifest.config) == ("events", 3, {"a": 1})
    assert manifest.parents == {"logs": "x"}
    assert set(manifest.files) == {"data.txt"}


def test_the_content_hash_depends_on_content_alone(tmp_path):
    for name, text in (("a", "same"), ("b", "same"), ("c", "other")):
        write(tmp_path / name, text)
    a, b, c = (read_manifest(tmp_path / name).content_hash for name in "abc")
    assert a == b != c


def test_a_failure_while_writing_leaves_the_old_artefact_and_no_litter(tmp_path):
    write(tmp_path / "out", "old")
    with pytest.raises(RuntimeError), writing(tmp_path / "out", "events") as folder:
        (folder / "data.txt").write_text("new")
        raise RuntimeError("disk full")
    assert (tmp_path / "out" / "data.txt").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_an_artefact_is_replaced_whole(tmp_path):
    write(tmp_path / "out", "old")
    write(tmp_path / "out", "new")
    assert (tmp_path / "out" / "data.txt").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_foreign_folder_is_never_overwritten(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ArtifactError, match="not an artefact"):
        write(tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def _edit(path, **changes):
    manifest = json.loads((path / MANIFEST).read_text())
    (path / MANIFEST).write_text(json.dumps({**manifest, **changes}))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda p: (p / MANIFEST).unlink(), "not an artefact"),
        (lambda p: (p / MANIFEST).write_text("{"), "damaged"),
        (lambda p: (p / "data.txt").write_text("hellO"), "hash"),
        (lambda p: (p / "data.txt").unlink(), "missing"),
        (lambda p: _edit(p, format_version=99), "format version 99"),
        (lambda p: _edit(p, kind="graph"), "holds 'graph', expected 'events'"),
        (lambda p: _edit(p, content_hash="0"), "edited"),
        (lambda p: _edit(p, files={"../secret": "0"}), "outside its folder"),
    ],
)
def test_a_damaged_artefact_is_refused_with_one_line(tmp_path, damage, words):
    write(tmp_path / "out")
    damage(tmp_path / "out")
    with pytest.raises(ArtifactError, match=words) as caught:
        read_manifest(tmp_path / "out", "events")
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="no such folder"):
        read_manifest(tmp_path / "nowhere")
