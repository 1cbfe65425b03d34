"""The store of an experiment's pieces: whole artefacts under the hash of their inputs, locked.

A lock belongs to a living process: the system takes it away from one that was killed, so that no
piece stays locked. Where the system has no such locks two processes may do the same work twice;
artefacts are renamed into place, so that either result is whole.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import sargraph
from sargraph.core.artifact import hash_of, is_artifact, read_manifest
from sargraph.core.errors import ArtifactError
from sargraph.pipeline.grid.cost import Cost

T = TypeVar("T")
log = logging.getLogger("sargraph")
COST = "cost.json"


@dataclass
class Store:
    """A folder of finished pieces that every experiment shares.

    `remarks` says which pieces were damaged and made again.
    """

    folder: Path
    remarks: list[str] = field(default_factory=list)

    def path(self, kind: str, inputs: dict[str, Any]) -> Path:
        """Where the piece with these inputs lies; the version of sargraph is one of them."""
        key = hash_of({"kind": kind, "version": sargraph.__version__, **inputs})
        return self.folder / f"{kind}-{key[:16]}"

    def take(self, path: Path, load: Callable[[Path], T]) -> T | None:
        """The finished piece at `path`, or None where it is to be made.

        A damaged one is named in `remarks` and removed.
        """
        if not path.exists():
            return None
        try:
            read_manifest(path)
            return load(path)
        except ArtifactError as error:
            self.damaged(path, str(error))
            return None

    def damaged(self, path: Path, reason: str) -> None:
        """Remove a damaged piece (a folder or a file) of this store, and say so."""
        line = f"{path.name} was damaged and is made again ({reason})"
        log.warning("%s", line)
        self.remarks.append(line)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def is_there(self, path: Path) -> bool:
        """True where a finished piece seems to lie at `path`; its files are not read."""
        return is_artifact(path)

    def sweep(self, path: Path) -> None:
        """Remove what killed processes left half written of a piece whose lock is held."""
        for rest in self.folder.glob(f".{path.name}.*"):
            if rest.is_dir():
                shutil.rmtree(rest, ignore_errors=True)
            elif rest.suffix != ".lock":
                rest.unlink(missing_ok=True)

    def finish(self, path: Path, save: Callable[[Path], T], load: Callable[[Path], T]) -> T:
        """Save a piece; where another process was first, that one's is taken."""
        try:
            return save(path)
        except OSError:
            found = self.take(path, load)
            if found is None:
                raise
            return found


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of the piece at `path`; yields False where another process has it.

    With `wait` the lock is waited for, and True is yielded.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    with lock.open("ab") as file:
        held = _acquire(file.fileno(), wait)
        yield held
    # The file stays: removing it would let two processes lock two files of one name.


def _acquire(descriptor: int, wait: bool) -> bool:
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def write_cost(path: Path, cost: Cost) -> None:
    """Keep what a piece cost in a file, written whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(asdict(cost)), encoding="utf-8")
    draft.replace(path)


def read_cost(path: Path) -> Cost:
    """What a piece cost; nothing known where the file is missing or damaged."""
    with suppress(OSError, ValueError, TypeError):
        return Cost(**json.loads(path.read_text(encoding="utf-8")))
    return Cost(float("nan"), float("nan"))
