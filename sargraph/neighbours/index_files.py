"""An index on disk: vocabularies as Parquet, its arrays as plain .npy files that are mapped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sargraph.core.artifact import read_manifest, writing
from sargraph.core.config import parse_config
from sargraph.core.errors import ArtifactError
from sargraph.core.table import read_ragged, write_ragged
from sargraph.core.types import Array
from sargraph.events.vocabulary import Vocabulary
from sargraph.neighbours.index_config import IndexConfig
from sargraph.neighbours.measures import Rows, Sequences
from sargraph.neighbours.part import Part
from sargraph.neighbours.postings import Postings
from sargraph.neighbours.profiled import Profiled

if TYPE_CHECKING:
    from sargraph.neighbours.index import UserIndex

KIND = "index"
ITEM_CATEGORIES = "item_categories.parquet"


def save_index(index: UserIndex, path: Path) -> str:
    """Write the artefact and return its content hash. Cost: the bytes of the index."""
    about = {
        "name": index.name,
        "as_of": index.as_of,
        "time_kind": index.time_kind,
        "counts": index.counts,
        "index": index.config.model_dump(mode="json"),
        "scales": [part.postings.scale for part in index.parts],
    }
    with writing(path, KIND, config=about, parents=index.parents) as folder:
        for kind, vocabulary in index.vocabularies.items():
            vocabulary.save(folder / f"{kind}.parquet")
        for kind, idf in index.idfs.items():
            np.save(folder / f"idf_{kind}.npy", idf, allow_pickle=False)
        if index.item_categories is not None:
            write_ragged(folder / ITEM_CATEGORIES, index.item_categories)
        for number, part in enumerate(index.parts):
            for name, array in _arrays(part).items():
                np.save(folder / f"part{number}_{name}.npy", array, allow_pickle=False)
    return read_manifest(path, verify=False).content_hash


def load_index(path: Path) -> dict[str, Any]:
    """The fields of an index, its large arrays mapped from disk. Raises ArtifactError."""
    manifest = read_manifest(path, KIND)
    about, names = manifest.config, manifest.files
    kinds = [name[4:-4] for name in names if name.startswith("idf_")]
    return {
        "parts": tuple(
            _part(path, number, scale, names) for number, scale in enumerate(about["scales"])
        ),
        "idfs": {kind: np.array(_read(path, f"idf_{kind}")) for kind in sorted(kinds)},
        "vocabularies": {
            kind: Vocabulary.load(path / f"{kind}.parquet") for kind in ("user", *sorted(kinds))
        },
        "config": parse_config(IndexConfig, about["index"], str(path)),
        "item_categories": (
            read_ragged(path / ITEM_CATEGORIES) if ITEM_CATEGORIES in names else None
        ),
        "as_of": about["as_of"],
        "time_kind": about["time_kind"],
        "name": about["name"],
        "counts": about["counts"],
        "parents": manifest.parents,
        "content_hash": manifest.content_hash,
    }


def _arrays(part: Part) -> dict[str, Array]:
    """All arrays of a part by name."""
    found, postings = part.profiled, part.postings
    arrays: dict[str, Array] = {
        "users": part.users, "alive": part.alive, "fields": found.fields,
        "packed": postings.packed, "head": postings.head, "tail": postings.tail,
        **_of_rows("rows", found.rows),
    }  # fmt: skip
    if found.categories is not None:
        arrays |= _of_rows("categories", found.categories)
    if found.sequences is not None:
        kept = found.sequences
        arrays |= {"seq_offsets": kept.offsets, "seq_items": kept.items, "seq_time": kept.last_time}
    if found.transitions is not None:
        arrays["transitions"] = found.transitions
    return arrays


def _of_rows(name: str, rows: Rows) -> dict[str, Array]:
    return {
        f"{name}_offsets": rows.offsets,
        f"{name}_entries": rows.entries,
        f"{name}_values": rows.values,
    }


def _part(path: Path, number: int, scale: float, names: dict[str, str]) -> Part:
    def read(name: str) -> Any:
        return _read(path, f"part{number}_{name}")

    def has(name: str) -> bool:
        return f"part{number}_{name}.npy" in names

    def rows(name: str) -> Rows:
        return Rows(*(read(f"{name}_{column}") for column in ("offsets", "entries", "values")))

    found = Profiled(
        rows=rows("rows"),
        fields=read("fields"),
        categories=rows("categories") if has("categories_offsets") else None,
        sequences=Sequences(*(read(f"seq_{column}") for column in ("offsets", "items", "time")))
        if has("seq_offsets")
        else None,
        transitions=read("transitions") if has("transitions") else None,
    )
    postings = Postings(found.rows, found.fields, read("packed"), read("head"), read("tail"), scale)
    return Part(found, postings, read("users"), read("alive"))


def _read(path: Path, name: str) -> Any:
    file = path / f"{name}.npy"
    try:
        # An array without elements cannot be mapped.
        is_mapped = file.stat().st_size > 128
        found = np.load(file, mmap_mode="r" if is_mapped else None, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{file} cannot be read ({error}); write the index again") from None
    return np.asarray(found)  # a plain view, as compiled loops know no other kind
