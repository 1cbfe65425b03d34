"""`run_grid`: from one configuration to a judged experiment. The sentence of a grid."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from sargraph.evaluation.freeze import freeze
from sargraph.evaluation.protocol import Protocol
from sargraph.evaluation.report import Report
from sargraph.evaluation.report_text import verdict_line
from sargraph.pipeline.grid.cells import Judged, LeftOut, judged_cells
from sargraph.pipeline.grid.claims import (
    ALL,
    claims_table,
    corrected,
    judge_cases,
    with_seeds_named,
)
from sargraph.pipeline.grid.config import GridConfig
from sargraph.pipeline.grid.data import DataSet, open_data
from sargraph.pipeline.grid.facts import CellFacts, DataFacts, facts_of_cell, facts_of_data
from sargraph.pipeline.grid.model_checks import check_models
from sargraph.pipeline.grid.plan import Plan, plan_grid
from sargraph.pipeline.grid.store import Store
from sargraph.pipeline.judge import query_notes
from sargraph.pipeline.questions import TASKS

log = logging.getLogger("sargraph")


@dataclass(frozen=True)
class Found:
    """What an experiment found.

    `reports` by data set, `verdicts` (claims.COLUMNS, or SLICED_COLUMNS where slices are claimed;
    Holm over all), `data` and `cells` what was judged and what it took, `left_out` and `remarks`
    what a reader must know, `protocols` all that were frozen, `frozen` their hash.
    """

    config: GridConfig
    reports: dict[str, Report]
    verdicts: pd.DataFrame
    data: list[DataFacts]
    cells: list[CellFacts]
    left_out: list[LeftOut]
    remarks: list[str]
    protocols: tuple[Protocol, ...]
    frozen: str
    folder: Path
    command: str = ""

    def verdict_lines(self) -> list[str]:
        """One line per claim, data set and slice."""
        lines = []
        for row in self.verdicts.to_dict("records"):
            where = [row["data"], *([row["slice"]] if row.get("slice", ALL) != ALL else [])]
            lines.append(", ".join([*where, verdict_line(row)]))
        return lines


@dataclass
class _Gathered:
    """What the data sets judged so far gave."""

    reports: dict[str, Report] = field(default_factory=dict)
    verdicts: list[pd.DataFrame] = field(default_factory=list)
    data: list[DataFacts] = field(default_factory=list)
    cells: list[CellFacts] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def all_protocols(config: GridConfig) -> tuple[Protocol, ...]:
    """Every protocol that judges something, each once."""
    found = {
        protocol.hash: protocol
        for data in config.data
        for task in TASKS
        for protocol in config.protocols_of(data, task)
    }
    return tuple(found.values())


def open_all(config: GridConfig, store: Store, beside: Path) -> list[DataSet]:
    """Read every data set into the store, or find it there."""
    return [open_data(name, part, store, beside) for name, part in config.data.items()]


def open_grid(config: GridConfig, store: Store, beside: Path) -> tuple[list[DataSet], Plan]:
    """Read the data and plan the cells, counting their requests; nothing is asked or frozen.

    Raises ConfigError for a grid over its budget, and for what `check_models` refuses.
    """
    check_models(config)
    datasets = open_all(config, store, beside)
    return datasets, plan_grid(config, datasets, store)


def run_grid(
    config: GridConfig, out: Path, cells: Path, *, beside: Path = Path(), command: str = ""
) -> Found:
    """Make every cell of a grid that is not there yet, and judge its claims.

    The report goes to `out`/`config.name`, the cells to the folder `cells`, which all experiments
    share. Only one data set is in memory at a time. Raises what `open_grid` raises, and
    BadInputError where the folder was frozen with other protocols or claims.
    """
    folder, store = out / config.name, Store(cells)
    check_models(config)
    datasets = open_all(config, store, beside)
    frozen = freeze(all_protocols(config), folder, claims_table(config))
    plan = plan_grid(config, datasets, store)
    for line in plan.lines():
        log.info("%s", line)
    gathered = _Gathered(left_out=list(plan.left_out))
    for data in datasets:
        _judge_data(config, data, plan, store, folder, gathered)
        data.close()
    return Found(
        config=config,
        reports=gathered.reports,
        verdicts=with_seeds_named(config, corrected(gathered.verdicts)),
        data=gathered.data,
        cells=gathered.cells,
        left_out=gathered.left_out,
        remarks=store.remarks,
        protocols=all_protocols(config),
        frozen=frozen,
        folder=folder,
        command=command,
    )


def _judge_data(
    config: GridConfig, data: DataSet, plan: Plan, store: Store, folder: Path, gathered: _Gathered
) -> None:
    """Make the cells of one data set and add what they found to the rest."""
    judged: list[Judged] = []
    for found in judged_cells(config, plan.of(data.name), data, store):
        if isinstance(found, LeftOut):
            gathered.left_out.append(found)
        else:
            judged.append(found)
            gathered.cells.append(facts_of_cell(config, found))
    results = [result for each in judged for result in each.results]
    if results:
        report = _report(config, data, results).save(folder / "reports" / data.name)
        gathered.reports[data.name] = replace(report, results=())
    rows, gone = judge_cases(config, data.name, results)
    gathered.verdicts.append(rows)
    gathered.left_out += gone
    gathered.data.append(facts_of_data(data))


def _report(config: GridConfig, data: DataSet, results: Sequence[Any]) -> Report:
    return Report.from_results(
        results,
        title=f"{config.title or config.name}: {data.name}",
        notes=query_notes(data.events),
        min_requests=config.min_requests,
        min_users=config.min_users,
        parents={"events": data.content_hash},
    )
