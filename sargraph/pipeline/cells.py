"""Cells: finished pieces of work, stored under the hash of all that went into them."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import sargraph
from sargraph.core.artifact import MANIFEST, hash_file, hash_of, is_artifact
from sargraph.core.errors import BadInputError

T = TypeVar("T")
log = logging.getLogger("sargraph")


@dataclass
class Cells:
    """A folder of finished artefacts that a run with the same inputs takes up again.

    `seconds` holds the time each stage took in this run (0 where it was taken up).
    """

    folder: Path
    seconds: dict[str, float] = field(default_factory=dict)

    def get(
        self,
        stage: str,
        inputs: dict[str, Any],
        make: Callable[[Path], T],
        load: Callable[[Path], T],
    ) -> T:
        """The result of a stage: loaded where the same inputs were worked before, else made.

        `make(path)` works and saves to `path`; the version of sargraph is one of the inputs.
        """
        key = hash_of({"stage": stage, "version": sargraph.__version__, **inputs})[:12]
        path = self.folder / f"{stage}-{key}"
        start = time.perf_counter()
        if is_artifact(path):
            result = load(path)
            self.seconds[stage] = 0.0
            log.info("%s: taken up from %s", stage, path.name)
            return result
        result = make(path)
        self.seconds[stage] = time.perf_counter() - start
        log.info("%s: %.1f s", stage, self.seconds[stage])
        return result


def data_folder() -> Path:
    """Where real data lies: `$SARGRAPH_DATA`, or `../shared/data`."""
    return Path(os.environ.get("SARGRAPH_DATA", "../shared/data"))


def hashed_files(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder of logs by its path; linked folders are entered once.

    Manifests are left out: they say what the other files are.
    """
    found: dict[str, str] = {}
    entered = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = [] if real in entered else sorted(folders)
        if real not in entered:
            paths = [Path(place) / name for name in files if name != MANIFEST]
            found |= {p.relative_to(folder).as_posix(): hash_file(p) for p in paths}
        entered.add(real)
    return dict(sorted(found.items()))


def find_source(source: str, beside: Path) -> Path:
    """A folder of raw logs: as given, beside the configuration file, or in the data folder.

    Raises BadInputError naming the places where it was sought.
    """
    places = [Path(source), beside / source, data_folder() / source]
    for place in places:
        if place.exists():
            return place
    sought = ", ".join(str(place) for place in places)
    raise BadInputError(f"no folder '{source}' (looked at {sought}); set SARGRAPH_DATA")
