"""Judgements: results kept per request, so that finished cells can be compared later.

An artefact of the kind `judgements`. Every field of `Result` is stored by the shape of its value,
so that a field added later needs no change here, and artefacts written before it are read with the
field's default:

- one value per request (and the columns of `Requests`, the masks of slices) stands in
  `requests-<hash>.parquet`, written once for all results that share it;
- the fields of `Ranks` stand in `ranks-000.parquet`, `ranks-001.parquet`, ..., one per result;
- other arrays (lists of best items, popularity) stand in `arrays.safetensors`;
- names, counts, the protocol, seeds and whatever else JSON can hold stand in the manifest.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from sargraph.core.artifact import read_manifest, writing
from sargraph.core.config import Config, parse_config
from sargraph.core.errors import ArtifactError, BadInputError
from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Requests
from sargraph.core.table import read_columns, read_tensors, write_columns, write_tensors
from sargraph.core.types import Array
from sargraph.evaluation.evaluate import Result
from sargraph.evaluation.protocol import Protocol
from sargraph.evaluation.ranks import Ranks

KIND = "judgements"
RECORDS: dict[str, type] = {"Requests": Requests, "Ranks": Ranks, "Ragged": Ragged}
"""Groups of arrays that may stand in a field of a result."""

CONFIGS: dict[str, type[Config]] = {"Protocol": Protocol}
"""Configurations that may stand in a field of a result."""

Arrays: TypeAlias = dict[str, Array]


def save_results(
    results: Sequence[Result], path: Path | str, parents: Mapping[str, str] | None = None
) -> str:
    """Write results as an artefact; returns its content hash.

    Raises BadInputError for a field that holds something else than the module says.
    Cost: one pass over the arrays; requests that several results share are written once.
    """
    seed = results[0].protocol.seed if results else None
    entries: list[dict[str, Any]] = []
    others: Arrays = {}
    with writing(path, KIND, seed=seed, parents=parents, config={"results": entries}) as folder:
        for number, result in enumerate(results):
            entries.append(_save_one(result, number, folder, others))
        write_tensors(folder / "arrays.safetensors", others)
    return read_manifest(path, KIND, verify=False).content_hash


def load_results(path: Path | str) -> list[Result]:
    """Read and check the artefact. Raises ArtifactError."""
    manifest, folder = read_manifest(path, KIND), Path(path)
    others = read_tensors(folder / "arrays.safetensors")
    shared: dict[str, Arrays] = {}
    found = []
    for entry in manifest.config["results"]:
        name = entry["requests"]
        if name not in shared:
            shared[name] = read_columns(folder / name)
        arrays = {**others, **shared[name], **read_columns(folder / entry["ranks"])}
        found.append(_build(Result, entry["fields"], arrays, str(path)))
    return found


class _Store:
    """Where the arrays of one result of so many requests go: `aligned` with them, or `others`."""

    def __init__(self, size: int, others: Arrays) -> None:
        self.aligned: Arrays = {}
        self._size, self._others = size, others

    def put(self, name: str, array: Array) -> str:
        """Keep an array; returns the name it is kept under, with a hash where it may be shared."""
        if array.shape == (self._size,):
            self.aligned[name] = array
            return name
        stored = f"{name}-{_hash({name: array})[:16]}"
        self._others[stored] = array
        return stored


def _save_one(result: Result, number: int, folder: Path, others: Arrays) -> dict[str, Any]:
    """Write one result's tables, put its other arrays aside; returns its entry in the manifest."""
    store = _Store(len(result), others)
    fields = _fields_of(result, "", store)
    ranks = {name: each for name, each in store.aligned.items() if name.startswith("ranks.")}
    requests = {name: each for name, each in store.aligned.items() if name not in ranks}
    names = (f"requests-{_hash(requests)[:16]}.parquet", f"ranks-{number:03d}.parquet")
    if not (folder / names[0]).exists():
        write_columns(folder / names[0], requests)
    write_columns(folder / names[1], ranks)
    return {"requests": names[0], "ranks": names[1], "fields": fields}


def _fields_of(record: Any, prefix: str, store: _Store) -> dict[str, Any]:
    """The fields of a dataclass, told as JSON; arrays are put into the store."""
    return {
        each.name: _told(getattr(record, each.name), f"{prefix}{each.name}", store)
        for each in dataclasses.fields(record)
    }


def _told(value: Any, name: str, store: _Store) -> dict[str, Any]:
    if isinstance(value, np.generic):  # a count that NumPy made, such as `np.int64(3)`
        value = value.item()
    if isinstance(value, np.ndarray):
        return {"array": store.put(name, value)}
    kind = type(value).__name__
    if RECORDS.get(kind) is type(value):
        return {"record": kind, "fields": _fields_of(value, f"{name}.", store)}
    if CONFIGS.get(kind) is type(value):
        return {"config": kind, "values": value.model_dump(mode="json")}
    if isinstance(value, Mapping) and any(isinstance(each, np.ndarray) for each in value.values()):
        # A list of pairs, because a manifest sorts its keys and slices have an order.
        return {
            "group": [[key, _told(each, f"{name}.{key}", store)] for key, each in value.items()]
        }
    if isinstance(value, Mapping) and _is_json(value):
        return {"pairs": [list(pair) for pair in value.items()]}
    if _is_json(value):
        return {"value": value}
    raise BadInputError(
        f"field '{name}' of a result holds {kind}, expected arrays, numbers, texts or one of "
        f"{sorted([*RECORDS, *CONFIGS])}; teach it to sargraph.evaluation.judgements"
    )


def _read(told: Mapping[str, Any], arrays: Arrays, where: str) -> Any:
    if "array" in told:
        return arrays[told["array"]]
    if "record" in told:
        return _build(RECORDS[told["record"]], told["fields"], arrays, where)
    if "config" in told:
        return parse_config(CONFIGS[told["config"]], told["values"], where)
    if "group" in told:
        return {key: _read(each, arrays, where) for key, each in told["group"]}
    return dict(told["pairs"]) if "pairs" in told else told["value"]


def _build(cls: type, fields: Mapping[str, Any], arrays: Arrays, where: str) -> Any:
    """A dataclass from its told fields; a field that the artefact lacks keeps its default."""
    known = {each.name for each in dataclasses.fields(cls)}
    if strange := sorted(set(fields) - known):
        raise ArtifactError(
            f"{where} holds {cls.__name__} with {strange}, expected only {sorted(known)}; it was "
            "written by another version of sargraph: read it with that one"
        )
    try:
        return cls(**{name: _read(told, arrays, where) for name, told in fields.items()})
    except (KeyError, TypeError) as error:
        raise ArtifactError(
            f"{where} lacks a part of {cls.__name__} ({error}); evaluate again"
        ) from None


def _is_json(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_json(each) for key, each in value.items())
    if isinstance(value, list):
        return all(_is_json(each) for each in value)
    return value is None or type(value) in (bool, int, float, str)


def _hash(arrays: Mapping[str, Array]) -> str:
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
