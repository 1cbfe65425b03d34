"""Fitting a sequence model, from a random start or from graph embeddings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from sargraph.core.artifact import hash_of
from sargraph.core.config import Config
from sargraph.core.scorer import Scorer
from sargraph.core.types import BoolArray
from sargraph.embedding.embeddings import Embeddings
from sargraph.events.events import Events
from sargraph.events.split import Split, require_split
from sargraph.sequence.augment import start_augment
from sargraph.sequence.model import SequenceConfig, SequenceFamily, device_of, sequence_family
from sargraph.sequence.sequence_model import SequenceModel, bind
from sargraph.sequence.start import InitReport, start_from
from sargraph.training.fit import FitResult, fit


def fit_sequence(
    events: Events,
    split: Split,
    model: str = "unisar",
    init: Embeddings | None = None,
    config: Config | dict[str, Any] | None = None,
    *,
    seed: int = 0,
    validate: Callable[[Scorer], float] | None = None,
    loss_on: BoolArray | None = None,
    checkpoint: Path | str | None = None,
    resume: bool = False,
) -> SequenceModel:
    """Fit a sequence model on the training part of `events`.

    `config` holds the settings of the model (`UniSARTraining`, `SASRecTraining`). `init` starts
    the tables that the model shares with the embeddings, matched by id. `validate` scores the
    model after an epoch, higher is better; the best weights are kept. `loss_on` bool [events]
    limits the training targets, not the histories (see `init_embeddings`). `checkpoint` is a file
    that `resume` goes on from. The same seed gives the same weights on a CPU.

    Raises ConfigError, BadInputError for embeddings of another split, DataError when there is
    nothing to train on, TrainingError when a loss is not finite or memory would not do,
    ArtifactError when the checkpoint is of another run.
    """
    family = sequence_family(model)
    fitted = _fresh(family, events, split, model, init, family.parse(config), seed)
    module, settings = fitted.module, fitted.config
    data = family.data(events, split, settings, loss_on)
    device = next(module.parameters()).device
    result = fit(
        module,
        family.optimisers(module, settings),
        lambda epoch, generator: data.batches(generator, device),
        lambda batch: family.losses(module, batch, settings),
        config=settings.fit,
        seed=seed,
        validate=None if validate is None else lambda: validate(fitted),
        checkpoint=checkpoint,
        resume=resume,
        label=f"fitting {model}",
        fingerprint=_fingerprint(events, split, init, loss_on, fitted),
        step_bytes=family.step_bytes(events, settings),
    )
    return fitted.with_training(result.history, _outcome(result, data.counts))


def _fresh(
    family: SequenceFamily,
    events: Events,
    split: Split,
    name: str,
    init: Embeddings | None,
    config: SequenceConfig,
    seed: int,
) -> SequenceModel:
    """The model before training, on its device."""
    if init is not None:
        config = family.with_dim(config, init.dim)
    module: nn.Module = family.build(events, config, seed)
    report: InitReport = {}
    parents = {"events": events.content_hash, "split": split.content_hash}
    if init is not None:
        require_split(init.model, init.parents, events, split)
        tables = family.id_tables(module)
        report = start_from(tables, events.vocabularies, init, config.init_scale)
        parents["embeddings"] = init.content_hash
    return bind(
        family,
        name=name,
        module=module.to(device_of(config.device)),
        config=config,
        events=events,
        visible=split.visible,
        drop_target=split.twins,
        train=start_augment(module, config.augment, events, split),
        seed=seed,
        init_report=report,
        parents=parents,
    )


def _outcome(result: FitResult, requests: dict[str, int]) -> dict[str, Any]:
    return {
        "best_epoch": result.best_epoch,
        "best_score": result.best_score,
        "stopped": result.stopped,
        "seconds": result.seconds,
        "cpu_seconds": result.cpu_seconds,
        "requests": requests,
    }


def _fingerprint(
    events: Events,
    split: Split,
    init: Embeddings | None,
    loss_on: BoolArray | None,
    fresh: SequenceModel,
) -> str:
    """Hash of all that decides the weights after an epoch; how long to train is not part of it."""
    digest = hashlib.sha256()
    arrays = [*events.columns.values(), split.part, split.hidden, events.query_terms.values]
    arrays += [] if loss_on is None else [loss_on]
    for array in [*arrays, *(init.tables.values() if init else ())]:
        digest.update(np.ascontiguousarray(array).tobytes())
    settings = fresh.config.model_dump(mode="json", exclude={"device", "fit"})
    settings["clip_norm"] = fresh.config.fit.clip_norm
    facts = [fresh.name, settings, fresh.seed, split.cut_valid, split.twins]
    return hash_of([*facts, digest.hexdigest()])
