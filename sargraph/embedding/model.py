"""What every embedding model offers, and the registry of those there are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from importlib import import_module
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from sargraph.core.config import Config, parse_config
from sargraph.core.errors import BadInputError, ConfigError
from sargraph.core.registry import Registry
from sargraph.core.scorer import Scorer
from sargraph.core.types import Array, FloatArray, IntArray
from sargraph.embedding.embeddings import Embeddings
from sargraph.graph.graph import Graph


class TrainConfig(Config):
    """Settings that every embedding model has."""

    dim: int = Field(64, ge=4)
    """Length of every vector."""
    num_epochs: int = Field(40, ge=1)
    """Most passes over all positives."""
    batch_size: int = Field(16384, ge=1)
    """Positives per step; a step reads the whole graph, so take more where there are many edges."""
    learning_rate: float = Field(2e-2, gt=0)
    """Step size of AdamW; with few steps an epoch it must be large."""
    weight_decay: float = Field(1e-5, ge=0)
    """Decoupled weight decay of every parameter."""
    patience: int = Field(5, ge=1)
    """Validations in a row without a new best after which training stops."""
    validate_every: int = Field(2, ge=1)
    """Epochs between validations."""
    max_seconds: float | None = Field(None, gt=0)
    """Time budget of the training."""


class EmbeddingModel(ABC):
    """A model that learns vectors from a graph.

    A member is registered in EMBEDDING_MODELS. Its object is a model in training; its class
    methods work from finished `Embeddings` alone.
    """

    config_class: ClassVar[type[TrainConfig]]
    """The settings of this model."""
    module: nn.Module
    """Holds every parameter."""
    counts: dict[str, int]
    """What of the graph is used and what is not."""

    @classmethod
    @abstractmethod
    def build(cls, graph: Graph, config: Any, seed: int) -> EmbeddingModel:
        """A fresh model for this graph. Raises BadInputError when it has nothing to learn from."""

    @abstractmethod
    def batches(self, epoch: int, generator: torch.Generator) -> Iterable[Any]:
        """The batches of one pass over all positives, in an order drawn from `generator`."""

    @abstractmethod
    def step(self, batch: Any) -> dict[str, Tensor]:
        """The losses of one batch: "loss" is to be minimised, the others are its parts."""

    @abstractmethod
    def tables(self) -> dict[str, FloatArray]:
        """The vectors of users, items, queries and terms as they are now."""

    @abstractmethod
    def weights(self) -> dict[str, Array]:
        """All that `scorer_from` and `demand_from` need beside the tables."""

    @abstractmethod
    def scorer(self) -> Scorer:
        """Ranks with the weights as they are now."""

    @classmethod
    @abstractmethod
    def scorer_from(cls, embeddings: Embeddings) -> Scorer:
        """Ranks with finished embeddings."""

    @classmethod
    def demand_from(
        cls,
        embeddings: Embeddings,
        user: IntArray,
        item: IntArray,
        time: IntArray | None = None,
    ) -> FloatArray:
        """The virtual query of each (user, item) pair, float32 [pairs, dim].

        A model whose demand changes asks as of `time` (default: without a history).
        Raises BadInputError for a model that generates none.
        """
        raise BadInputError(f"model '{embeddings.model}' makes no virtual queries; train 'uditsr'")

    @classmethod
    def parse(cls, config: dict[str, Any] | Config | None) -> TrainConfig:
        """Settings from a dictionary, a configuration or nothing. Raises ConfigError."""
        if isinstance(config, Config) and not isinstance(config, cls.config_class):
            raise ConfigError(
                f"got a {type(config).__name__}, expected a {cls.config_class.__name__}"
            )
        if isinstance(config, cls.config_class):
            return config
        return parse_config(cls.config_class, dict(config or {}), "[train]")


EMBEDDING_MODELS: Registry[type[EmbeddingModel]] = Registry("embedding model")
_MODULES = ("uditsr_model", "bpr", "lightgcn", "transe", "item2vec", "srjgraph", "hgt")


def embedding_model(name: str) -> type[EmbeddingModel]:
    """The model class called `name`. Raises ConfigError naming the nearest known one."""
    for module in _MODULES:
        import_module(f"sargraph.embedding.{module}")
    return EMBEDDING_MODELS.get(name)
