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
    def key(self) -> tuple[str, str]:
        """Arms with the same key answered the same requests with the same candidates."""
        return self.task, self.protocol.hash

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics that have a value per request."""
        names = metric_names(self.protocol.cutoffs)
        full = self.results[0].top is not None and self.results[0].popularity is not None
        return [*names, f"self-information@{self.protocol.cutoffs[-1]}"] if full else names

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
    groups: dict[tuple[str, str], list[Arm]] = {}
    for arm in arms:
        groups.setdefault(arm.key, []).append(arm)
    rows: list[Row] = []
    for group in groups.values():
        for name, mask in _slices(group).items():
            rows.extend(_slice_rows(group, name, mask, min_requests, min_users))
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
    bases = {arm.key: arm for arm in arms if arm.model == baseline}
    for key, base in bases.items():
        for arm in arms:
            if arm.key == key and arm.model != baseline:
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


def _slices(group: Sequence[Arm]) -> dict[str, BoolArray]:
    """All requests of the task, then the slices (of any arm) that hold some of them."""
    masks = {"all": np.ones(len(group[0].results[0]), dtype=bool)}
    for arm in group:
        named = arm.results[0].slices.items()
        masks |= {name: mask for name, mask in named if name not in masks and mask.any()}
    return masks


def _slice_rows(
    group: Sequence[Arm], name: str, mask: BoolArray, min_requests: int, min_users: int
) -> list[Row]:
    """Rows of all arms on one slice; the bootstrap draws its users once for all of them."""
    first = group[0]
    users = first.results[0].requests.user[mask]
    size: Row = {"users": len(np.unique(users)), "requests": len(users)}
    few = too_few(len(users), len(np.unique(users)), min_requests, min_users)
    means = {arm.model: arm.user_means(arm.metrics, mask) for arm in group}
    resamples: dict[str, DoubleArray] = {}
    if not few:
        draws = first.protocol.num_bootstrap
        resamples = bootstrap_means(means, seed=first.protocol.seed, num_resamples=draws)
    rows: list[Row] = []
    for arm in group:
        where: Row = {"task": arm.task, "slice": name, "model": arm.model}
        where |= {"candidates": arm.protocol.candidates_text()} | size
        for figure in _arm_rows(arm, mask, means[arm.model], resamples.get(arm.model)):
            rows.append(where | figure)
    return rows


def _arm_rows(
    arm: Arm, mask: BoolArray, means: DoubleArray, resamples: DoubleArray | None
) -> list[Row]:
    """Metric, value, low and high of one arm; NaN without resamples (too few requests)."""
    names, nothing = arm.metrics, np.full(len(arm.metrics), np.nan)
    values, low, high = nothing, nothing, nothing
    coverage = float("nan")
    if resamples is not None:
        values = means.mean(axis=(0, 1))
        low, high = interval(resamples)
        coverage = float(np.mean([result.take(mask).coverage() for result in arm.results]))
        check_possible(dict(zip(names, values.tolist(), strict=True)), f"{arm.model}, {arm.task}")
    rows: list[Row] = [
        {"metric": n, "value": v, "low": a, "high": b}
        for n, v, a, b in zip(names, values.tolist(), low.tolist(), high.tolist(), strict=True)
    ]
    if arm.results[0].top is not None:
        name, none = f"coverage@{arm.protocol.cutoffs[-1]}", float("nan")
        rows.append({"metric": name, "value": coverage, "low": none, "high": none})
    return rows


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
