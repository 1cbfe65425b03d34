"""Commands that need more than one call of the library."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sargraph.core.artifact import read_manifest
from sargraph.core.config import apply_overrides, parse_config
from sargraph.core.errors import ArtifactError, DataError
from sargraph.core.scorer import Scorer
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.scorer import scorer_of
from sargraph.embedding.train import train
from sargraph.embedding.virtual import add_virtual_queries, explain_edge
from sargraph.evaluation.report import Report
from sargraph.events.describe import describe_events
from sargraph.events.events import Events
from sargraph.events.ingest import ingest
from sargraph.events.simulate import SimulateConfig, simulate
from sargraph.events.simulation.published import compare_with_published, mean_distance
from sargraph.events.split import split_events
from sargraph.graph.audit import audit
from sargraph.graph.build import GraphConfig, build_graph
from sargraph.graph.graph import Graph
from sargraph.neighbours.index import UserIndex, build_index
from sargraph.pipeline.config import EvaluateStage
from sargraph.pipeline.judge import evaluate, validator
from sargraph.sequence.sequence_model import SequenceModel
from sargraph.sequence.train import fit_sequence

log = logging.getLogger("sargraph")


def simulate_world(
    out: Path,
    num_users: int | None,
    num_days: int | None,
    seed: int,
    preset: str = "planted",
    format: str = "kuaisar",
    settings: Sequence[str] = (),
) -> dict[str, Any]:
    """Write the raw logs of a named world, changed where asked; the counts and click rates."""
    given = {"num_users": num_users, "num_days": num_days}
    changes = apply_overrides({k: v for k, v in given.items() if v is not None}, settings)
    written: Any = "csv" if format == "kuaisar" else format
    summary = simulate(out, SimulateConfig.preset(preset, **changes), format=written, seed=seed)
    found = {
        **vars(summary),
        "recommendation_click_rate": summary.recommendation_click_rate,
        "search_click_rate": summary.search_click_rate,
    }
    return {**found, **_distance(out, written)} if preset == "kuaisar" else found


def _distance(logs: Path, format: str) -> dict[str, float]:
    """How far the overlaps of simulated logs lie from the twelve published ones, on the mean.

    NaN, and a line in the log, where the logs of a tiny world hold too little to compare.
    """
    try:
        events = ingest("synthetic_parquet" if format == "parquet" else "synthetic", logs)
        points = mean_distance(compare_with_published(events))
    except DataError as error:
        log.warning("the distance from the published overlaps could not be measured: %s", error)
        points = float("nan")
    return {"points_from_the_twelve_published_overlaps": points}


def ingest_logs(
    recipe: str,
    source: Path,
    out: Path,
    seed: int,
    settings: Sequence[str],
    memory_limit: str,
    threads: int,
) -> pd.DataFrame:
    """Read raw logs into saved events and describe them."""
    events = ingest(
        recipe, source, out, seed=seed, overrides=settings,
        memory_limit=memory_limit, threads=threads,
    )  # fmt: skip
    return describe_events(events)


def build_from(
    events_path: Path, out: Path, everything: bool, seed: int, settings: Sequence[str] = ()
) -> Graph:
    """Build and save a graph of the training events, or of all events."""
    events = Events.load(events_path)
    config = parse_config(GraphConfig, apply_overrides({}, settings), "settings of the graph")
    split = None if everything else split_events(events, seed=seed)
    graph = build_graph(events, split, config=config)
    if split is not None:
        audit(graph, events, split).refuse()
    return graph.save(out, config={"split_seed": seed, **config.model_dump(mode="json")})


def virtualise_from(graph: Path, embeddings: Path, out: Path, k: int) -> Graph:
    """Add virtual queries to a saved graph and save the new one."""
    return add_virtual_queries(Graph.load(graph), Embeddings.load(embeddings), k=k).save(out)


def explain_from(graph: Path, user_id: str, item_id: str) -> list[dict[str, Any]]:
    """The virtual query of an edge of a saved graph, lists joined to be read."""
    found = explain_edge(Graph.load(graph), user_id, item_id)
    return [
        {name: ", ".join(v) if isinstance(v, list) else v for name, v in edge.items()}
        for edge in found
    ]


def index_from(events_path: Path, out: Path, seed: int) -> UserIndex:
    """Profile the users of saved events by their training part and save the index."""
    events = Events.load(events_path)
    return build_index(events, split_events(events, seed=seed)).save(out)


def similar_from(
    index: Path, user_id: str, k: int, with_evidence: bool
) -> tuple[str, pd.DataFrame]:
    """A title and the neighbours of one user; the title says why there are none."""
    found = UserIndex.load(index).similar(user_id, k)
    frame = found.to_frame()
    if not with_evidence:
        frame = frame.drop(columns=["shared_items", "shared_terms"])
    title = f"users similar to {user_id}"
    return (f"{title}: {found.reason}" if found.reason else title), frame


def train_embeddings(
    graph_path: Path,
    out: Path,
    model: str,
    events_path: Path | None,
    seed: int,
    settings: Sequence[str],
    resume: bool,
) -> Embeddings:
    """Train and save; with events the validation part decides when to stop."""
    validate, graph = None, Graph.load(graph_path)
    if events_path is not None:
        events = Events.load(events_path)
        _require_same(events, graph.parents, graph_path)
        split_seed = read_manifest(graph_path, verify=False).config["build"].get("split_seed", seed)
        validate = validator(events, split_events(events, seed=split_seed), EvaluateStage(), seed)
    trained = train(
        graph, model, apply_overrides({}, settings), seed=seed,
        validate=validate, checkpoint=checkpoint_of(out), resume=resume,
    )  # fmt: skip
    return trained.save(out)


def fit_model(
    events_path: Path,
    out: Path,
    model: str,
    init: Path | None,
    seed: int,
    settings: Sequence[str],
    resume: bool,
) -> SequenceModel:
    """Fit on the data set's own split, stop by its validation part, save."""
    events = Events.load(events_path)
    split = split_events(events, seed=seed)
    fitted = fit_sequence(
        events, split, model, Embeddings.load(init) if init else None,
        apply_overrides({}, settings), seed=seed, resume=resume,
        validate=validator(events, split, EvaluateStage(), seed), checkpoint=checkpoint_of(out),
    )  # fmt: skip
    return fitted.save(out)


