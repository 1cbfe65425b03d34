"""What every sequence model offers, the registry of them, and the settings they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import torch
from pydantic import Field, model_serializer
from torch import Tensor, nn
from torch.optim import Optimizer

from sargraph.core.config import Config, parse_config
from sargraph.core.errors import ConfigError
from sargraph.core.registry import Registry
from sargraph.core.scorer import Requests
from sargraph.core.types import BoolArray, FloatArray, IntArray
from sargraph.events.events import Events
from sargraph.events.split import Split
from sargraph.sequence.augment_config import AugmentConfig
from sargraph.training.fit import FitConfig


class SequenceConfig(Config):
    """Settings that every sequence model has; a member adds `model` and its own."""

    fit: FitConfig = FitConfig()
    """How long to train and when to stop."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Step size of Adam."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay of every weight that a step updates.

    In UniSAR's tables that is only the rows that the step touches (row-wise Adam); in SASRec, whose
    softmax moves the whole catalogue, it is every row of every table in every step (AdamW).
    """
    init_scale: Literal["match_random", "as_is"] = "match_random"
    """Given vectors are scaled to the mean row norm of the random start, or taken as they are.

    Matched norms keep the comparison with a random start to directions alone, and keep vectors
    of any length clear of the saturated ends of tanh.
    """
    device: str = "auto"
    """Where to train: "auto" (CUDA where there is one, else the CPU) or a torch device."""
    augment: AugmentConfig | None = None
    """What similar users chose next, as a further input; none = the plain model."""

    @model_serializer(mode="wrap")
    def _plain_as_ever(self, handler: Callable[[Any], Any]) -> dict[str, Any]:
        """A plain model is written as it was before there was an augmentation, to the bit."""
        written: dict[str, Any] = handler(self)
        if self.augment is None:
            written.pop("augment", None)
        return written


@runtime_checkable
class TrainingData(Protocol):
    """Everything to train on; `counts` says how much of the events is used and what is not."""

    counts: dict[str, int]

    def batches(self, generator: torch.Generator, device: torch.device | str) -> Iterator[Any]:
        """One epoch in an order drawn from `generator`."""
        ...


@runtime_checkable
class Ranker(Protocol):
    """A network bound to events: it reads the histories of requests and scores candidates."""

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Logits of `candidates` [n, c], float32 [n, c]; -inf for a missing candidate (-1)."""
        ...

    def gates(self, requests: Requests, activity: float | None = None) -> FloatArray:
        """Mean gate of the augmentation of each request, float32 [n]; NaN without a neighbour.

        `activity` is taken for that of all requests, where given.
        """
        ...


class SequenceFamily(ABC):
    """One kind of sequence model: its settings, network, training data and how it ranks.

    A member is registered in SEQUENCE_MODELS and holds no state of its own.
    """

    config_class: ClassVar[type[SequenceConfig]]
    """The settings of this model."""
    has_vectors: ClassVar[bool] = False
    """True where a request becomes one vector, so that the ranker is a `VectorScorer`."""

    @abstractmethod
    def build(self, events: Events, config: Any, seed: int) -> nn.Module:
        """A fresh network for the vocabularies and texts of `events`."""

    @abstractmethod
    def data(
        self, events: Events, split: Split, config: Any, loss_on: BoolArray | None
    ) -> TrainingData:
        """Training data; `loss_on` bool [events] limits the targets, not the histories.

        Raises DataError when there is nothing to train on.
        """

    @abstractmethod
    def losses(self, module: Any, batch: Any, config: Any) -> dict[str, Tensor]:
        """The losses of one batch: "loss" is to be minimised, the others are its parts."""

    @abstractmethod
    def optimisers(self, module: nn.Module, config: Any) -> list[Optimizer]:
        """The optimisers, which together hold every weight once."""

    @abstractmethod
    def id_tables(self, module: nn.Module) -> dict[str, nn.Embedding]:
        """The tables that vectors from elsewhere can start: user, item, term."""

    @abstractmethod
    def with_dim(self, config: Any, dim: int) -> Any:
        """The settings with tables as wide as given vectors, unless the width was set by hand."""

    @abstractmethod
    def ranker(
        self,
        module: Any,
        config: Any,
        events: Events,
        visible: BoolArray,
        drop_target: bool,
        train: BoolArray | None = None,
    ) -> Ranker:
        """The network bound to the events whose histories it reads.

        `train` bool [events]: the events that neighbours are read from, where it has an `augment`.
        """

    @abstractmethod
    def step_bytes(self, events: Events, config: Any) -> int:
        """An estimate of what one training step holds beside weights and optimiser, in bytes."""

    def parse(self, config: Config | dict[str, Any] | None) -> SequenceConfig:
        """Settings from a dictionary, a configuration or nothing. Raises ConfigError."""
        if isinstance(config, self.config_class):
            return config
        if isinstance(config, Config):
            expected = self.config_class.__name__
            raise ConfigError(f"got a {type(config).__name__}, expected a {expected}")
        return parse_config(self.config_class, dict(config or {}), "[fit]")


SEQUENCE_MODELS: Registry[SequenceFamily] = Registry(
    "sequence model", ("sargraph.sequence.sasrec_family", "sargraph.sequence.unisar_family")
)


def sequence_family(name: str) -> SequenceFamily:
    """The family called `name`. Raises ConfigError naming the nearest known one."""
    return SEQUENCE_MODELS.get(name)


def device_of(name: str) -> torch.device:
    """The device called `name`. Raises ConfigError for one that torch does not know."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(name)
    except RuntimeError:
        raise ConfigError(f"got device '{name}', expected auto, cpu or cuda") from None
