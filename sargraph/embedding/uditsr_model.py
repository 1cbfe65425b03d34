"""UDITSR as an embedding model: trained from a graph, scoring from its weights alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from sargraph.core.config import parse_config
from sargraph.core.errors import BadInputError
from sargraph.core.types import NO_ROW, NO_TIME, Array, FloatArray, IntArray
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.model import EMBEDDING_MODELS, EmbeddingModel
from sargraph.embedding.query_history import QueryHistories
from sargraph.embedding.scorer import UDITSRScorer
from sargraph.embedding.uditsr import UDITSR
from sargraph.embedding.uditsr_config import UDITSRTraining
from sargraph.embedding.uditsr_data import UDITSRData, uditsr_data
from sargraph.embedding.uditsr_sampled import SampledPropagation
from sargraph.embedding.uditsr_stale import StaleTables, WindowBatch, windows
from sargraph.embedding.uditsr_step import StepRows, TrainingBatch, UDITSRTables
from sargraph.graph.graph import Graph
from sargraph.nn.contexts import TimedContexts
from sargraph.nn.intent import IntentTables


@EMBEDDING_MODELS.register("uditsr")
class UDITSRModel(EmbeddingModel):
    """UDITSR over the clicked and found edges of a graph; see `UDITSR` for its mathematics.

    A step propagates over the whole graph, over drawn edges, or not at all (`propagation`). Unless
    told otherwise, it keeps two things from the rows that it predicts: their edges (and parallel
    ones) carry no messages, and words that a user or an item has only through the row's own pair
    are hidden from its virtual query. The published code shows both, so that a label can be read
    off its input in training and never afterwards.
    """

    config_class = UDITSRTraining

    def __init__(self, graph: Graph, data: UDITSRData, config: UDITSRTraining, seed: int) -> None:
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
        self._stale = StaleTables()
        self._sampled: SampledPropagation | None = None
        if config.propagation == "sampled":
            self._sampled = SampledPropagation(graph, data, config.fan_out, seed)

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
            missing=NO_ROW if config.mask_padding else 0,
            history_length=config.num_history_queries if config.virtual_query == "timed" else None,
        )
        return cls(graph, data, config, seed)

    def batches(self, epoch: int, generator: torch.Generator) -> Iterator[WindowBatch]:
        """The batches of one pass."""
        if self._sampled is not None:
            self._sampled.begin(epoch)
        length = self.config.refresh_every if self.config.propagation == "stale" else 1
        rows, negative = self.data.shuffled(generator)
        return windows(rows, negative, self.config.batch_size, length)

    def step(self, batch: WindowBatch) -> dict[str, Tensor]:
        """The losses of the batch, from vectors that its own edges have no part in."""
        edges = self.data.edges
        training = TrainingBatch.of_edges(edges, batch.rows, batch.negative)
        rows = StepRows.of(training, self.module, edges.contexts)
        if self.config.hide_words and self.config.virtual_query != "permuted":
            own = self.data.own_user_terms[batch.rows], self.data.own_item_terms[batch.rows]
            rows = rows.without_own_words(*own)
        losses = self.module.losses_of(rows, *self._vectors(rows, batch))
        return {
            "loss": losses.total,
            "bpr": losses.bpr,
            "supervised": losses.supervised,
            "translation": losses.translation,
            **({"naming": losses.naming} if self.config.naming_weight > 0 else {}),
        }

    def _vectors(self, rows: StepRows, batch: WindowBatch) -> tuple[Tensor, Tensor]:
        """Final vectors of the step's users and items, by the way that `propagation` says."""
        if batch.window is None:
            return self._stale.of(self.module, rows)
        edges, keep = self.data.edges, None
        if self.config.hide_edges:
            keep = edges.outside(edges.user[batch.window], edges.item[batch.window])
        if self._sampled is not None:
            return self._sampled(self.module, rows, None if keep is None else ~keep)
        if self.config.propagation == "full":
            return self.module.vectors_of(rows, edges, keep)
        tables = self.module.propagate(edges, keep)
        self._stale.keep(self.module, tables)
        return tables.user[rows.users], tables.item[rows.items]

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
        histories = {} if self.data.histories is None else self.data.histories.weights()
        return {**state, **histories, "query_terms": self.data.query_terms.numpy()}

    def scorer(self) -> UDITSRScorer:
        """Ranks with the weights as they are now."""
        tables, histories = self._propagated(), self.data.histories
        return UDITSRScorer(self.module, tables, self.data.query_terms, histories=histories)

    @classmethod
    def scorer_from(cls, embeddings: Embeddings) -> UDITSRScorer:
        """Ranks with finished embeddings."""
        module, histories = _module_of(embeddings)
        tables = UDITSRTables(
            user=torch.tensor(embeddings.tables["user"]),
            item=torch.tensor(embeddings.tables["item"]),
            intent=_intent_tables(module, None),
        )
        terms = torch.tensor(embeddings.weights["query_terms"])
        return UDITSRScorer(module, tables, terms, embeddings.parents, histories)

    @classmethod
    def demand_from(
        cls,
        embeddings: Embeddings,
        user: IntArray,
        item: IntArray,
        time: IntArray | None = None,
    ) -> FloatArray:
        """The virtual query q~ of each pair (at its time), float32 [pairs, dim], in chunks."""
        module, histories = _module_of(embeddings)
        of_user, contexts = torch.from_numpy(user), None
        if histories is not None:
            when = np.full(len(user), NO_TIME) if time is None else time
            rows, contexts = histories.contexts(user, when)
            of_user = torch.from_numpy(rows)
        with torch.no_grad():
            tables = _intent_tables(module, contexts)
            virtual = module.intent(tables, of_user, torch.from_numpy(item))
        return np.asarray(virtual.numpy())

    def _propagated(self) -> UDITSRTables:
        with torch.no_grad():
            return self.module.propagate(self.data.edges)


def _module_of(embeddings: Embeddings) -> tuple[UDITSR, QueryHistories | None]:
    """The network with its trained weights, in eval mode, and the query histories it reads."""
    arrays = dict(embeddings.weights)
    terms = np.asarray(arrays.pop("query_terms"), dtype=np.int64)
    histories = None
    if "history_kind" in arrays:
        histories = QueryHistories.from_weights(arrays, terms)
    weights = {name: torch.tensor(value) for name, value in arrays.items()}
    config = parse_config(UDITSRTraining, embeddings.config, "[training]")
    users, items, num_terms = (
        len(weights[f"{kind}_embedding.weight"]) for kind in ("user", "item", "term")
    )
    network = config.network(embeddings.seed)
    module = UDITSR(users, items, num_terms, network, weights["user_terms"], weights["item_terms"])
    module.load_state_dict(weights)
    return module.eval(), histories


def _intent_tables(module: UDITSR, contexts: TimedContexts | None) -> IntentTables | None:
    """The generator's tables; None for a timed one without contexts, which requests bring."""
    if contexts is None and module.config.virtual_query == "timed":
        return None
    with torch.no_grad():
        return module.intent_tables(contexts)
