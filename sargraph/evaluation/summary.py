"""Summary: results become rows of figures with intervals, and verdicts against a baseline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd

from sargraph.core.errors import BadInputError, nearest
from sargraph.core.types import BoolArray, DoubleArray
from sargraph.evaluation.evaluate import Result
from sargraph.evaluation.metrics import metric_names
from sargraph.evaluation.protocol import Protocol
from sargraph.evaluation.refusal import check_possible
from sargraph.evaluation.significance import (
    LEVEL,
    bootstrap_means,
    compare,
    holm,
    interval,
    mean_by_user,
)
from sargraph.evaluation.slices import MIN_REQUESTS, MIN_USERS, too_few

Row: TypeAlias = dict[str, str | float | int]

FRAME_COLUMNS = {
    "task": str,
    "slice": str,
    "model": str,
    "candidates": str,
    "metric": str,
    "value": float,
    "low": float,
    "high": float,
    "users": int,
    "requests": int,
}
"""Columns of the figures: NaN in `value` means "too few", NaN in `low` and `high` no interval."""

VERDICT_COLUMNS = {
    "task": str,
    "candidates": str,
    "model": str,
    "baseline": str,
    "metric": str,
    "baseline_value": float,
    "difference": float,
    "low": float,
    "high": float,
    "p": float,
    "p_holm": float,
    "detectable": float,
    "verdict": str,
}
"""Columns of the verdicts: absolute differences of user means against the baseline."""


@dataclass(frozen=True)
class Arm:
    """One model under one protocol on one task: its results, one per training seed."""

    model: str
    task: str
    protocol: Protocol
    results: tuple[Result, ...]

    @property
    def slices(self) -> dict[str, BoolArray]:
        """All requests of the task, then the slices that hold any of them."""
        first = self.results[0]
        everything = {"all": np.ones(len(first), dtype=bool)}
        return everything | {name: mask for name, mask in first.slices.items() if mask.any()}

    def user_means(self, names: Sequence[str], mask: BoolArray | None = None) -> DoubleArray:
        """Mean metrics of each user for each seed, [seeds, users, metrics]."""
        parts = [result if mask is None else result.take(mask) for result in self.results]
        columns = [np.stack([_values(part, name) for name in names], axis=1) for part in parts]
        users = parts[0].requests.user
        return np.stack([mean_by_user(values, users)[1] for values in columns])


def arms_of(results: Sequence[Result]) -> list[Arm]:
    """Results grouped by task, protocol and model, in the order given.

    Results of one model under one protocol are its training seeds.
    Raises BadInputError when two results of a task and protocol ranked different candidates.
    """
    groups: dict[tuple[str, str, str], list[Result]] = {}
    marks: dict[tuple[str, str], str] = {}
    for result in results:
        for task, mask in _tasks(result):
            first = marks.setdefault((task, result.protocol.hash), result.candidates_hash)
            if first != result.candidates_hash:
                raise BadInputError(
                    f"'{result.model}' ranked other {task} requests or candidates than the models "
                    "before it; evaluate all arms on the same requests with the same protocol"
                )
            key = (task, result.protocol.hash, result.model)
            groups.setdefault(key, []).append(result.take(mask))
    return [Arm(key[2], key[0], group[0].protocol, tuple(group)) for key, group in groups.items()]


def figures(
    arms: Sequence[Arm], *, min_requests: int = MIN_REQUESTS, min_users: int = MIN_USERS
) -> pd.DataFrame:
    """One row per task, slice, model, candidates and metric, see FRAME_COLUMNS.

    The value is the mean over users of the mean over a user's requests (and seeds); low .. high
    is its 95 % bootstrap interval. Raises ImpossibleResultError.
    """
    rows: list[Row] = []
    for arm in arms:
        for name, mask in arm.slices.items():
            rows.extend(_slice_rows(arm, name, mask, min_requests, min_users))
    return frame_of(rows, FRAME_COLUMNS)


def verdicts(
    arms: Sequence[Arm],
    baseline: str,
    metric: str,
    *,
    min_requests: int = MIN_REQUESTS,
    min_users: int = MIN_USERS,
) -> pd.DataFrame:
    """Every model against the baseline on each task, Holm-corrected together: VERDICT_COLUMNS.

    Raises BadInputError when no arm is called `baseline`.
    """
    if all(arm.model != baseline for arm in arms):
        known = {arm.model for arm in arms}
        raise BadInputError(f"no results of baseline '{baseline}'; {nearest(baseline, known)}")
    rows: list[Row] = []
    bases = {(arm.task, arm.protocol.hash): arm for arm in arms if arm.model == baseline}
    for key, base in bases.items():
        for arm in arms:
            if (arm.task, arm.protocol.hash) == key and arm.model != baseline:
                rows.append(_verdict_row(arm, base, metric, min_requests, min_users))
    frame = frame_of(rows, VERDICT_COLUMNS)
    decided = np.flatnonzero(frame["p"].notna())
    if len(decided):
        frame.loc[decided, "p_holm"] = holm(frame["p"].to_numpy()[decided])
    overruled = (frame["verdict"] == "shown") & (frame["p_holm"] >= LEVEL)
    frame.loc[overruled, "verdict"] = "cannot tell"
    return frame


def frame_of(rows: Sequence[Row], columns: dict[str, type]) -> pd.DataFrame:
    """A table with exactly these columns and kinds."""
    data = {name: [row[name] for row in rows] for name in columns}
    return pd.DataFrame(data).astype(columns)


def _tasks(result: Result) -> Iterator[tuple[str, BoolArray]]:
    for task, mask in (
        ("search", result.requests.is_search),
        ("recommend", ~result.requests.is_search),
    ):
        if mask.any():
            yield task, mask


def _values(result: Result, name: str) -> DoubleArray:
    if name.startswith("self-information"):
        bits = result.self_information()
        return np.full(len(result), np.nan) if bits is None else bits
    return result.metric(name)


def _slice_rows(
    arm: Arm, name: str, mask: BoolArray, min_requests: int, min_users: int
) -> list[Row]:
    names = metric_names(arm.protocol.cutoffs)
    width = arm.protocol.cutoffs[-1]
    if arm.protocol.candidates == "full":
        names = [*names, f"self-information@{width}", f"coverage@{width}"]
    num_requests = int(mask.sum())
    num_users = len(np.unique(arm.results[0].requests.user[mask]))
    values, low, high = (np.full(len(names), np.nan) for _ in range(3))
    if not too_few(num_requests, num_users, min_requests, min_users):
        values, low, high = _measure(arm, names, mask)
        where = f"{arm.model}, {arm.task}, {name}"
        check_possible(dict(zip(names, values.tolist(), strict=True)), where)
    shared: Row = {"task": arm.task, "slice": name, "model": arm.model}
    shared |= {"candidates": arm.protocol.candidates_text()}
    shared |= {"users": num_users, "requests": num_requests}
    return [
        shared | {"metric": n, "value": v, "low": a, "high": b}
        for n, v, a, b in zip(names, values.tolist(), low.tolist(), high.tolist(), strict=True)
    ]


def _measure(
    arm: Arm, names: Sequence[str], mask: BoolArray
) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
    """Value, low and high of each metric on the masked requests."""
    sampled = [name for name in names if not name.startswith("coverage")]
    means = arm.user_means(sampled, mask)
    resamples = bootstrap_means(
        means, seed=arm.protocol.seed, num_resamples=arm.protocol.num_bootstrap, arm=arm.model
    )
    low, high = interval(resamples)
    values = means.mean(axis=(0, 1))
    for _ in range(len(names) - len(sampled)):
        covered = np.mean([result.take(mask).coverage() for result in arm.results])
        values = np.append(values, covered)
        low, high = np.append(low, np.nan), np.append(high, np.nan)
    return values, low, high


def _verdict_row(arm: Arm, base: Arm, metric: str, min_requests: int, min_users: int) -> Row:
    row: Row = {name: float("nan") for name in VERDICT_COLUMNS}
    row |= {"task": arm.task, "candidates": arm.protocol.candidates_text()}
    row |= {"model": arm.model, "baseline": base.model, "metric": metric}
    ours, theirs = (each.user_means([metric])[:, :, 0] for each in (arm, base))
    if too_few(len(arm.results[0]), ours.shape[1], min_requests, min_users):
        return row | {"verdict": "too few"}
    found = compare(ours, theirs, seed=arm.protocol.seed, num_resamples=arm.protocol.num_bootstrap)
    row |= {"baseline_value": found.baseline, "difference": found.difference}
    row |= {"low": found.low, "high": found.high, "p": found.p, "p_holm": found.p}
    return row | {"detectable": found.detectable, "verdict": found.verdict()}