def evaluate_model(model: Path, events_path: Path, out: Path, seed: int) -> Report:
    """Judge saved embeddings or a saved sequence model. Raises ArtifactError for other kinds."""
    events = Events.load(events_path)
    split = split_events(events, seed=seed)
    kind = read_manifest(model, verify=False).kind
    scorer: Scorer
    if kind == "embeddings":
        embeddings = Embeddings.load(model)
        _require_same(events, embeddings.parents, model)
        scorer = scorer_of(embeddings)
    elif kind == "sequence-model":
        scorer = SequenceModel.load(model, events, split)
    else:
        raise ArtifactError(f"{model} holds '{kind}', expected embeddings or a sequence-model")
    return evaluate(scorer, events, split, seed=seed, title=f"{scorer.name} on {events.name}").save(
        out
    )


def _require_same(events: Events, parents: Mapping[str, str], path: Path) -> None:
    """Refuse events whose rows mean other users and items. Raises ArtifactError."""
    known = parents.get("events", events.content_hash)
    if known != events.content_hash:
        raise ArtifactError(
            f"{path} was made from other events ({known[:12]}) than '{events.name}' "
            f"({events.content_hash[:12]}); give the events it was made from"
        )


def checkpoint_of(out: Path) -> Path:
    """The file beside an artefact in which its training keeps its state."""
    return out.with_name(f"{out.name}.checkpoint")
