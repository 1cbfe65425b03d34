"""Frozen protocols: written and hashed before a test request is made, checked ever after."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sargraph.core.artifact import hash_of
from sargraph.core.config import parse_config, read_toml
from sargraph.core.errors import ArtifactError, BadInputError
from sargraph.evaluation.protocol import Protocol

FILE = "protocol.toml"

_HEAD = """\
# The protocols of this evaluation, fixed before its test requests were made.
# An edited file no longer fits its hash and is refused.
"""


def freeze(
    protocols: Protocol | Iterable[Protocol],
    path: Path | str,
    claims: Sequence[Mapping[str, str | int]] = (),
) -> str:
    """Write protocols to a TOML file (or to `protocol.toml` in a folder); returns their hash.

    `claims` holds what is to be shown: flat tables, such as model, baseline, metric and the hash of
    the protocol that decides. Call it before any test request is made. Where the file exists and
    holds equal protocols and claims, in any order, nothing is written; the hash is that of the
    file. Raises BadInputError: the file holds others (the line says what changed), no protocol,
    one twice; ArtifactError: the file cannot be read or was edited. The file appears whole or not
    at all.
    """
    given = [protocols] if isinstance(protocols, Protocol) else list(protocols)
    if len({protocol.hash for protocol in given}) != max(len(given), 1):
        names = [protocol.name for protocol in given]
        raise BadInputError(f"got protocols {names} to freeze, expected one or more, each once")
    file = _file(path)
    if not file.exists():
        _write(file, given, claims)
    frozen, data = read_frozen(file), read_toml(file)
    changes = _changes(frozen, given) or _changed_claims(data.get("claim", []), claims)
    if changes:
        raise BadInputError(
            f"{file} was frozen with other protocols: {changes}; judge under the frozen ones, or "
            "start another evaluation in another folder"
        )
    return str(data["hash"])


def read_frozen(path: Path | str) -> tuple[Protocol, ...]:
    """The protocols of a file that `freeze` wrote, in its order.

    Raises ArtifactError where the hash in the file does not fit its protocols, ConfigError where
    it is missing or not TOML.
    """
    file = _file(path)
    data = read_toml(file)
    tables = data.get("protocol")
    known = {"hash", "protocol"} | ({"claim"} & set(data))
    if not isinstance(tables, list) or not tables or set(data) != known:
        raise ArtifactError(
            f"{file} holds {sorted(data)}, expected a hash and [[protocol]] tables; freeze again"
        )
    if _hash([*tables, *data.get("claim", [])]) != data["hash"]:
        raise ArtifactError(
            f"{file} was edited: what it holds does not fit its hash; restore it, or judge anew"
        )
    return tuple(parse_config(Protocol, table, str(file)) for table in tables)


def _file(path: Path | str) -> Path:
    path = Path(path)
    return path if path.suffix == ".toml" else path / FILE


def _hash(tables: Sequence[Mapping[str, Any]]) -> str:
    """Over the tables as they stand in the file: a later version with more fields reads it too."""
    return hash_of(sorted(hash_of(table) for table in tables))


def _write(
    file: Path, protocols: Sequence[Protocol], claims: Sequence[Mapping[str, str | int]]
) -> None:
    tables = [f"[[protocol]]\n{protocol.to_toml()}" for protocol in protocols]
    tables += ["\n".join(["[[claim]]", *map(_line, claim.items()), ""]) for claim in claims]
    mark = _hash([*(protocol.model_dump(mode="json") for protocol in protocols), *claims])
    text = "\n".join([f'{_HEAD}hash = "{mark}"\n', *tables])
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        Path(name).chmod(0o644)
        # A link never replaces what another process has frozen meanwhile.
        file.hardlink_to(name)
    except FileExistsError:
        pass
    finally:
        Path(name).unlink(missing_ok=True)


def _line(entry: tuple[str, str | int]) -> str:
    name, value = entry
    return f"{name} = {json.dumps(value, ensure_ascii=False)}"


def _changed_claims(frozen: Sequence[Mapping[str, Any]], given: Sequence[Mapping[str, Any]]) -> str:
    """Which claims are not as they were frozen; empty where all are."""
    old, new = ({hash_of(dict(claim)): claim for claim in each} for each in (frozen, given))
    gone = [f"the claim {dict(old[key])} is gone" for key in old if key not in new]
    return "; ".join(
        [*gone, *(f"the claim {dict(new[key])} is new" for key in new if key not in old)]
    )


def _changes(frozen: Sequence[Protocol], given: Sequence[Protocol]) -> str:
    """What is not as it was frozen, in one line; empty where all is."""
    kept = {protocol.hash for protocol in frozen} & {protocol.hash for protocol in given}
    old, new = (
        [protocol for protocol in each if protocol.hash not in kept] for each in (frozen, given)
    )
    lines = [_difference(before, after) for before, after in zip(old, new, strict=False)]
    lines += [f"'{protocol.name}' is gone" for protocol in old[len(new) :]]
    lines += [f"'{protocol.name}' is new" for protocol in new[len(old) :]]
    return "; ".join(lines)


def _difference(before: Protocol, after: Protocol) -> str:
    old, new = before.model_dump(), after.model_dump()
    parts = [f"{key} was {old[key]!r}, is {new[key]!r}" for key in old if old[key] != new[key]]
    return f"'{before.name}': " + ", ".join(parts)
