"""Summary: results become rows of figures with intervals and their spread over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd

from sargraph.core.types import BoolArray, DoubleArray
from sargraph.evaluation.arms import Arm, slices_of
from sargraph.evaluation.refusal import check_possible
from sargraph.evaluation.significance import Estimate, bootstrap_means
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
    "seeds": int,
    "seed_low": float,
    "seed_high": float,
}
"""Columns of the figures: NaN in `value` means "too few", NaN in `low` and `high` no interval.

`seed_low` and `seed_high` are the lowest and the highest mean of one training seed; NaN where there
is only one, or where `seeds` is 0: not known, as the report is older than the column.
"""


def figures(
    arms: Sequence[Arm], *, min_requests: int = MIN_REQUESTS, min_users: int = MIN_USERS
) -> pd.DataFrame:
    """One row per task, slice, model, candidates and metric, see FRAME_COLUMNS.

    The value is the mean over users of the mean over a user's requests (and seeds); low .. high
    is its 95 % interval over users and seeds. Raises ImpossibleResultError.
    """
    groups: dict[tuple[str, str], list[Arm]] = {}
    for arm in arms:
        groups.setdefault(arm.key, []).append(arm)
    rows: list[Row] = []
    for group in groups.values():
        for name, mask in slices_of(group).items():
            rows.extend(_slice_rows(group, name, mask, min_requests, min_users))
    return frame_of(rows, FRAME_COLUMNS)


def frame_of(rows: Sequence[Row], columns: dict[str, type]) -> pd.DataFrame:
    """A table with exactly these columns and kinds."""
    data = {name: [row[name] for row in rows] for name in columns}
    return pd.DataFrame(data).astype(columns)


def _slice_rows(
    group: Sequence[Arm], name: str, mask: BoolArray, min_requests: int, min_users: int
) -> list[Row]:
    """Rows of all arms on one slice; the bootstrap draws its users once for all of them."""
    first = group[0]
    num_users, num_requests = first.size(mask)
    size: Row = {"users": num_users, "requests": num_requests}
    means: dict[str, DoubleArray] = {}
    found: dict[str, Estimate] = {}
    if not too_few(num_requests, num_users, min_requests, min_users):
        draws = first.protocol.num_bootstrap
        means = {arm.model: arm.user_means(arm.metrics, mask) for arm in group}
        found = bootstrap_means(means, seed=first.protocol.seed, num_resamples=draws)
    rows: list[Row] = []
    for arm in group:
        where: Row = {"task": arm.task, "slice": name, "model": arm.model}
        where |= {"candidates": arm.protocol.candidates_text(), "seeds": len(arm.results)}
        by_seed = means[arm.model].mean(axis=1) if means else None
        for figure in _arm_rows(arm, mask, by_seed, found.get(arm.model)):
            rows.append(where | size | figure)
    return rows


def _arm_rows(
    arm: Arm, mask: BoolArray, by_seed: DoubleArray | None, found: Estimate | None
) -> list[Row]:
    """Metric, value, interval and spread of one arm; NaN without means (too few requests)."""
    coverage = f"coverage@{arm.protocol.main_cutoff}" if arm.results[0].top is not None else ""
    if by_seed is None or found is None:
        names = [*arm.metrics, coverage] if coverage else arm.metrics
        return [_row(name, None) for name in names]
    low, high = found.interval()
    rows = [
        _row(name, by_seed[:, place], float(low[place]), float(high[place]))
        for place, name in enumerate(arm.metrics)
    ]
    check_possible({str(r["metric"]): float(r["value"]) for r in rows}, f"{arm.model}, {arm.task}")
    if coverage:
        shares = np.array([result.take(mask).coverage() for result in arm.results])
        rows.append(_row(coverage, shares))
    return rows


def _row(name: str, by_seed: DoubleArray | None, low: float = np.nan, high: float = np.nan) -> Row:
    """One figure from the means of its seeds."""
    nothing = float("nan")
    row: Row = {"metric": name, "value": nothing, "low": low, "high": high}
    row |= {"seed_low": nothing, "seed_high": nothing}
    if by_seed is not None:
        row["value"] = float(by_seed.mean())
        if len(by_seed) > 1:
            row["seed_low"], row["seed_high"] = float(by_seed.min()), float(by_seed.max())
    return row
