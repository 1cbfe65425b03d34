"""Claims of a grid: each judged on each of its data sets, then corrected together by Holm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sargraph.core.types import BoolArray
from sargraph.evaluation.arms import Arm, arms_of
from sargraph.evaluation.evaluate import Result
from sargraph.evaluation.protocol import Protocol
from sargraph.evaluation.summary import Row, frame_of
from sargraph.evaluation.verdicts import VERDICT_COLUMNS, correct_together, verdict_row
from sargraph.pipeline.grid.cells import LeftOut
from sargraph.pipeline.grid.config import Claim, GridConfig
from sargraph.pipeline.grid.kinds import is_learned, protocols_for
from sargraph.pipeline.questions import TASKS

COLUMNS = {"data": str, **VERDICT_COLUMNS}
SLICED_COLUMNS = {"data": str, "slice": str, **VERDICT_COLUMNS}
"""Those of an experiment that also claims on slices."""
ALL = "all"
"""The slice that holds every request."""
SEEDS = 5
"""Training seeds that a claim about a kind of model needs."""


@dataclass(frozen=True)
class Case:
    """A claim on one data set and slice of its requests, with the protocol that decides it."""

    claim: Claim
    data: str
    protocol: Protocol
    slice: str = ALL


def cases_of(config: GridConfig, data: str) -> list[Case]:
    """The claims on a data set that both of its models are for, each on all and on the slices."""
    cases = []
    for claim in claims_of(config):
        if claim.data and data not in claim.data:
            continue
        protocol = _deciding(config, claim, data)
        if protocol is not None:
            names = (ALL, *config.claims.slices)
            cases += [Case(claim, data, protocol, name) for name in names]
    return cases


def judge_cases(
    config: GridConfig, data: str, results: Sequence[Result]
) -> tuple[pd.DataFrame, list[LeftOut]]:
    """A row per claim on this data set and slice, and the claims that could not be judged.

    Columns: `COLUMNS`, with slices `SLICED_COLUMNS`. On a slice the test and the interval are over
    the users with a request in it, and their means over these requests alone. p values are not
    yet corrected; see `corrected`. Cost: per row that of `verdict_row`.
    """
    rows: list[Row] = []
    gone = []
    limits = config.min_requests, config.min_users
    for case in cases_of(config, data):
        found = _arms_of_case(config, case, results)
        if isinstance(found, LeftOut):
            gone.append(found)
            continue
        ours, base, mask = found
        row = verdict_row(ours, base, case.claim.metric, limits, mask)
        rows.append({"data": data, "slice": case.slice, **row})
    return frame_of(rows, SLICED_COLUMNS if config.claims.slices else COLUMNS), gone


def _arms_of_case(
    config: GridConfig, case: Case, results: Sequence[Result]
) -> tuple[Arm, Arm, BoolArray | None] | LeftOut:
    """The model, the baseline and the mask of the slice (None = all), or why there are none."""
    names = [config.label(case.claim.model), config.label(case.claim.baseline)]
    own = [r for r in results if r.model in names and r.protocol.hash == case.protocol.hash]
    arms = [arm for arm in arms_of(own) if arm.task == case.claim.task]
    where = "" if case.slice == ALL else f", {case.slice}"
    text = f"claim against {names[1]} in {case.claim.task}{where}: no "
    missing = set(names) - {arm.model for arm in arms}
    if missing:
        return LeftOut(case.data, names[0], text + "figures of " + " and ".join(sorted(missing)))
    ours, base = (next(arm for arm in arms if arm.model == name) for name in names)
    if case.slice == ALL:
        return ours, base, None
    slices = ours.results[0].slices
    if case.slice not in slices:
        why = f"{text}such slice of this data; it has {', '.join(slices) or 'none'}"
        return LeftOut(case.data, names[0], why)
    return ours, base, slices[case.slice]


def corrected(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """All claims on all data sets and slices as one family: Holm's p, and what it allows to say."""
    parts = correct_together(frames) if frames else [frame_of([], COLUMNS)]
    columns = SLICED_COLUMNS if "slice" in parts[0] else COLUMNS
    return pd.concat(parts, ignore_index=True).astype(columns)


def with_seeds_named(config: GridConfig, verdicts: pd.DataFrame) -> pd.DataFrame:
    """The verdicts with a reason where a model that learns from chance has under five seeds."""
    found = verdicts.copy()
    learned = {config.label(name) for name in config.models if is_learned(config, name)}
    for place, row in enumerate(found.to_dict("records")):
        pairs = ((row["model"], row["seeds"]), (row["baseline"], row["baseline_seeds"]))
        seeds = min((int(count) for name, count in pairs if name in learned), default=SEEDS)
        if seeds < SEEDS:
            note = f"{seeds} training seed(s): of these trained models, not of their kind"
            found.loc[place, "reason"] = "; ".join(filter(None, [row["reason"], note]))
    return found


def claims_table(config: GridConfig) -> list[dict[str, Any]]:
    """All that decides the claims, to be frozen: who, against whom, by what, on what, and where."""
    return [
        {
            "data": data,
            **case.claim.model_dump(include={"model", "baseline", "task", "metric"}),
            **({} if case.slice == ALL else {"slice": case.slice}),
            "protocol": case.protocol.hash,
            "min_requests": config.min_requests,
            "min_users": config.min_users,
        }
        for data in config.data
        for case in cases_of(config, data)
    ]


def claims_of(config: GridConfig) -> Iterator[Claim]:
    """All claims: every model against its task's baseline, then the pairs."""
    claims = config.claims
    for task in TASKS:
        baseline = claims.baseline.get(task)
        if baseline is None:
            continue
        for name, part in config.models.items():
            if name != baseline and task in part.tasks:
                yield Claim(
                    model=name, baseline=baseline, task=task, metric=claims.metric,
                    protocol=claims.protocol.get(task, ""),
                )  # fmt: skip
    yield from claims.pairs


def _deciding(config: GridConfig, claim: Claim, data: str) -> Protocol | None:
    """The protocol that decides a claim: the named one, or the first that judges both models."""
    both = []
    for name in (claim.model, claim.baseline):
        part = config.models[name]
        if claim.task not in part.tasks or (part.data and data not in part.data):
            return None
        both.append(protocols_for(config, name, data, claim.task))
    hashes = {protocol.hash for protocol in both[1]}
    fit = [p for p in both[0] if p.hash in hashes and claim.protocol in ("", p.name)]
    return fit[0] if fit else None
