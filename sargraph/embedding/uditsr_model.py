"""UDITSR as an embedding model: trained from a graph, scoring from its weights alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from sargraph.core.config import parse_config
from sargraph.core.errors import BadInputError
from sargraph.core.types import NO_ROW, Array, FloatArray, IntArray
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.model import EMBEDDING_MODELS, EmbeddingModel, TrainConfig
from sargraph.embedding.own_words import without_own_words
from sargraph.embedding.scorer import UDITSRScorer
from sargraph.embedding.uditsr import UDITSR, UDITSRConfig
from sargraph.embedding.uditsr_data import UDITSRData, uditsr_data
from sargraph.embedding.uditsr_step import TrainingBatch, UDITSRTables
from sargraph.graph.graph import Graph
from sargraph.nn.intent import IntentTables


class UDITSRTraining(TrainConfig):
    """Settings of UDITSR and of its training."""

    num_layers: int = Field(2, ge=0)
    """Translation layers."""
    supervised_weight: float = Field(1.5, ge=0)
    """Weight of the supervised demand loss: virtual queries shall look like real ones."""
    translation_weight: float = Field(0.2, ge=0)
    """Weight of the translation contrast loss: user plus demand shall lead to the item."""
    max_query_terms: int = Field(5, ge=1)
    """Words of a query that are read, from its start (published: 3)."""
    num_user_terms: int = Field(3, ge=1)
    """Most frequent words that stand for a user."""
    num_item_terms: int = Field(10, ge=1)
    """Most frequent words that stand for an item."""
    parity: bool = False
    """Train as published: the edges and words of the rows to be predicted stay in view, missing
    words are word 0, and what else `UDITSRConfig.parity` says."""

    def network(self, seed: int) -> UDITSRConfig:
        """The settings of the network alone."""
        return UDITSRConfig(
            dim=self.dim,
            num_layers=self.num_layers,
            supervised_weight=self.supervised_weight,
            translation_weight=self.translation_weight,
            parity=self.parity,
            seed=seed,
        )


@EMBEDDING_MODELS.register("uditsr")
class UDITSRModel(EmbeddingModel):
    """UDITSR over the clicked and found edges of a graph; see `UDITSR` for its mathematics.

    Each step propagates once. Unless `parity`, it keeps two things from the rows that it predicts:
    their edges (and parallel ones) carry no messages, and words that a user or an item has only
    through the row's own pair are hidden from its virtual query. The published code shows both,
    so that a label can be read off its input in training and never afterwards.
    """

    config_class = UDITSRTraining

    def __init__(self, data: UDITSRData, config: UDITSRTraining, seed: int) -> None:
        edges = data.edges
        self.data = data
        self.config = config
        self.counts = data.counts
        self.module: UDITSR = UDITSR(
            edges.num_users,
            edges.num_items,
            edges.num_terms,
            config.network(seed),
            data.user_terms,
            data.item_terms,
        )

    @classmethod
    def build(cls, graph: Graph, config: UDITSRTraining, seed: int) -> UDITSRModel:
        """A fresh model for this graph. Raises BadInputError when it has nothing to learn from."""
        if graph.num_nodes["term"] == 0:
            raise BadInputError(
                f"graph '{graph.name}' has no terms, but UDITSR learns from the words of queries; "
                "give events whose queries or items have a text"
            )
        data = uditsr_data(
            graph,
            config.max_query_terms,
            config.num_user_terms,
            config.num_item_terms,
            missing=0 if config.parity else NO_ROW,
        )
        return cls(data, config, seed)

    def batches(self, epoch: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Pairs (rows of edges, negative items), both Int[batch]."""
        return self.data.batches(self.config.batch_size, generator)

    def step(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """One propagation without the batch's edges, then the losses of the batch."""
        rows, negative = batch
        edges = self.data.edges
        training = TrainingBatch.of_edges(edges, rows, negative)
        if self.config.parity:
            losses = self.module.losses(training, self.module.propagate(edges))
        else:
            tables = self.module.propagate(edges, edges.outside(training.user, training.item))
            own = self.data.own_user_terms[rows], self.data.own_item_terms[rows]
            losses = self.module.losses(*without_own_words(self.module, training, tables, *own))
        return {
            "loss": losses.total,
            "bpr": losses.bpr,
            "supervised": losses.supervised,
            "translation": losses.translation,
        }

    def tables(self) -> dict[str, FloatArray]:
        """Propagated users and items; queries as the sums of their words."""
        tables = self._propagated()
        with torch.no_grad():
            query = self.module.query_vector(self.data.query_terms)
        found = {
            "user": tables.user,
            "item": tables.item,
            "query": query,
            "term": self.module.term_embedding.weight,
        }
        return {kind: vectors.detach().numpy().copy() for kind, vectors in found.items()}

    def weights(self) -> dict[str, Array]:
        """The network's parameters and the words of users, items and queries."""
        state = {name: value.numpy().copy() for name, value in self.module.state_dict().items()}
        return {**state, "query_terms": self.data.query_terms.numpy()}

    def scorer(self) -> UDITSRScorer:
        """Ranks with the weights as they are now."""
        return UDITSRScorer(self.module, self._propagated(), self.data.query_terms)

    @classmethod
    def scorer_from(cls, embeddings: Embeddings) -> UDITSRScorer:
        """Ranks with finished embeddings."""
        module = _module_of(embeddings)
        tables = UDITSRTables(
            user=torch.tensor(embeddings.tables["user"]),
            item=torch.tensor(embeddings.tables["item"]),
            demand=torch.empty(0, embeddings.dim),
            intent=_intent_tables(module),
            layers=[],
        )
        terms = torch.tensor(embeddings.weights["query_terms"])
        return UDITSRScorer(module, tables, terms, embeddings.parents)

    @classmethod
    def demand_from(cls, embeddings: Embeddings, user: IntArray, item: IntArray) -> FloatArray:
        """The virtual query q~ of each pair, float32 [pairs, dim], in chunks."""
        module = _module_of(embeddings)
        with torch.no_grad():
            virtual = module.intent(
                _intent_tables(module), torch.from_numpy(user), torch.from_numpy(item)
            )
        return np.asarray(virtual.numpy())

    def _propagated(self) -> UDITSRTables:
        with torch.no_grad():
            return self.module.propagate(self.data.edges)


def _module_of(embeddings: Embeddings) -> UDITSR:
    """The network with its trained weights, in eval mode."""
    weights = {name: torch.tensor(value) for name, value in embeddings.weights.items()}
    del weights["query_terms"]
    config = parse_config(UDITSRTraining, embeddings.config, "[training]")
    users, items, terms = (
        len(weights[f"{kind}_embedding.weight"]) for kind in ("user", "item", "term")
    )
    network = config.network(embeddings.seed)
    module = UDITSR(users, items, terms, network, weights["user_terms"], weights["item_terms"])
    module.load_state_dict(weights)
    return module.eval()


def _intent_tables(module: UDITSR) -> IntentTables:
    with torch.no_grad():
        return module.intent.tables(
            module.user_embedding.weight,
            module.item_embedding.weight,
            module.term_embedding.weight,
            module.user_terms,
            module.item_terms,
        )
