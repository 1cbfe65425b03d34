"""Compare two saved runs: refuse where they cannot be, else differences, overall and by slice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sargraph.core.errors import BadInputError, nearest
from sargraph.evaluation.arms import Arm, arms_of, slices_of
from sargraph.evaluation.comparable import check_comparable, check_same_requests, place
from sargraph.evaluation.report import Report
from sargraph.evaluation.report_text import percent, verdict_line
from sargraph.evaluation.summary import Row, frame_of
from sargraph.evaluation.verdicts import TOO_FEW, VERDICT_COLUMNS, correct_together, verdict_row

COMPARE_COLUMNS = {"slice": str, "users": int, "requests": int, **VERDICT_COLUMNS}
"""Columns of a comparison: `model` of the first run against `baseline`, a model of the second."""


@dataclass(frozen=True)
class ComparedRuns:
    """What two runs differ in: `frame` (COMPARE_COLUMNS) and `notes` on what was left out."""

    frame: pd.DataFrame
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """One verdict per model, task and candidates over all requests, then the notes."""
        whole = self.frame[self.frame["slice"] == "all"]
        return [*(verdict_line(row) for row in whole.to_dict("records")), *self.notes]

    def table(self) -> pd.DataFrame:
        """The frame in a few columns of text, differences in percent of the second run."""
        rows = [
            {
                "task": f"{row['task']}, {row['candidates']}",
                "model": row["model"],
                "slice": row["slice"],
                "users": f"{row['users']:,}",
                row["metric"]: TOO_FEW if row["verdict"] == TOO_FEW else percent(row, "difference"),
                "interval": _interval(row),
                "p": "-" if np.isnan(row["p_holm"]) else f"{row['p_holm']:.4f}",
                "detectable": percent(row, "detectable"),
                "verdict": row["verdict"],
            }
            for row in self.frame.to_dict("records")
        ]
        return pd.DataFrame(rows)


def _interval(row: Mapping[Any, Any]) -> str:
    """Both bounds, or a dash where there is none: too few requests, or one user."""
    low, high = percent(row, "low"), percent(row, "high")
    return low if low == high == "-" else f"{low} to {high}"


def compare_saved(
    first: Path | str,
    second: Path | str,
    model: str | None = None,
    against: str | None = None,
    metric: str | None = None,
) -> ComparedRuns:
    """`compare_reports` of two saved reports. Raises ArtifactError and as that does."""
    return compare_reports(Report.load(first), Report.load(second), model, against, metric)


def compare_reports(
    first: Report,
    second: Report,
    model: str | None = None,
    against: str | None = None,
    metric: str | None = None,
) -> ComparedRuns:
    """Paired differences of `model` in the first run from `against` in the second.

    `against` is the same name unless given; without `model` every name that both runs hold is
    compared, but for those that ranked alike. `metric` is the first run's primary metric unless
    given. Verdicts over all requests are Holm-corrected together; those by slice, which look
    closer, together with them. Raises BadInputError, with the reason, where the runs did not answer
    the same requests with the same candidates under the same protocol.
    """
    check_comparable(first, second)
    ours, theirs = arms_of(first.results), arms_of(second.results)
    pairs = _pairs(ours, theirs, _names(ours, theirs, model, against))
    check_same_requests(pairs)
    alike = [] if model else [pair for pair in pairs if _is_alike(*pair)]
    if 0 < len(alike) < len(pairs):
        pairs = [pair for pair in pairs if not _is_alike(*pair)]
    limits, rows = first.limits, list[Row]()
    for arm, base in pairs:
        rows += _rows(arm, base, metric or first.metric, limits)
    frame = frame_of(rows, COMPARE_COLUMNS)
    is_whole = (frame["slice"] == "all").to_numpy()
    corrected, whole = correct_together([frame])[0], correct_together([frame[is_whole]])[0]
    for name in ("p_holm", "verdict", "reason"):
        corrected.loc[is_whole, name] = whole[name].to_numpy()
    return ComparedRuns(corrected, _notes(ours, theirs, [arm for arm, _ in alike]))


def _pairs(
    ours: Sequence[Arm], theirs: Sequence[Arm], names: Sequence[tuple[str, str]]
) -> list[tuple[Arm, Arm]]:
    """The arms of these names under one protocol. Raises BadInputError where there are none."""
    bases = {(arm.key, arm.model): arm for arm in theirs}
    found = [
        (arm, bases[arm.key, two])
        for one, two in names
        for arm in ours
        if arm.model == one and (arm.key, two) in bases
    ]
    if not found:
        raise BadInputError(
            f"'{names[0][0]}' and '{names[0][1]}' were not judged on one task under one protocol; "
            "judge both under the same protocol"
        )
    return found


def _notes(ours: Sequence[Arm], theirs: Sequence[Arm], alike: Sequence[Arm]) -> tuple[str, ...]:
    """What the comparison leaves out, in lines."""
    keys = [{arm.key: arm for arm in arms} for arms in (ours, theirs)]
    alone = [arm for key, arm in (keys[0] | keys[1]).items() if key not in keys[0].keys() & keys[1]]
    notes = []
    if alone:
        notes.append(f"judged in one run only: {', '.join(map(place, alone))}")
    if alike:
        same = "; ".join(f"{arm.model}, {place(arm)}" for arm in alike)
        notes.append(f"ranked alike in both runs: {same}")
    return tuple(notes)


def _names(
    ours: Sequence[Arm], theirs: Sequence[Arm], model: str | None, against: str | None
) -> list[tuple[str, str]]:
    """Names of models in the first and in the second run. Raises BadInputError."""
    known = [list(dict.fromkeys(arm.model for arm in arms)) for arms in (ours, theirs)]
    if model is None and against is not None:
        raise BadInputError(
            f"got --against '{against}' without --model; name the first run's model"
        )
    if model is None:
        shared = [name for name in known[0] if name in known[1]]
        if shared:
            return [(name, name) for name in shared]
        raise BadInputError(
            f"no model stands in both runs ({', '.join(known[0])}; {', '.join(known[1])}); "
            "name one of each with --model and --against"
        )
    for name, names in zip((model, against or model), known, strict=True):
        if name not in names:
            raise BadInputError(f"no results of '{name}'; {nearest(name, names)}")
    return [(model, against or model)]


def _is_alike(arm: Arm, base: Arm) -> bool:
    """True where all seeds of the two ranked every target in the same place."""
    ranks = [[result.ranks.realistic for result in each.results] for each in (arm, base)]
    return len(ranks[0]) == len(ranks[1]) and all(map(np.array_equal, *ranks))


def _rows(arm: Arm, base: Arm, metric: str, limits: tuple[int, int]) -> Iterator[Row]:
    """One row per slice, all requests first."""
    for name, mask in slices_of([arm]).items():
        num_users, num_requests = arm.size(mask)
        size: Row = {"slice": name, "users": num_users, "requests": num_requests}
        yield size | verdict_row(arm, base, metric, limits, mask)
