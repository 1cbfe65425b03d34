"""Expected figures: what an experiment found before, with the tolerance it may move by."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sargraph.core.config import Config, parse_config, read_toml
from sargraph.evaluation.report import Report


class Figure(Config):
    """One expected figure."""

    data: str = ""
    """The data set, where there are several."""
    task: str
    """search or recommend."""
    model: str
    """The arm."""
    candidates: str
    """The protocol's candidates, as the table prints them."""
    metric: str
    """Such as NDCG@10."""
    slice: str = "all"
    """The requests: all, or a slice of them."""
    value: float
    """What was measured."""
    tolerance: float
    """How far it may move: absolute."""
    published: float | None = None
    """The published figure, where there is one."""


class Expected(Config):
    """The figures of an experiment, and what they were measured on."""

    events: str | dict[str, str]
    """Content hash of the events; by data set where there are several."""
    seeds: tuple[int, ...]
    """Seeds the figures are means over."""
    figures: tuple[Figure, ...]
    """The figures."""


def compare_expected(
    path: Path, reports: Report | Mapping[str, Report], seeds: Sequence[int] = (0,)
) -> list[str]:
    """One line that says all figures stand, or a line for each that moved or is gone.

    `reports`: the report of a run, or those of a grid by data set; `seeds`: those it was run with.
    """
    expected = parse_config(Expected, read_toml(path), str(path))
    named = {"": reports} if isinstance(reports, Report) else dict(reports)
    hashes = {"": expected.events} if isinstance(expected.events, str) else expected.events
    lines = []
    if set(expected.seeds) != set(seeds):
        lines.append(
            f"got seeds {sorted(seeds)}, the expected figures are of {sorted(expected.seeds)}"
        )
    for data, digest in hashes.items():
        if data not in named or named[data].parents.get("events") != digest:
            name = f"the events of {data}" if data else "the events"
            lines.append(f"{name} are not those the expected figures were measured on")
    moved = [line for figure in expected.figures if (line := _compare(figure, named))]
    if not moved:
        lines.append(f"all {len(expected.figures)} expected figures stand within their tolerance")
    return [*lines, *moved]


def measured_toml(
    reports: Mapping[str, Report], seeds: Sequence[int], slices: Sequence[str] = ()
) -> str:
    """What was measured as the content of an `expected.toml`: HR and NDCG at 10, of all requests.

    `slices` are those whose figures follow, each marked by its name. The tolerance is half the
    width of the interval, at least 0.005. Figures of too few requests are left out.
    """
    lines = ["# Measured figures; tolerances are absolute: half the width of the interval."]
    lines += [f"seeds = {list(seeds)}", "", "[events]"]
    lines += [f'"{data}" = "{report.parents["events"]}"' for data, report in reports.items()]
    for data, report in reports.items():
        frame = report.frame[report.frame["metric"].isin(["HR@10", "NDCG@10"])]
        for name in ("all", *slices):
            rows = frame[(frame["slice"] == name) & frame["value"].notna()]
            for row in rows.to_dict("records"):
                lines += ["", "[[figures]]", f'data = "{data}"', *_figure_lines(row)]
    return "\n".join([*lines, ""])


def _figure_lines(row: dict[Hashable, Any]) -> list[str]:
    tolerance = max((row["high"] - row["low"]) / 2, 0.005)
    texts = [f"{name} = {json.dumps(row[name], ensure_ascii=False)}"
             for name in ("task", "model", "candidates", "metric", "slice")
             if name != "slice" or row["slice"] != "all"]  # fmt: skip
    return [*texts, f"value = {row['value']:.4f}", f"tolerance = {tolerance:.4f}"]


def _compare(figure: Figure, reports: Mapping[str, Report]) -> str | None:
    keys = ("task", "model", "candidates", "metric", "slice")
    where = [getattr(figure, key) for key in keys]
    name = ", ".join(part for part in (figure.data, *where[:4]) if part)
    name += "" if figure.slice == "all" else f", {figure.slice}"
    rows = pd.DataFrame()
    if figure.data in reports:
        frame = reports[figure.data].frame
        rows = frame[(frame[list(keys)] == where).all(axis=1)]
    if rows.empty:
        return f"missing: {name} (expected {figure.value:.4f})"
    value = float(rows["value"].iloc[0])
    if abs(value - figure.value) <= figure.tolerance:
        return None
    return f"moved: {name}: {value:.4f}, expected {figure.value:.4f} ± {figure.tolerance:.4f}"
