"""The sequence models there are, how each is built for a data set, and the settings of training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sargraph.core.config import Config, parse_config
from sargraph.core.errors import ConfigError
from sargraph.core.ragged import Ragged
from sargraph.core.registry import Registry
from sargraph.events.events import Events
from sargraph.sequence.unisar import UniSAR
from sargraph.sequence.unisar_config import UniSARConfig
from sargraph.training.fit import FitConfig


class SequenceConfig(Config):
    """Settings of a sequence model and of its training."""

    model: UniSARConfig = UniSARConfig()
    """Sizes and choices of the model, history lengths among them."""
    fit: FitConfig = FitConfig()
    """How long to train and when to stop."""
    batch_size: int = Field(default=1024, ge=1)
    """Requests per step of the task that has more; the other's batches finish with them."""
    num_negatives: int = Field(default=4, ge=1)
    """Items a user never chose, drawn afresh in each epoch, per request."""
    num_contrast: int = Field(default=1024, ge=1)
    """Random items, and random queries, that a step's query-item contrast is held against."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Step size of Adam."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay; in tables it reaches only the rows that a step touches."""
    max_clicks: int = Field(default=5, ge=1)
    """Most clicked items that a search of the history brings along."""
    max_terms: int = Field(default=20, ge=1)
    """Most terms of a query's or an item's text; the first ones are kept."""
    init_scale: Literal["match_random", "as_is"] = "match_random"
    """Given vectors are scaled to the mean row norm of the random start, or taken as they are.

    Matched norms keep the comparison with a random start to directions alone, and keep vectors
    of any length clear of the saturated ends of tanh.
    """
    device: str = "auto"
    """Where to train: "auto" (CUDA where there is one, else the CPU) or a torch device."""


Builder = Callable[[Events, SequenceConfig, int], UniSAR]
SEQUENCE_MODELS: Registry[Builder] = Registry("sequence model")


@SEQUENCE_MODELS.register("unisar")
def build_unisar(events: Events, config: SequenceConfig, seed: int) -> UniSAR:
    """A fresh UniSAR for the vocabularies and texts of `events`."""
    has_text = len(events.item_terms.values) > 0
    module = UniSAR(
        len(events.users),
        len(events.items),
        len(events.queries),
        len(events.terms),
        config.model,
        query_terms=_padded(events.query_terms, config.max_terms),
        item_terms=_padded(events.item_terms, config.max_terms) if has_text else None,
        seed=seed,
    )
    for kind in ("user", "item"):
        # A dense gradient of a large table costs more than the rows that a step needs.
        id_tables(module)[kind].sparse = True
    return module


def _padded(texts: Ragged, max_terms: int) -> Tensor:
    width = min(max_terms, int(texts.lengths.max(initial=1)))
    return torch.from_numpy(texts.to_padded(max(width, 1)))


def parse_sequence_config(config: SequenceConfig | dict[str, Any] | None) -> SequenceConfig:
    """Settings from a dictionary, a configuration or nothing. Raises ConfigError."""
    if isinstance(config, SequenceConfig):
        return config
    if isinstance(config, Config):
        raise ConfigError(f"got a {type(config).__name__}, expected a SequenceConfig")
    return parse_config(SequenceConfig, dict(config or {}), "[fit]")


def device_of(name: str) -> torch.device:
    """The device called `name`. Raises ConfigError for one that torch does not know."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(name)
    except RuntimeError:
        raise ConfigError(f"got device '{name}', expected auto, cpu or cuda") from None


def id_tables(module: nn.Module) -> dict[str, nn.Embedding]:
    """The tables that vectors from elsewhere can start: user, item and term."""
    names = {"user": "user.id_table", "item": "item.id_table", "term": "text.term_table"}
    inputs = module.get_submodule("inputs")
    found = {kind: inputs.get_submodule(name) for kind, name in names.items()}
    return {kind: table for kind, table in found.items() if isinstance(table, nn.Embedding)}


def row_tables(module: nn.Module) -> list[nn.Embedding]:
    """All tables of ids, terms and attributes, of which a step touches only some rows."""
    inputs = module.get_submodule("inputs")
    return [part for part in inputs.modules() if isinstance(part, nn.Embedding)]
