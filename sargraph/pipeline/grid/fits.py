"""Trained models of a grid: artefacts that cells share, stopped in time, resumed after a kill."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sargraph.core.artifact import read_manifest
from sargraph.core.errors import ArtifactError
from sargraph.core.scorer import Scorer
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.scorer import scorer_of
from sargraph.embedding.train import train
from sargraph.graph.audit import audit
from sargraph.graph.build import build_graph
from sargraph.graph.graph import Graph
from sargraph.pipeline.config import EvaluateStage
from sargraph.pipeline.grid.config import GridConfig, ModelPart
from sargraph.pipeline.grid.cost import Cost, measured
from sargraph.pipeline.grid.data import DataSet
from sargraph.pipeline.grid.kinds import kind_of
from sargraph.pipeline.grid.starts import Start, cost_path, held_back
from sargraph.pipeline.grid.store import Store, locked, read_cost, write_cost
from sargraph.pipeline.grid.trained import is_cut_short, time_limit, training_of
from sargraph.pipeline.questions import TASKS, Task
from sargraph.pipeline.validation import validator
from sargraph.sequence.sequence_model import SequenceModel
from sargraph.sequence.train import fit_sequence

log = logging.getLogger("sargraph")


@dataclass(frozen=True)
class Fitted:
    """A trained model as a scorer, where it lies, what its training cost and how it ended."""

    scorer: Scorer
    path: Path
    cost: Cost
    training: dict[str, Any]


def fit_inputs(config: GridConfig, model: str, seed: int, data: DataSet) -> dict[str, Any]:
    """All that decides the weights of a trained model; how long it may take is no part of it."""
    part = config.models[model]
    return {
        **data.inputs,
        "model": part.model,
        "config": part.config,
        "seed": seed,
        "graph": part.graph.model_dump(mode="json") if _needs_graph(part) else None,
        "init": fit_inputs(config, part.init, seed, data) if part.init else None,
        "init_from": part.init_from if part.init else None,
        "validation": [
            config.validation_requests,
            config.validation_candidates,
            list(_validated(part)),
        ],
    }


def fit_model(config: GridConfig, model: str, seed: int, data: DataSet, store: Store) -> Fitted:
    """Train a model of the grid, go on with it, or take it up where it was finished.

    Raises what training raises. A model that time stopped goes on where there is more time now.
    """
    path = store.path("fit", fit_inputs(config, model, seed, data))
    start = _start(config, config.models[model], seed, data, store)

    def is_short(training: dict[str, Any]) -> bool:
        return is_cut_short(training, config, model)

    with locked(path):
        found = store.take(path, lambda path: _finished(path, data, start, is_short))
        if found is None:
            store.sweep(path)
            work = _Training(config, model, seed, data, store, start, path)
            found = work.finish()
    return Fitted(found.scorer, found.path, found.cost + start.cost, found.training)


def _start(config: GridConfig, part: ModelPart, seed: int, data: DataSet, store: Store) -> Start:
    """What a model starts from: nothing, a graph of all training events, or one held back."""
    if not part.init:
        return Start()
    if part.init_from == "graph":
        init = fit_model(config, part.init, seed, data, store)
        return Start(Embeddings.load(init.path), cost=init.cost, training=init.training)
    inputs = fit_inputs(config, part.init, seed, data)
    other = config.models[part.init]
    return held_back(
        part.init_from, other, inputs, seed, data, store,
        settings={**other.config, "max_seconds": time_limit(config, part.init)},
        validate=validator_for(config, data, _validated(other)),
        is_short=lambda training: is_cut_short(training, config, part.init),
    )  # fmt: skip


@dataclass(frozen=True)
class _Training:
    """One training: its model, data, start and the place of its artefact."""

    config: GridConfig
    model: str
    seed: int
    data: DataSet
    store: Store
    start: Start
    path: Path

    @property
    def part(self) -> ModelPart:
        return self.config.models[self.model]

    @property
    def checkpoint(self) -> Path:
        return _checkpoint(self.path)

    def finish(self) -> Fitted:
        """Train to the end or to the end of the time, save, and keep the cost beside."""
        try:
            _, cost = measured(self._work)
        except ArtifactError as error:
            if not self.checkpoint.is_file():
                raise
            self.store.damaged(self.checkpoint, str(error))
            _, cost = measured(self._work)
        write_cost(cost_path(self.path), cost)
        found, _ = _load(self.path, self.data, self.start)
        if found.training["stopped"] != "time":
            self.checkpoint.unlink(missing_ok=True)
        return found

    def _work(self) -> None:
        limit = {"max_seconds": time_limit(self.config, self.model)}
        if kind_of(self.part.model) == "embedding":
            settings = {**self.part.config, **limit}
            graph = _graph(self.part, self.data, self.store)
            train(graph, self.part.model, settings, validate=self._validate(), **self._how()).save(
                self.path
            )
            return
        nested = self.part.config
        settings = {**nested, "fit": {**nested.get("fit", {}), **limit}}
        fit_sequence(
            self.data.events, self.data.split, self.part.model, self.start.embeddings, settings,
            validate=self._validate(), loss_on=self.start.loss_on, **self._how(),
        ).save(self.path)  # fmt: skip

    def _how(self) -> dict[str, Any]:
        return {"seed": self.seed, "checkpoint": self.checkpoint, "resume": True}

    def _validate(self) -> Callable[[Scorer], float] | None:
        return validator_for(self.config, self.data, _validated(self.part))


def validator_for(
    config: GridConfig, data: DataSet, tasks: Sequence[Task]
) -> Callable[[Scorer], float] | None:
    """The grid's validation on these tasks, the same requests for every model and seed."""
    settings = EvaluateStage(
        validation_requests=config.validation_requests,
        validation_candidates=config.validation_candidates,
    )
    return validator(data.events, data.split, settings, 0, tasks)


