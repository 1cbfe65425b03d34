"""What `sargraph run` does with a grid: its files, its screen, its comparison with what was."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sargraph.core.artifact import read_manifest
from sargraph.events.card import card_markdown, card_page
from sargraph.events.events import Events
from sargraph.pipeline.expected import compare_expected, measured_toml
from sargraph.pipeline.grid.config import read_grid
from sargraph.pipeline.grid.page import grid_document, screen_tables
from sargraph.pipeline.grid.plan import Plan
from sargraph.pipeline.grid.run import Found, open_grid, run_grid
from sargraph.pipeline.grid.store import Store
from sargraph.pipeline.model_card import model_card


@dataclass(frozen=True)
class GridOutcome:
    """What an experiment found, for the screen and for machines; `page` is its HTML report."""

    found: Found
    remarks: list[str]
    page: Path

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """What goes on the screen, by title."""
        return screen_tables(self.found)

    def to_dict(self) -> dict[str, Any]:
        """Figures by data set, claims, cells and where the page is, for machines."""
        frames = [
            report.to_frame().assign(data=data) for data, report in self.found.reports.items()
        ]
        figures = pd.concat(frames).to_dict(orient="records") if frames else []
        cells = [{"data": cell.data, "model": cell.label, "seed": cell.seed, "new": cell.is_new,
                  **asdict(cell.cost)} for cell in self.found.cells]  # fmt: skip
        return {"page": str(self.page), "figures": figures, "cells": cells,
                "claims": self.found.verdicts.to_dict(orient="records"),
                "remarks": self.remarks}  # fmt: skip


def run_grid_file(
    path: Path, out: Path, overrides: Sequence[str] = (), cells: Path | None = None
) -> GridOutcome:
    """Run a grid's file, write its report and cards, and compare with its `expected.toml`.

    Expectations are compared only without overrides: another configuration is another claim.
    """
    config = read_grid(path, tuple(overrides))
    command = shlex.join(["sargraph", "run", str(path), *_options(overrides)])
    found = run_grid(config, out, cells or out / "cells", beside=path.parent, command=command)
    page = grid_document(found).save(found.folder, "report")
    write_cards(found)
    seeds = sorted({cell.seed for cell in found.cells})
    measured = measured_toml(found.reports, seeds, config.claims.slices)
    (found.folder / "measured.toml").write_text(measured, encoding="utf-8")
    remarks = [*_gaps(found), *found.verdict_lines()]
    expected = path.parent / "expected.toml"
    if expected.is_file() and not overrides:
        remarks += compare_expected(expected, found.reports, seeds)
    return GridOutcome(found, remarks, page)


def plan_grid_file(
    path: Path, out: Path, overrides: Sequence[str] = (), cells: Path | None = None
) -> Plan:
    """Read a grid's file and its data, and say what its cells will take; nothing is fitted."""
    config = read_grid(path, tuple(overrides))
    store = Store(cells or out / "cells")
    return open_grid(config, store, path.parent)[1]


def write_cards(found: Found) -> None:
    """A card of each data set, and of each trained model, as Markdown and as a page."""
    for data in found.data:
        folder = found.folder / "data"
        folder.mkdir(parents=True, exist_ok=True)
        manifest, events = read_manifest(data.path), Events.load(data.path)
        (folder / f"{data.name}.md").write_text(card_markdown(events, manifest), encoding="utf-8")
        card_page(events, folder / f"{data.name}.html", manifest)
    by_name = {data.name: data for data in found.data}
    for cell in found.cells:
        if cell.model_path is None or not cell.model_path.is_dir():
            continue
        data = by_name[cell.data]
        card = model_card(
            cell.model_path,
            report=found.reports.get(cell.data),
            label=cell.label,
            data=data.about(),
            limits=data.decisions,
        )
        card.save(found.folder / "models", f"{cell.data}-{cell.model}-{cell.seed}")


def plan_frame(plan: Plan) -> pd.DataFrame:
    """A line per cell: what it is, whether it is there, minutes by estimate."""
    return pd.DataFrame(
        {
            "data": planned.cell.data,
            "model": planned.cell.model,
            "seed": planned.cell.seed,
            "tasks": ", ".join(planned.cell.tasks),
            "is there": "yes" if planned.is_there else "no",
            "minutes": planned.minutes,
            "estimate by": planned.basis,
        }
        for planned in plan.cells
    )


def _gaps(found: Found) -> list[str]:
    gone = [f"left out: {each.model} on {each.data}: {each.why}" for each in found.left_out]
    return [*gone, *found.remarks]


def _options(overrides: Sequence[str]) -> list[str]:
    return [part for override in overrides for part in ("--set", override)]
