"""Fitting a sequence model: both tasks together, from a random start or from graph embeddings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sargraph.core.artifact import hash_of
from sargraph.core.scorer import Scorer
from sargraph.embedding.embeddings import Embeddings
from sargraph.events.events import Events
from sargraph.events.split import Split
from sargraph.sequence.batch import JointBatch, SequenceData
from sargraph.sequence.inputs import Task
from sargraph.sequence.model import (
    SEQUENCE_MODELS,
    SequenceConfig,
    device_of,
    parse_sequence_config,
    row_tables,
)
from sargraph.sequence.sequence_model import SequenceModel
from sargraph.sequence.start import InitReport, start_from, with_dim_of
from sargraph.sequence.unisar import UniSAR
from sargraph.training.fit import FitResult, fit
from sargraph.training.optimiser import RowAdam


def fit_sequence(
    events: Events,
    split: Split,
    model: str = "unisar",
    init: Embeddings | None = None,
    config: SequenceConfig | dict[str, Any] | None = None,
    *,
    seed: int = 0,
    validate: Callable[[Scorer], float] | None = None,
    checkpoint: Path | str | None = None,
    resume: bool = False,
) -> SequenceModel:
    """Fit a sequence model on the training part of `events`.

    Each step minimises total_rec + search_weight * total_search over a batch of each task. `init`
    starts the tables of users, items and terms, matched by id. `validate` scores the model after
    an epoch, higher is better; the best weights are kept. `checkpoint` is a file that `resume`
    goes on from. The same seed gives the same weights on a CPU.

    Raises ConfigError, DataError when there is nothing to train on, TrainingError when a loss is
    not finite, ArtifactError when the checkpoint is of another run.
    """
    fitted = _fresh(events, split, model, init, parse_sequence_config(config), seed)
    module, settings = fitted.module, fitted.config
    data = SequenceData(events, split, settings)
    device = next(module.parameters()).device
    result = fit(
        module,
        optimisers_for(module, settings),
        lambda epoch, generator: data.batches(generator, device),
        lambda batch: joint_losses(module, batch, settings.model.search_weight),
        config=settings.fit,
        seed=seed,
        validate=None if validate is None else lambda: validate(fitted),
        checkpoint=checkpoint,
        resume=resume,
        label=f"fitting {model}",
        fingerprint=_fingerprint(events, split, init, fitted),
    )
    requests = {task: len(made) for task, made in data.tasks.items()}
    return replace(fitted, history=result.history, fitted=_outcome(result, requests))


def _fresh(
    events: Events,
    split: Split,
    name: str,
    init: Embeddings | None,
    config: SequenceConfig,
    seed: int,
) -> SequenceModel:
    """The model before training, on its device."""
    config = with_dim_of(config, init)
    module = SEQUENCE_MODELS.get(name)(events, config, seed)
    report: InitReport = {}
    if init is not None:
        report = start_from(module, events.vocabularies, init, config.init_scale)
    parents = {"events": events.content_hash}
    if init is not None:
        parents["embeddings"] = init.content_hash
    return SequenceModel(
        name=name,
        module=module.to(device_of(config.device)),
        config=config,
        events=events,
        visible=split.visible,
        drop_target=split.twins,
        seed=seed,
        init_report=report,
        parents=parents,
    )


def _outcome(result: FitResult, requests: dict[Task, int]) -> dict[str, Any]:
    return {
        "best_epoch": result.best_epoch,
        "best_score": result.best_score,
        "stopped": result.stopped,
        "seconds": result.seconds,
        "requests": requests,
    }


def joint_losses(module: UniSAR, batch: JointBatch, search_weight: float) -> dict[str, Tensor]:
    """Loss of one step over both tasks, and its parts as `<task>_<part>`."""
    weights = {"search": search_weight, "recommend": 1.0}
    totals: list[Tensor] = []
    parts: dict[str, Tensor] = {}
    for task, requests in batch.tasks.items():
        losses = module.losses(requests, task, batch.negative_items, batch.negative_queries)
        totals.append(weights[task] * losses.total)
        named = vars(losses).items()
        parts |= {f"{task}_{name}": value for name, value in named if name != "total"}
    return {"loss": torch.stack(totals).sum(), **parts}


def optimisers_for(module: nn.Module, config: SequenceConfig) -> list[Optimizer]:
    """Row-wise Adam for the tables of ids and terms, AdamW for all other weights.

    Neither adds a penalty to a gradient, so that weights without a gradient do not move.
    """
    tables = [weight for table in row_tables(module) for weight in table.parameters()]
    in_tables = {id(weight) for weight in tables}
    others = [weight for weight in module.parameters() if id(weight) not in in_tables]
    rate, decay = config.learning_rate, config.weight_decay
    return [
        RowAdam(tables, lr=rate, weight_decay=decay),
        torch.optim.AdamW(others, lr=rate, weight_decay=decay),
    ]


def _fingerprint(
    events: Events, split: Split, init: Embeddings | None, fresh: SequenceModel
) -> str:
    """Hash of all that decides the weights after an epoch; how long to train is not part of it."""
    digest = hashlib.sha256()
    arrays = [*events.columns.values(), split.part, split.hidden, events.query_terms.values]
    for array in [*arrays, *(init.tables.values() if init else ())]:
        digest.update(np.ascontiguousarray(array).tobytes())
    settings = fresh.config.model_dump(mode="json", exclude={"device", "fit"})
    settings["clip_norm"] = fresh.config.fit.clip_norm
    facts = [fresh.name, settings, fresh.seed, split.cut_valid, split.twins]
    return hash_of([*facts, digest.hexdigest()])