def _finished(
    path: Path, data: DataSet, start: Start, is_short: Callable[[dict[str, Any]], bool]
) -> Fitted | None:
    """The finished model, or None where it may go on or began with another start."""
    found, begun_with = _load(path, data, start)
    if start.embeddings is not None and begun_with != start.embeddings.content_hash:
        log.info("%s: its start was trained on since, begins anew", path.name)
        _checkpoint(path).unlink(missing_ok=True)
        return None
    if is_short(found.training):
        log.info("%s: stopped by time before, goes on", path.name)
        return None
    return found


def _checkpoint(path: Path) -> Path:
    return path.with_name(f"{path.name}.checkpoint")


def _load(path: Path, data: DataSet, start: Start) -> tuple[Fitted, str]:
    """The model and the content hash of the embeddings it began with."""
    manifest = read_manifest(path)
    scorer: Scorer
    if manifest.kind == "embeddings":
        scorer = scorer_of(Embeddings.load(path))
    else:
        scorer = SequenceModel.load(path, data.events, data.split)
    training = training_of(path, manifest)
    if start.embeddings is not None:
        training["start"] = start.training
    found = Fitted(scorer, path, read_cost(cost_path(path)), training)
    return found, manifest.parents.get("embeddings", "")


def _graph(part: ModelPart, data: DataSet, store: Store) -> Graph:
    """The graph of the training events, checked for leaks."""
    settings = part.graph.model_dump(mode="json")
    path = store.path("graph", {**data.inputs, "graph": settings})
    with locked(path):
        found = store.take(path, Graph.load)
        if found is None:
            store.sweep(path)
            made = build_graph(data.events, data.split, config=part.graph)
            audit(made, data.events, data.split).refuse()
            found = made.save(path, config=settings)
    return found


def _validated(part: ModelPart) -> tuple[Task, ...]:
    """Tasks that early stopping looks at: those the model is judged on, or all it can learn."""
    return part.tasks or TASKS


def _needs_graph(part: ModelPart) -> bool:
    return kind_of(part.model) == "embedding"
