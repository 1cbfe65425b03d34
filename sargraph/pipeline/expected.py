"""Expected figures: what an experiment found before, with the tolerance it may move by."""

from __future__ import annotations

from pathlib import Path

from sargraph.core.config import Config, parse_config, read_toml
from sargraph.evaluation.report import Report


class Figure(Config):
    """One expected figure."""

    task: str
    """search or recommend."""
    model: str
    """The arm."""
    candidates: str
    """The protocol's candidates, as the table prints them."""
    metric: str
    """Such as NDCG@10."""
    value: float
    """What was measured."""
    tolerance: float
    """How far it may move: absolute."""
    published: float | None = None
    """The published figure, where there is one."""


class Expected(Config):
    """The figures of an experiment, and what they were measured on."""

    events: str
    """Content hash of the events."""
    seeds: tuple[int, ...]
    """Seeds the figures are means over."""
    figures: tuple[Figure, ...]
    """The figures."""


def compare_expected(path: Path, report: Report) -> list[str]:
    """One line that says all figures stand, or a line for each that moved or is gone."""
    expected = parse_config(Expected, read_toml(path), str(path))
    lines = []
    if report.parents.get("events") != expected.events:
        lines.append("the events are not those the expected figures were measured on")
    moved = [line for figure in expected.figures if (line := _compare(figure, report))]
    if not moved:
        lines.append(f"all {len(expected.figures)} expected figures stand within their tolerance")
    return [*lines, *moved]


def _compare(figure: Figure, report: Report) -> str | None:
    frame = report.frame
    row = frame[
        (frame["task"] == figure.task)
        & (frame["model"] == figure.model)
        & (frame["candidates"] == figure.candidates)
        & (frame["metric"] == figure.metric)
        & (frame["slice"] == "all")
    ]
    name = f"{figure.task}, {figure.model}, {figure.candidates}, {figure.metric}"
    if row.empty:
        return f"missing: {name} (expected {figure.value:.4f})"
    value = float(row["value"].iloc[0])
    if abs(value - figure.value) <= figure.tolerance:
        return None
    return f"moved: {name}: {value:.4f}, expected {figure.value:.4f} ± {figure.tolerance:.4f}"
