"""The strongest simple answer of each task, and every model held against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sargraph.evaluation.arms import Arm, arms_of
from sargraph.evaluation.report import Report
from sargraph.evaluation.summary import Row, frame_of
from sargraph.evaluation.verdicts import VERDICT_COLUMNS, correct_together, verdict_row
from sargraph.pipeline.questions import Task


def against_strongest(report: Report, simple: Mapping[Task, Sequence[str]]) -> Report:
    """The report with verdicts of every model against the best of the simple answers.

    `simple` names the simple answers of each task. Under each protocol the one with the highest
    mean is taken: picked by the very requests that judge, it is flattered, and so is no model.
    Holm's correction is over all rows.
    """
    groups: dict[tuple[str, str], list[Arm]] = {}
    for arm in arms_of(report.results):
        groups.setdefault(arm.key, []).append(arm)
    rows: list[Row] = []
    for (task, _), arms in groups.items():
        names = {name for key, each in simple.items() if key == task for name in each}
        bases = [arm for arm in arms if arm.model in names]
        if bases:
            best = max(bases, key=lambda arm: float(arm.user_means([report.metric]).mean()))
            others = [arm for arm in arms if arm.model not in names]
            rows += [verdict_row(arm, best, report.metric, report.limits) for arm in others]
    return replace(report, verdicts=correct_together([frame_of(rows, VERDICT_COLUMNS)])[0])
