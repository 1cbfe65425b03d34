"""`train`: a graph becomes embeddings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from sargraph.core.artifact import hash_of
from sargraph.core.config import Config
from sargraph.core.scorer import Scorer
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.model import EmbeddingModel, TrainConfig, embedding_model
from sargraph.embedding.scorer import scorer_of
from sargraph.embedding.warm_start import start_from, start_hash
from sargraph.graph.graph import Graph
from sargraph.training.fit import FitConfig, FitResult, fit

__all__ = ["scorer_of", "train"]

_STOPPING = {"num_epochs", "patience", "validate_every", "max_seconds"}


def train(
    graph: Graph,
    model: str = "uditsr",
    config: dict[str, Any] | Config | None = None,
    *,
    seed: int = 0,
    validate: Callable[[Scorer], float] | None = None,
    checkpoint: Path | str | None = None,
    resume: bool = False,
    start: Embeddings | None = None,
) -> Embeddings:
    """Train an embedding model on a graph.

    `config` overrides the settings of the model (for UDITSR see `UDITSRTraining`). `validate`
    judges a scorer, higher is better: training stops early and the best weights are kept. With
    `checkpoint` the state is written after each epoch, and `resume` goes on from it with the same
    result as without the interruption. The same seed gives the same bits on a CPU. With `start`,
    older embeddings of the same model, ids that they know and the network begin as they are there
    (`warm_start.start_from`).

    Raises ConfigError for an unknown model or setting, BadInputError for a graph without edges to
    learn from, TrainingError when the loss is not finite, ArtifactError for a foreign checkpoint.
    """
    member = embedding_model(model)
    settings = member.parse(config)
    built = member.build(graph, settings, seed)
    taken = None if start is None else start_from(built, model, graph, start)
    result = fit(
        built.module,
        [_optimiser(built, settings)],
        built.batches,
        built.step,
        config=FitConfig(**{name: getattr(settings, name) for name in _STOPPING}),
        seed=seed,
        validate=None if validate is None else lambda: validate(built.scorer()),
        checkpoint=checkpoint,
        resume=resume,
        label=f"training {model}",
        fingerprint=_fingerprint(graph, model, settings, seed, start),
    )
    return Embeddings(
        tables=built.tables(),
        vocabularies=dict(graph.vocabularies),
        query_terms=graph.query_terms,
        model=model,
        config=settings.model_dump(mode="json"),
        seed=seed,
        weights=built.weights(),
        history=[_without_times(entry) for entry in result.history],
        report=_report(built, result) | ({} if taken is None else {"rows_from_start": taken}),
        parents=_parents(graph, start),
    )


def _optimiser(model: EmbeddingModel, config: TrainConfig) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        model.module.parameters(),
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=True,
    )


def _report(model: EmbeddingModel, result: FitResult) -> dict[str, Any]:
    """What was used, and how the training went; timings stay out of the content hash."""
    return {
        **model.counts,
        "epochs": len(result.history),
        "best_epoch": result.best_epoch,
        "best_score": result.best_score,
        "stopped": result.stopped,
        "seconds": round(result.seconds, 3),
    }


def _fingerprint(
    graph: Graph, model: str, config: TrainConfig, seed: int, start: Embeddings | None
) -> str:
    """Names the run; a run may be resumed with other rules of stopping."""
    sizes = {"-".join(kind): len(table) for kind, table in graph.edges.items()}
    about = config.model_dump(mode="json", exclude=_STOPPING)
    begun = [] if start is None else [start_hash(start)]
    return hash_of([model, about, seed, graph.content_hash, graph.num_nodes, sizes, *begun])


def _without_times(entry: dict[str, Any]) -> dict[str, Any]:
    """What is the same in every repetition of an epoch."""
    return {name: value for name, value in entry.items() if not name.endswith("seconds")}


def _parents(graph: Graph, start: Embeddings | None) -> dict[str, str]:
    """The graph, and the events and split it was built from, so that nobody judges by others."""
    found = {"graph": graph.content_hash, "start": start_hash(start) if start else ""}
    found |= {role: graph.parents.get(role, "") for role in ("events", "split")}
    return {role: digest for role, digest in found.items() if digest}
