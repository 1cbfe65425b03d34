"""Commands on trained models that need more than one call of the library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sargraph.core.artifact import read_manifest
from sargraph.core.config import apply_overrides
from sargraph.core.errors import ArtifactError
from sargraph.core.scorer import Scorer
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.inductive_scorer import scorer_for
from sargraph.embedding.train import train
from sargraph.embedding.virtual import add_virtual_queries, explain_edge
from sargraph.evaluation.report import Report
from sargraph.events.events import Events
from sargraph.events.split import split_events
from sargraph.graph.graph import Graph
from sargraph.pipeline.config import EvaluateStage
from sargraph.pipeline.judge import evaluate
from sargraph.pipeline.validation import validator
from sargraph.sequence.sequence_model import SequenceModel
from sargraph.sequence.train import fit_sequence


def train_embeddings(
    graph_path: Path,
    out: Path,
    model: str,
    events_path: Path | None,
    seed: int,
    settings: Sequence[str],
    resume: bool,
    start: Path | None = None,
) -> Embeddings:
    """Train and save; with events the validation part decides when to stop."""
    validate, graph = None, Graph.load(graph_path)
    if events_path is not None:
        events = Events.load(events_path)
        _require_same(events, graph.parents, graph_path)
        validate = validator(events, split_events(events), EvaluateStage(), seed)
    trained = train(
        graph, model, apply_overrides({}, settings), seed=seed,
        validate=validate, checkpoint=checkpoint_of(out), resume=resume,
        start=None if start is None else Embeddings.load(start),
    )  # fmt: skip
    return trained.save(out)


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
    split = split_events(events)
    fitted = fit_sequence(
        events, split, model, Embeddings.load(init) if init else None,
        apply_overrides({}, settings), seed=seed, resume=resume,
        validate=validator(events, split, EvaluateStage(), seed), checkpoint=checkpoint_of(out),
    )  # fmt: skip
    return fitted.save(out)


def evaluate_model(model: Path, events_path: Path, out: Path, seed: int) -> Report:
    """Judge saved embeddings or a saved sequence model. Raises ArtifactError for other kinds."""
    events = Events.load(events_path)
    split = split_events(events)
    kind = read_manifest(model, verify=False).kind
    scorer: Scorer
    if kind == "embeddings":
        embeddings = Embeddings.load(model)
        _require_same(events, embeddings.parents, model)
        scorer = scorer_for(embeddings, events)
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
