"""Artefacts: open folders with a manifest, written whole or not at all, checked when read."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sargraph.core.errors import ArtifactError

FORMAT_VERSION = 1
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What an artefact folder says of itself.

    `kind` (events, graph, ...), `format_version`, `config`, `seed`, `files` (name -> SHA-256),
    `content_hash` (SHA-256 over names and hashes of all files but those `beside` the content, such
    as reports for people), `parents` (role -> content hash) and the version of sargraph that
    wrote it.
    """

    kind: str
    format_version: int
    config: dict[str, Any]
    seed: int | None
    content_hash: str
    files: dict[str, str]
    parents: dict[str, str]
    written_by: str
    beside: list[str] = field(default_factory=list)


@contextmanager
def writing(
    path: Path | str,
    kind: str,
    *,
    config: Mapping[str, Any] | None = None,
    seed: int | None = None,
    parents: Mapping[str, str] | None = None,
    beside: Sequence[str] = (),
) -> Iterator[Path]:
    """Yield a temporary folder to fill; on success it becomes the artefact at `path`.

    The files are hashed and fsynced, the manifest is written last, and the folder is renamed into
    place, so that a reader sees the old artefact or the new one. Files `beside` the content are
    hashed and checked too, but two artefacts that differ only in them are the same. An existing
    artefact is replaced; any other existing non-empty folder is refused with ArtifactError.
    """
    target = Path(path)
    refuse_foreign_folder(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield folder
        manifest = _describe_folder(folder, kind, config or {}, seed, parents or {}, beside)
        text = json.dumps(asdict(manifest), indent=2, sort_keys=True, ensure_ascii=False)
        (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
        _sync(folder)
        _move_into_place(folder, target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def read_manifest(path: Path | str, kind: str | None = None, *, verify: bool = True) -> Manifest:
    """Read and check the manifest of the artefact at `path`.

    Raises ArtifactError when the folder is no artefact, is of another kind or format version, or
    (with `verify`) when a file is missing or does not have the hash it was written with.
    Cost: one pass over the files.
    """
    folder = Path(path)
    manifest = _load_manifest(folder)
    if kind is not None and manifest.kind != kind:
        raise ArtifactError(
            f"{folder} holds '{manifest.kind}', expected '{kind}'; give the other folder"
        )
    if manifest.format_version != FORMAT_VERSION:
        raise ArtifactError(
            f"{folder} has format version {manifest.format_version}, expected {FORMAT_VERSION}; "
            "write it again with this version of sargraph"
        )
    if verify:
        _verify_files(folder, manifest)
    return manifest


def is_artifact(path: Path | str) -> bool:
    """True where the folder has a manifest."""
    return (Path(path) / MANIFEST).is_file()


def hash_of(value: Any) -> str:
    """SHA-256 of a JSON-able value, independent of the order of keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load_manifest(folder: Path) -> Manifest:
    if not folder.is_dir():
        raise ArtifactError(f"no such folder: {folder}; give the folder a sargraph command wrote")
    try:
        data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return Manifest(**data)
    except FileNotFoundError:
        raise ArtifactError(
            f"{folder} is not an artefact (it has no {MANIFEST}); "
            "give the folder a sargraph command wrote"
        ) from None
    except (ValueError, TypeError) as error:
        raise ArtifactError(
            f"{folder / MANIFEST} is damaged ({error}); write the artefact again"
        ) from None


def _verify_files(folder: Path, manifest: Manifest) -> None:
    for name, expected in manifest.files.items():
        file = folder / name
        if not file.resolve().is_relative_to(folder.resolve()):
            raise ArtifactError(f"{folder / MANIFEST} names a file outside its folder: {name}")
        if not file.is_file():
            raise ArtifactError(f"{file} is missing; write the artefact again")
        if hash_file(file) != expected:
            raise ArtifactError(
                f"{file} does not have the hash it was written with; write it again"
            )
    if _content_hash(manifest.files, manifest.beside) != manifest.content_hash:
        raise ArtifactError(
            f"{folder / MANIFEST} was edited: its content hash does not fit its files"
        )


def _describe_folder(
    folder: Path,
    kind: str,
    config: Mapping[str, Any],
    seed: int | None,
    parents: Mapping[str, str],
    beside: Sequence[str],
) -> Manifest:
    names = sorted(p for p in folder.rglob("*") if p.is_file())
    files = {p.relative_to(folder).as_posix(): hash_file(p) for p in names}
    try:
        written_by = f"sargraph {version('sargraph')}"
    except PackageNotFoundError:
        written_by = "sargraph"
    there = [name for name in beside if name in files]
    content = _content_hash(files, there)
    return Manifest(
        kind, FORMAT_VERSION, dict(config), seed, content, files, dict(parents), written_by, there
    )


def _content_hash(files: Mapping[str, str], beside: Sequence[str]) -> str:
    return hash_of({name: digest for name, digest in files.items() if name not in beside})


def refuse_foreign_folder(target: Path) -> None:
    """Raise ArtifactError where something that is no artefact would be overwritten."""
    if target.is_file() or (target.is_dir() and any(target.iterdir()) and not is_artifact(target)):
        raise ArtifactError(f"{target} exists and is not an artefact; choose another --out")


def _sync(folder: Path) -> None:
    for file in [p for p in folder.rglob("*") if p.is_file()] + [folder]:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _move_into_place(folder: Path, target: Path) -> None:
    folder.chmod(0o755)
    if not target.exists():
        folder.rename(target)
        return
    # A folder cannot be renamed over a full one: step the old one aside first.
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
    target.rename(aside / "old")
    folder.rename(target)
    shutil.rmtree(aside, ignore_errors=True)
