"""Cells: one model on one data set with one seed, fitted, judged and stored whole."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sargraph.core.artifact import is_artifact, read_manifest, writing
from sargraph.core.errors import ConfigError, SargraphError
from sargraph.core.progress import progress
from sargraph.evaluation.evaluate import Result
from sargraph.evaluation.judgements import load_results, save_results
from sargraph.pipeline.grid.arms import Arm, arm_inputs, arm_of
from sargraph.pipeline.grid.config import GridConfig
from sargraph.pipeline.grid.cost import Cost, measured
from sargraph.pipeline.grid.data import DataSet
from sargraph.pipeline.grid.kinds import protocols_for
from sargraph.pipeline.grid.store import COST, Store, locked, read_cost, write_cost
from sargraph.pipeline.grid.trained import is_cut_short
from sargraph.pipeline.questions import Task, remembered

log = logging.getLogger("sargraph")
KIND = "cell"
JUDGEMENTS = "judgements"


@dataclass(frozen=True)
class Cell:
    """A model of the grid on a data set with a seed, judged on tasks."""

    data: str
    model: str
    seed: int
    tasks: tuple[Task, ...]

    def inputs(self, config: GridConfig, data: DataSet) -> dict[str, Any]:
        """All that decides the judgements: data, split, model, settings, seed, protocols."""
        return {
            "arm": arm_inputs(config, self.model, self.seed, data),
            "protocols": {
                task: [p.hash for p in protocols_for(config, self.model, self.data, task)]
                for task in self.tasks
            },
        }

    def path(self, config: GridConfig, data: DataSet, store: Store) -> Path:
        """Where its artefact lies."""
        return store.path(KIND, self.inputs(config, data))


@dataclass(frozen=True)
class Judged:
    """A finished cell: its results, what it cost and how the training went.

    `model_path`: the trained model that gave the results; None where a mix of two did.
    """

    cell: Cell
    results: tuple[Result, ...]
    cost: Cost
    training: dict[str, Any] = field(default_factory=dict)
    model_path: Path | None = None
    is_new: bool = False


@dataclass(frozen=True)
class LeftOut:
    """A model that a data set does not get, and why."""

    data: str
    model: str
    why: str


def judged_cells(
    config: GridConfig, cells: Sequence[Cell], data: DataSet, store: Store
) -> Iterator[Judged | LeftOut]:
    """Each cell, taken up or made; those that another process works on come last.

    A cell that this data set or this machine cannot have is left out with the reason.
    """
    others = []
    for cell in progress(cells, f"cells of {data.name}"):
        with locked(cell.path(config, data, store), wait=False) as mine:
            if mine:
                yield _judged_or_not(config, cell, data, store)
            else:
                others.append(cell)
    for cell in others:
        with locked(cell.path(config, data, store)):
            yield _judged_or_not(config, cell, data, store)


def _judged_or_not(config: GridConfig, cell: Cell, data: DataSet, store: Store) -> Judged | LeftOut:
    try:
        return _judged(config, cell, data, store)
    except ConfigError:
        raise  # the configuration is to be mended, not the report to be shortened
    except (SargraphError, MemoryError) as error:
        why = f"seed {cell.seed}: {error or 'out of memory'}"
        log.warning("left out: %s on %s: %s", config.label(cell.model), cell.data, why)
        return LeftOut(cell.data, config.label(cell.model), why)


def _judged(config: GridConfig, cell: Cell, data: DataSet, store: Store) -> Judged:
    path = cell.path(config, data, store)
    found = store.take(path, lambda path: _load(config, cell, path, store))
    if found is not None:
        return found
    store.sweep(path)
    arm = arm_of(config, cell.model, cell.seed, data, store, cell.tasks)
    results, cost = measured(lambda: _judge(config, cell, data, arm))
    about = {"cell": cell.inputs(config, data), "training": arm.training,
             **_named("model", arm.path), **_named("added", arm.added)}  # fmt: skip

    def save(path: Path) -> Judged | None:
        parents = {"events": data.content_hash}
        with writing(
            path, KIND, config=about, seed=cell.seed, parents=parents, beside=[COST]
        ) as folder:
            if results:
                save_results(results, folder / JUDGEMENTS, parents=parents)
            write_cost(folder / COST, arm.cost + cost)
        return _load(config, cell, path, store)

    made = store.finish(path, save, lambda path: _load(config, cell, path, store))
    assert made is not None  # what was just made is not cut short by less time than it had
    spent = f"{made.cost.cpu:.1f} s of processor, {made.cost.peak_mb:.0f} MB"
    log.info("%s, %s, seed %d: %s", cell.data, config.label(cell.model), cell.seed, spent)
    return replace(made, is_new=True)


def _judge(config: GridConfig, cell: Cell, data: DataSet, arm: Arm) -> list[Result]:
    results = []
    for task in cell.tasks:
        scorer = remembered(arm.scorer_for(task))
        for protocol in protocols_for(config, cell.model, cell.data, task):
            questions = data.asking.questions(task, protocol)
            if len(questions):
                results.append(questions.judge(scorer, protocol))
    return results


def is_finished(config: GridConfig, cell: Cell, about: dict[str, Any], store: Store) -> bool:
    """False where a stored cell's training may go on, or a model of it was trained on since."""
    if is_cut_short(about["training"], config, cell.model):
        return False
    for role in ("model", "added"):
        path = store.folder / about[role] if about.get(role) else None
        if path and is_artifact(path) and _hash_of_model(path) != about.get(f"{role}_hash"):
            return False
    return True


def _named(role: str, path: Path | None) -> dict[str, str | None]:
    """The trained model of a cell, and which training of it was judged."""
    name, mark = (path.name, _hash_of_model(path)) if path else (None, None)
    return {role: name, f"{role}_hash": mark}


def _hash_of_model(path: Path) -> str:
    return read_manifest(path, verify=False).content_hash


def _load(config: GridConfig, cell: Cell, path: Path, store: Store) -> Judged | None:
    """The finished cell under its label here, or None where it is to be made again."""
    about = read_manifest(path, KIND).config
    if not is_finished(config, cell, about, store):
        return None
    label = config.label(cell.model)
    results = load_results(path / JUDGEMENTS) if (path / JUDGEMENTS).is_dir() else ()
    is_whole = about["model"] and not config.models[cell.model].add
    return Judged(
        cell=cell,
        results=tuple(replace(result, model=label) for result in results),
        cost=read_cost(path / COST),
        training=about["training"],
        model_path=store.folder / about["model"] if is_whole else None,
    )
