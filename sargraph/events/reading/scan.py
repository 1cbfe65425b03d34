"""Scan: all files of one table, read one after the other and held as one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sargraph.core.errors import DataError
from sargraph.core.progress import progress
from sargraph.core.types import BoolArray, CodeArray, IntArray
from sargraph.events.reading.batches import Batches, read_batches
from sargraph.events.reading.fields import settle_unit
from sargraph.events.reading.ledger import QUARANTINED
from sargraph.events.reading.raw import RawTable
from sargraph.events.reading.times import check_unit, zone_offsets
from sargraph.events.reading.workspace import Workspace
from sargraph.events.recipe import Table

Faults = Mapping[str, Callable[[], BoolArray]]
"""Reasons for quarantine, and the mask of entries that each finds."""


@dataclass(frozen=True)
class Scan:
    """The entries of all files of a table, in the order of the files.

    `row` is the ledger's number of each entry's row; file f holds the entries from `starts[f]` on.
    """

    found: Batches
    row: CodeArray
    files: tuple[RawTable, ...]
    names: tuple[str, ...]
    starts: IntArray

    def put_away(self, work: Workspace, fit: BoolArray, faults: Faults) -> BoolArray:
        """Quarantine the fit entries that have a fault, under their first; those still fit."""
        fit = fit.copy()
        for reason, find in faults.items():
            bad = find() & fit
            fit &= ~bad
            places = np.flatnonzero(bad)
            cuts = np.searchsorted(places, self.starts[1:-1])
            for number, here in enumerate(np.split(places, cuts)):
                if len(here):
                    self._quarantine(work, number, here, reason)
        return fit

    def _quarantine(self, work: Workspace, number: int, places: IntArray, reason: str) -> None:
        name = self.names[number]
        start = next(file.start for file in work.ledger.files if file.name == name)
        texts = self.files[number].texts_of(places - self.starts[number])
        rows = self.row[places].astype(np.int64) - start + 1
        work.quarantine.add(name, reason, rows, texts)
        work.ledger.record(self.row[places], QUARANTINED, reason)


def scan_files(work: Workspace, table: Table, files: Sequence[tuple[str, RawTable]]) -> Scan:
    """Scan the files of a table, each under its name in the ledger.

    A search, an attribution and a group go on from one file to the next. Raises DataError where
    no file has a row, and as `RawTable.scan` and `times.check_unit` do.
    """
    found, rows, names = [], [], []
    for name, raw in progress(files, f"reading {table.file}"):
        settled = settle_unit(table, raw)
        batches = read_batches(raw, settled)
        file, row = _enter(work, raw, batches, name)
        _settle_times(batches, settled, raw.file)
        found.append(batches)
        rows.append(row)
        names.append(file)
    if not any(batches.size or raw.rejects for batches, (_, raw) in zip(found, files, strict=True)):
        raise DataError(f"{files[0][1].path} and all others of '{table.file}' hold no rows")
    starts = np.cumsum([0, *(batches.size for batches in found)])
    raws = tuple(raw for _, raw in files)
    return Scan(Batches.join(found), np.concatenate(rows), raws, tuple(names), starts)


def _enter(work: Workspace, raw: RawTable, found: Batches, name: str) -> tuple[str, CodeArray]:
    """Enter a file in the ledger: its name there, and the number of the row of each entry."""
    refused = [number for number, _, _ in raw.rejects]
    number: Any = found.arrays["row"] if raw.is_packed else raw.row_numbers()
    size = int(max(number.max(initial=0), *refused, 0))
    file = work.ledger.open(name, size)
    for reason in sorted({reason for _, reason, _ in raw.rejects}):
        rejects = [reject for reject in raw.rejects if reject[1] == reason]
        numbers = np.array([number for number, _, _ in rejects], dtype=np.int64)
        work.quarantine.add(file.name, reason, numbers, [text for _, _, text in rejects])
        work.ledger.record(file.start + numbers - 1, QUARANTINED, reason)
    is_small = file.start + size < 2**31
    row: Any = np.asarray(number + (file.start - 1), dtype=np.int32 if is_small else np.int64)
    return file.name, row


def _settle_times(found: Batches, table: Table, file: str) -> None:
    """Make times UTC, in place; refuses a column that is not in the unit it is declared in."""
    time = found.time
    if table.time.zone is not None:
        is_local: Any = found.arrays["is_local"]
        local = np.flatnonzero(is_local & ~found.faults["time"])
        time[local] -= zone_offsets(time[local], table.time.zone)
    fit = found.kept & ~found.faults["time"]
    check_unit(time[fit], table.time.unit, "/".join(table.time.column), file)
