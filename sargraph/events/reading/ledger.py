"""The ledger: every source row of every file has exactly one fate."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sargraph.core.types import CodeArray

FATES = ("quarantined", "filtered", "merged", "used")
"""From weakest to strongest: where the events of one row fare differently, the strongest counts."""

QUARANTINED, FILTERED, MERGED, USED = range(4)

_REASONS_PER_FATE = 1000


@dataclass(frozen=True)
class SourceFile:
    """A file in the ledger: its row with number r (from 1) is `start + r - 1`."""

    name: str
    start: int
    size: int


@dataclass
class Ledger:
    """Fates of source rows, named by one running number over all files.

    `state` int16 [rows]: 0 = no such row (a blank line), else 1 + fate * 1000 + reason.
    """

    files: list[SourceFile] = field(default_factory=list)
    reasons: list[list[str]] = field(default_factory=lambda: [[] for _ in FATES])
    _state: npt.NDArray[np.int16] = field(default_factory=lambda: np.zeros(0, np.int16))

    @property
    def size(self) -> int:
        """Numbers given out so far."""
        return len(self._state)

    def open(self, name: str, size: int) -> SourceFile:
        """Give the `size` rows of a file their numbers; a name met before gets a mark."""
        while any(file.name == name for file in self.files):
            name += " (again)"
        file = SourceFile(name, self.size, size)
        self._state = np.concatenate([self._state, np.zeros(size, np.int16)])
        self.files.append(file)
        return file

    def record(self, rows: CodeArray | slice, fate: int, why: str = "") -> None:
        """Give rows a fate; a stronger one that a row already has stays."""
        known = self.reasons[fate]
        if why not in known:
            known.append(why)
        code = np.int16(1 + fate * _REASONS_PER_FATE + known.index(why))
        self._state[rows] = np.maximum(self._state[rows], code)

    def counts(self) -> dict[str, dict[str, Any]]:
        """Per file: rows, used, and the others by fate and reason; they add up to rows."""
        return {file.name: self._counts_of(file) for file in self.files}

    def _counts_of(self, file: SourceFile) -> dict[str, Any]:
        state = self._state[file.start : file.start + file.size]
        tally = np.bincount(state)
        found: dict[str, Any] = {"rows": int(tally[1:].sum()), "used": 0}
        found |= {fate: {} for fate in FATES[:USED]}
        for code in np.flatnonzero(tally[1:]).tolist():
            fate, reason = divmod(code, _REASONS_PER_FATE)
            if fate == USED:
                found["used"] += int(tally[code + 1])
            else:
                found[FATES[fate]][self.reasons[fate][reason]] = int(tally[code + 1])
        return found

    def totals(self) -> dict[str, Any]:
        """Rows and fates over all files; `merged`, `filtered`, `quarantined` by reason as well."""
        files = self.counts().values()
        found: dict[str, Any] = {name: sum(f[name] for f in files) for name in ("rows", "used")}
        for fate in FATES[:USED]:
            by_reason: Counter[str] = Counter()
            for file in files:
                by_reason.update(file[fate])
            found[fate] = by_reason.total()
            found[f"{fate}_by_reason"] = dict(sorted(by_reason.items()))
        return found

    def columns(self) -> dict[str, pa.Array]:
        """Columns to save: file, row, fate, why of every row that was not used."""
        lost = np.flatnonzero((self._state > 0) & (self._state <= USED * _REASONS_PER_FATE))
        starts = np.array([file.start for file in self.files], dtype=np.int64)
        place = np.searchsorted(starts, lost, side="right") - 1
        fate, why = np.divmod(self._state[lost] - 1, _REASONS_PER_FATE)
        reasons = [text for known in self.reasons for text in known]
        first = np.cumsum([0, *(len(known) for known in self.reasons)])[:-1]
        return {
            "file": _texts(place, [file.name for file in self.files]),
            "row": pa.array(lost - starts[place] + 1 if len(self.files) else lost),
            "fate": _texts(fate, list(FATES)),
            "why": _texts(first[fate] + why, reasons),
        }


def _texts(codes: CodeArray, texts: list[str]) -> pa.Array:
    indices = pa.array(np.asarray(codes, dtype=np.int32))
    return pa.DictionaryArray.from_arrays(indices, pa.array(texts, pa.string())).cast(pa.string())
