"""`run`: from one configuration to a judged report. The sentence; every verb lives elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from sargraph.core.config import read_toml
from sargraph.core.errors import BadInputError
from sargraph.embedding.virtual import virtual_query_words
from sargraph.evaluation.freeze import freeze
from sargraph.evaluation.report import Report
from sargraph.events.split import split_events
from sargraph.pipeline import stages
from sargraph.pipeline.cells import Cells
from sargraph.pipeline.config import RunConfig, read_run
from sargraph.pipeline.expected import compare_expected
from sargraph.pipeline.grid.config import is_grid
from sargraph.pipeline.grid.outcome import GridOutcome, plan_frame, plan_grid_file, run_grid_file
from sargraph.pipeline.judge import protocols_of
from sargraph.pipeline.page import Story, write_page
from sargraph.pipeline.similar import neighbour_frame

log = logging.getLogger("sargraph")


@dataclass(frozen=True)
class Outcome:
    """What a run found.

    `report` holds the figures, `tables` what goes on the screen, `remarks` lines below it (such
    as figures that moved), `page` the HTML report, `seconds` the time of each stage.
    """

    report: Report
    tables: dict[str, pd.DataFrame]
    remarks: list[str]
    page: Path
    seconds: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The figures and where the page is, for machines."""
        rows = self.report.to_frame().to_dict(orient="records")
        return {"page": str(self.page), "figures": rows, "remarks": self.remarks,
                "seconds": self.seconds}  # fmt: skip


def run(config: RunConfig, out: Path | str = "runs", *, beside: Path | str = ".") -> Outcome:
    """Walk the whole road: logs, events, graph, embeddings, sequence models, report, neighbours.

    Everything is kept in `out`/`config.name`; stages that finished with the same inputs are taken
    up again. Relative sources are looked for `beside` the configuration and in `$SARGRAPH_DATA`.
    The protocols are frozen in the folder before a test request is made; BadInputError where it
    was frozen with others.
    """
    folder = Path(out) / config.name
    cells = Cells(folder / "cells")

    logs = stages.raw_logs(config, cells, Path(beside))
    events = stages.events_of(config, cells, logs)
    split = split_events(events, config.split, seed=config.seed)
    graph = stages.graph_of(config, cells, events, split)
    embeddings = stages.embeddings_of(config, cells, graph, events, split)
    virtual = stages.virtual_of(cells, graph, embeddings)
    embeddings.export(folder / "embeddings", "parquet")
    models = {
        f"{config.fit.model}, {init} init": stages.model_of(
            config, cells, events, split, embeddings if init == "graph" else None
        )
        for init in config.fit.inits
    }
    index = stages.index_of(config, cells, events, split)

    freeze(protocols_of(config.evaluate, config.seed, events), folder)
    report = stages.report_of(config, cells, events, split, embeddings, models)
    story = Story(
        config=config,
        events=events,
        split=split,
        graph=virtual,
        report=report,
        training=stages.training_frame(embeddings, models),
        inits={name: model.init_report for name, model in models.items()},
        virtual_queries=virtual_query_words(virtual, config.num_virtual_queries, config.seed),
        neighbours=neighbour_frame(index, events, split, config.similar, config.seed),
        seconds=cells.seconds,
    )
    page = write_page(story, folder / "report.html")
    return Outcome(report, story.tables(), story.remarks(), page, cells.seconds)


def run_file(
    path: Path, out: Path, overrides: Sequence[str] = (), cells: Path | None = None
) -> Outcome | GridOutcome:
    """Run a configuration file, and compare with the `expected.toml` beside it if there is one.

    A file with [models] is a grid: its cells go to the folder `cells` (`out`/cells where not
    given). Expectations are compared only without overrides: another configuration is another
    claim.
    """
    if is_grid(read_toml(path)):
        return run_grid_file(path, out, overrides, cells)
    config = read_run(path, tuple(overrides))
    outcome = run(config, out, beside=path.parent)
    expected = path.parent / "expected.toml"
    if expected.is_file() and not overrides:
        outcome.remarks.extend(compare_expected(expected, outcome.report, [config.seed]))
    return outcome


def plan_file(
    path: Path, out: Path, overrides: Sequence[str] = (), cells: Path | None = None
) -> tuple[str, pd.DataFrame]:
    """A title and a line per cell of a grid that was not run. Raises BadInputError for a run."""
    if not is_grid(read_toml(path)):
        raise BadInputError(
            f"{path} is the configuration of a run, expected a grid with [models]; run it"
        )
    plan = plan_grid_file(path, out, overrides, cells)
    return "\n".join(plan.lines()), plan_frame(plan)
