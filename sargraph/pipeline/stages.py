"""The stages of a run, each a cell: made once for the same inputs, taken up afterwards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from sargraph.core.scorer import Scorer
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.scorer import scorer_of
from sargraph.embedding.train import train
from sargraph.embedding.virtual import add_virtual_queries
from sargraph.evaluation.report import Report
from sargraph.events.events import Events
from sargraph.events.ingest import ingest
from sargraph.events.recipe import read_recipe
from sargraph.events.simulate import simulate
from sargraph.events.split import Split
from sargraph.graph.audit import audit
from sargraph.graph.build import build_graph
from sargraph.graph.graph import Graph
from sargraph.neighbours.build import build_index
from sargraph.neighbours.index import UserIndex
from sargraph.pipeline.cells import Cells, find_source, hashed_files
from sargraph.pipeline.config import RunConfig
from sargraph.pipeline.judge import evaluate
from sargraph.pipeline.questions import Named
from sargraph.pipeline.validation import validator
from sargraph.sequence.sequence_model import SequenceModel
from sargraph.sequence.train import fit_sequence


def raw_logs(config: RunConfig, cells: Cells, beside: Path) -> Path:
    """The folder of raw logs: simulated where the run says so, else looked for."""
    if config.simulate is None:
        return find_source(config.ingest.source, beside)
    world = config.simulate

    def make(path: Path) -> Path:
        simulate(path, world, seed=config.seed)
        return path

    inputs = {"simulate": world.model_dump(mode="json"), "seed": config.seed}
    return cells.get("logs", inputs, make, lambda path: path)


def events_of(config: RunConfig, cells: Cells, logs: Path) -> Events:
    """Raw logs to events."""
    recipe = read_recipe(config.ingest.recipe)
    inputs = {
        "recipe": recipe.model_dump(mode="json"),
        "files": hashed_files(logs),
        "seed": config.seed,
    }
    return cells.get(
        "events", inputs, lambda path: ingest(recipe, logs, path, seed=config.seed), Events.load
    )


def graph_of(config: RunConfig, cells: Cells, events: Events, split: Split) -> Graph:
    """Training events to a graph that passed the leak audit. Raises DataError where not."""

    def make(path: Path) -> Graph:
        graph = build_graph(events, split, config=config.build)
        audit(graph, events, split).refuse()
        return graph.save(path, config=config.build.model_dump(mode="json"))

    return cells.get("graph", _split_inputs(config, events), make, Graph.load)


def embeddings_of(
    config: RunConfig, cells: Cells, graph: Graph, events: Events, split: Split
) -> Embeddings:
    """Graph to embeddings, stopped early by the validation part."""
    stage = config.train
    inputs = {
        **_split_inputs(config, events), "graph": graph.content_hash,
        "train": stage.model_dump(mode="json"), "validation": _validation(config),
    }  # fmt: skip

    def make(path: Path) -> Embeddings:
        trained = train(
            graph, stage.model, stage.config, seed=config.seed, resume=True,
            validate=validator(events, split, config.evaluate, config.seed),
            checkpoint=path.with_suffix(".checkpoint"),
        )  # fmt: skip
        return trained.save(path)

    return cells.get("embeddings", inputs, make, Embeddings.load)


def virtual_of(cells: Cells, graph: Graph, embeddings: Embeddings) -> Graph:
    """Graph and embeddings to a graph whose recommendation edges carry virtual queries."""
    inputs = {"graph": graph.content_hash, "embeddings": embeddings.content_hash}
    return cells.get(
        "virtual", inputs, lambda path: add_virtual_queries(graph, embeddings).save(path),
        Graph.load,
    )  # fmt: skip


def model_of(
    config: RunConfig,
    cells: Cells,
    events: Events,
    split: Split,
    embeddings: Embeddings | None,
) -> SequenceModel:
    """Events (and embeddings) to a sequence model, stopped early by the validation part."""
    stage = config.fit
    init = "graph" if embeddings else "random"
    inputs = {
        **_split_inputs(config, events), "model": stage.model, "config": stage.config,
        "init": embeddings.content_hash if embeddings else None,
        "validation": _validation(config),
    }  # fmt: skip

    def make(path: Path) -> SequenceModel:
        model = fit_sequence(
            events, split, stage.model, embeddings, stage.config, seed=config.seed, resume=True,
            validate=validator(events, split, config.evaluate, config.seed),
            checkpoint=path.with_suffix(".checkpoint"),
        )  # fmt: skip
        return model.save(path)

    return cells.get(
        f"model-{init}", inputs, make, lambda path: SequenceModel.load(path, events, split)
    )


def index_of(config: RunConfig, cells: Cells, events: Events, split: Split) -> UserIndex:
    """Training events to an index of similar users."""
    settings = config.similar.index
    inputs = {**_split_inputs(config, events), "index": settings.model_dump(mode="json")}
    return cells.get(
        "index", inputs, lambda path: build_index(events, split, config=settings).save(path),
        UserIndex.load,
    )  # fmt: skip


def report_of(
    config: RunConfig,
    cells: Cells,
    events: Events,
    split: Split,
    embeddings: Embeddings,
    models: dict[str, SequenceModel],
) -> Report:
    """Held-out choices to figures: baselines, the embedding model, each sequence model."""
    title = config.title or config.name
    inputs = {
        **_split_inputs(config, events),
        "title": title,
        "evaluate": config.evaluate.model_dump(mode="json"),
        "arms": [embeddings.content_hash, *((n, m.content_hash) for n, m in models.items())],
    }

    def make(path: Path) -> Report:
        arms: list[Scorer] = [scorer_of(embeddings)]
        arms += [Named(name, model) for name, model in models.items()]
        found = evaluate(
            arms, events, split, settings=config.evaluate, seed=config.seed,
            title=title,
            search_models=_without_untimed(models, events) if config.evaluate.hide_untimed else [],
        )  # fmt: skip
        return found.save(path)

    return cells.get("report", inputs, make, Report.load)


def _without_untimed(models: dict[str, SequenceModel], events: Events) -> list[Scorer]:
    """The same models with histories of timed events only: untimed ones may be later."""
    return [
        Named(f"{name}, timed history", replace(model, visible=model.visible & events.is_timed))
        for name, model in models.items()
    ]


def training_frame(embeddings: Embeddings, models: dict[str, SequenceModel]) -> pd.DataFrame:
    """How each training went: passes, loss at start and end, best validation score."""
    rows = [_training_row(embeddings.model, embeddings.history)]
    rows += [_training_row(name, model.history) for name, model in models.items()]
    return pd.DataFrame(rows)


def _training_row(name: str, history: list[dict[str, Any]]) -> dict[str, Any]:
    scores = [h["score"] for h in history if h.get("score") is not None]
    best = max(scores, default=float("nan"))
    return {
        "model": name,
        "passes": len(history),
        "loss, first pass": history[0]["loss"],
        "loss, last pass": history[-1]["loss"],
        "best validation NDCG@10": best,
        "best pass": next((h["epoch"] for h in history if h.get("score") == best), len(history)),
    }


def _split_inputs(config: RunConfig, events: Events) -> dict[str, Any]:
    return {
        "events": events.content_hash,
        "split": config.split.model_dump(mode="json") if config.split else None,
        "build": config.build.model_dump(mode="json"),
        "seed": config.seed,
    }


def _validation(config: RunConfig) -> list[int | str]:
    found = config.evaluate
    return [found.num_negatives, found.validation_requests, found.validation_candidates]
