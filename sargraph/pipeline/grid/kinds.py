"""Which family a model's name belongs to, and what is known of a member before it is fitted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

import numpy as np

from sargraph.core.errors import BadInputError, ConfigError, nearest
from sargraph.embedding.model import EMBEDDING_MODELS, embedding_model
from sargraph.evaluation.baselines.choices import chosen_rows
from sargraph.evaluation.baselines.ease import check_size
from sargraph.evaluation.baselines.registry import BASELINES
from sargraph.evaluation.protocol import Protocol
from sargraph.events.events import Events
from sargraph.events.split import Split
from sargraph.pipeline.grid.config import GridConfig, ModelPart
from sargraph.pipeline.grid.slate_arms import SLATE_BASELINES
from sargraph.sequence.model import SEQUENCE_MODELS, sequence_family

Kind = Literal["baseline", "slate", "embedding", "sequence"]
_FAMILIES: dict[Kind, Callable[[str], Any]] = {
    "baseline": BASELINES.get,
    "slate": SLATE_BASELINES.get,
    "embedding": embedding_model,
    "sequence": sequence_family,
}
_SEEDED = ("als",)
"""Baselines that learn from a random start; the others are the same for every seed."""


def kind_of(model: str) -> Kind:
    """The family of a registered model. Raises ConfigError naming the nearest known one."""
    for kind, find in _FAMILIES.items():
        with suppress(ConfigError):
            find(model)
            return kind
    registries = (BASELINES, SLATE_BASELINES, EMBEDDING_MODELS, SEQUENCE_MODELS)
    known = [name for registry in registries for name in registry.names()]
    raise ConfigError(f"unknown model '{model}'; {nearest(model, known)}")


def is_seeded(model: str) -> bool:
    """True where another seed gives another model."""
    return model in _SEEDED or kind_of(model) in ("embedding", "sequence")


def parts_of(config: GridConfig, name: str) -> list[ModelPart]:
    """A model of the grid and, where it adds one, that one."""
    part = config.models[name]
    return [part, *([config.models[part.add]] if part.add else [])]


def is_learned(config: GridConfig, name: str) -> bool:
    """True where another seed gives another model of the grid, itself or what it adds."""
    return any(is_seeded(part.model) for part in parts_of(config, name))


def refusal(model: str, events: Events, split: Split, settings: dict[str, Any]) -> str:
    """Why a data set cannot have a model, known before it is fitted; empty where it can."""
    if model != "ease":
        return ""
    rows = chosen_rows(events, split.is_train, settings.get("source", "both"))
    try:
        check_size(len(np.unique(events.item[rows])), settings.get("max_memory"))
    except BadInputError as error:
        return str(error)
    return ""


def protocols_for(config: GridConfig, model: str, data: str, task: str) -> list[Protocol]:
    """The protocols that judge a model on a task; baselines of slates know only what was shown."""
    found = config.protocols_of(data, task)
    if kind_of(config.models[model].model) != "slate":
        return found
    return [protocol for protocol in found if protocol.candidates == "slate"]
