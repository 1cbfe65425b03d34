"""faiss indices of embeddings: written with their ids, read back only after they were checked."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sargraph.core.artifact import Manifest, read_manifest
from sargraph.core.errors import ArtifactError, BadInputError, nearest
from sargraph.core.types import FloatArray
from sargraph.embedding.embeddings import Embeddings, unit_rows
from sargraph.embedding.export_ids import read_ids, write_ids
from sargraph.embedding.faiss_threads import faiss_with
from sargraph.events.vocabulary import Vocabulary

FLAT_INNER_PRODUCT = b"IxFI"
# Type, dim, rows, two unused numbers, is trained, metric, number of floats; the floats follow.
HEADER = struct.Struct("<4siqqqBiQ")


@dataclass(frozen=True)
class ExportedIndex:
    """A flat inner-product index of faiss and the vocabulary whose rows it numbers.

    `metric` is "cosine" (rows of length 1: bring probes to length 1 too) or "dot". The index is
    faiss's own object: `scores, rows = exported.index.search(probes, k)`.
    """

    index: Any
    vocabulary: Vocabulary
    metric: str

    @property
    def vectors(self) -> FloatArray:
        """The indexed vectors, float32 [rows, dim]."""
        if not len(self.vocabulary):
            return np.empty((0, self.index.d), np.float32)
        return np.asarray(self.index.reconstruct_n(0, len(self.vocabulary)))


def write_faiss(embeddings: Embeddings, folder: Path, *, is_unit: bool) -> None:
    """Write `user.faiss`, .., one flat inner-product index per kind, and `user.json`, .. with ids.

    `is_unit` brings rows to length 1 first, so that the inner product with a probe of length 1 is
    the cosine. Cost: O(rows · dim).
    """
    for kind, table in embeddings.tables.items():
        vectors = unit_rows(table) if is_unit else table
        with faiss_with() as faiss:
            index = faiss.IndexFlatIP(vectors.shape[1])
            index.add(np.ascontiguousarray(vectors, dtype=np.float32))
            # Not faiss's own writer, which cannot open every path on every system.
            (folder / f"{kind}.faiss").write_bytes(faiss.serialize_index(index).tobytes())
        write_ids(folder / f"{kind}.json", embeddings.vocabularies[kind])


def read_index(path: Path | str, kind: str) -> ExportedIndex:
    """The index of one kind from a folder exported as faiss or faiss-dot.

    faiss trusts the sizes that a file states, and a hostile file corrupts memory (faiss issue
    5400). So the bytes that faiss gets have the hash in the manifest, and, since who changes a
    file can change the manifest beside it, the header of a flat index whose size is the size of
    the file; nothing else is given to faiss. Raises ArtifactError for a folder without a manifest,
    of another format, or with a file that fails a check, BadInputError for an unknown kind.
    Cost: one pass over the folder and one copy of the index.
    """
    folder = Path(path)
    manifest = read_manifest(folder, "export")
    metric = {"faiss": "cosine", "faiss-dot": "dot"}.get(str(manifest.config.get("format")))
    if metric is None:
        raise ArtifactError(
            f"{folder} is an export as '{manifest.config.get('format')}', expected 'faiss' or "
            "'faiss-dot'; export the embeddings as one of these"
        )
    if f"{kind}.faiss" not in manifest.files:
        kinds = [name.removesuffix(".faiss") for name in manifest.files if name.endswith(".faiss")]
        raise BadInputError(f"{folder} has no index of '{kind}' vectors; {nearest(kind, kinds)}")
    content = _checked(folder, manifest, f"{kind}.faiss")
    ids = _checked(folder, manifest, f"{kind}.json")
    vocabulary = read_ids(ids, folder / f"{kind}.json")
    _check_header(content, len(vocabulary), folder / f"{kind}.faiss")
    with faiss_with() as faiss:
        index = faiss.deserialize_index(np.frombuffer(content, dtype=np.uint8))
    return ExportedIndex(index, vocabulary, metric)


def _checked(folder: Path, manifest: Manifest, name: str) -> bytes:
    """The bytes of a file, hashed as they are in memory: the file may change after a check."""
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise ArtifactError(f"{folder / name} cannot be read ({error}); export again") from None
    if hashlib.sha256(content).hexdigest() != manifest.files.get(name):
        raise ArtifactError(
            f"{folder / name} does not have the hash it was written with; export again"
        )
    return content


def _check_header(content: bytes, num_ids: int, file: Path) -> None:
    """Raise ArtifactError unless the bytes are a flat inner-product index of as many rows as ids.

    Then every size that faiss will read from them fits the bytes there are.
    """
    kind, dim, rows, trained, metric, floats = b"", 0, -1, 0, -1, 0
    if len(content) >= HEADER.size:
        kind, dim, rows, _, _, trained, metric, floats = HEADER.unpack_from(content)
    is_flat = kind == FLAT_INNER_PRODUCT and trained == 1 and metric == 0
    fits = dim > 0 and rows * dim == floats and len(content) == HEADER.size + 4 * floats
    if not (is_flat and fits and rows == num_ids):
        raise ArtifactError(
            f"{file} is no flat inner-product index of {num_ids} rows whose sizes fit the file; "
            "export again"
        )
