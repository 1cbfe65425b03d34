"""Verdicts: comparisons of arms with a baseline as rows, corrected as one family."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sargraph.core.errors import BadInputError, nearest
from sargraph.core.types import BoolArray, DoubleArray
from sargraph.evaluation.arms import Arm
from sargraph.evaluation.significance import compare, holm, share
from sargraph.evaluation.slices import MIN_REQUESTS, MIN_USERS, too_few
from sargraph.evaluation.summary import Row, frame_of
from sargraph.evaluation.verdict import reason, verdict

TOO_FEW = "too few"
"""Stands where a slice holds too few requests or users for a figure."""

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
    "seeds": int,
    "baseline_seeds": int,
    "reason": str,
}
"""Columns of the verdicts: absolute differences of user means against the baseline.

`seeds` and `baseline_seeds`: training seeds of the two; `reason`: why the verdict is what it is.
"""


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
                rows.append(verdict_row(arm, base, metric, (min_requests, min_users)))
    return correct_together([frame_of(rows, VERDICT_COLUMNS)])[0]


def verdict_row(
    arm: Arm, base: Arm, metric: str, limits: tuple[int, int], mask: BoolArray | None = None
) -> Row:
    """One comparison, not yet corrected; `limits` are the fewest requests and users."""
    row: Row = {name: float("nan") for name in VERDICT_COLUMNS}
    row |= {"task": arm.task, "candidates": arm.protocol.candidates_text()}
    row |= {"model": arm.model, "baseline": base.model, "metric": metric, "reason": ""}
    row |= {"seeds": len(arm.results), "baseline_seeds": len(base.results)}
    num_users, num_requests = arm.size(mask)
    if too_few(num_requests, num_users, *limits):
        return row | {"verdict": TOO_FEW}
    ours, theirs = (each.user_means([metric], mask)[:, :, 0] for each in (arm, base))
    found = compare(ours, theirs, seed=arm.protocol.seed, num_resamples=arm.protocol.num_bootstrap)
    row |= {"baseline_value": found.baseline, "difference": found.difference}
    row |= {"low": found.low, "high": found.high, "p": found.p, "p_holm": found.p}
    row |= {"detectable": found.detectable, "reason": found.reason()}
    return row | {"verdict": found.verdict()}


def correct_together(frames: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """The verdicts of a whole experiment, Holm-corrected over all its (claim, data set) cells.

    Takes one frame per report (`VERDICT_COLUMNS`), gives them back with `p_holm` over the rows of
    all frames together, and verdict and reason by it. Rows with too few requests are no tests.
    The result does not depend on corrections made before.
    """
    p_values = np.concatenate([np.empty(0), *(frame["p"].to_numpy() for frame in frames)])
    decided = ~np.isnan(p_values)
    corrected = np.full(len(p_values), np.nan)
    corrected[decided] = holm(p_values[decided])
    ends = np.cumsum([len(frame) for frame in frames], dtype=np.int64)
    return [
        _with_p(frame, corrected[end - len(frame) : end])
        for frame, end in zip(frames, ends.tolist(), strict=True)
    ]


def _with_p(frame: pd.DataFrame, corrected: DoubleArray) -> pd.DataFrame:
    """The frame with these corrected p values, and the words that follow from them."""
    frame = frame.assign(p_holm=corrected).reset_index(drop=True)
    for place in np.flatnonzero(~np.isnan(corrected)):
        baseline, low, high, seen = (
            float(frame[name].iloc[place])
            for name in ("baseline_value", "low", "high", "detectable")
        )
        found = (low, share(high, baseline), float(corrected[place]))
        words = [verdict(*found), reason(*found, share(seen, baseline))]
        frame.loc[place, ["verdict", "reason"]] = words
    return frame
