"""HGT as an embedding model: ranking by pairs on vectors of a heterogeneous graph transformer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from sargraph.core.errors import BadInputError
from sargraph.core.types import NO_ROW, Array, FloatArray, IntArray
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.hgt_edges import TypedEdges
from sargraph.embedding.hgt_network import HGT
from sargraph.embedding.model import EMBEDDING_MODELS, EmbeddingModel, TrainConfig
from sargraph.embedding.negatives import FreeItems
from sargraph.embedding.vector_scorer import TableScorer
from sargraph.graph.graph import CLICKED, FOUND, Graph
from sargraph.nn.loss import bpr_loss

Batch: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor]
"""Users, chosen items, negative items, queries (-1 = none), each Int[batch]."""


class HGTTraining(TrainConfig):
    """Settings of HGT and of its training."""

    learning_rate: float = Field(5e-3, gt=0)
    """Step size of AdamW."""
    num_layers: int = Field(2, ge=1)
    """Layers of propagation."""
    num_heads: int = Field(4, ge=1)
    """Heads of attention; `dim` is a multiple of it."""
    min_steps: int = Field(4, ge=2)
    """Fewest steps of a pass: a step's own edges carry no messages in it, so that a step must not
    hold them all. On small graphs the batches are smaller than `batch_size` therefore."""

    @model_validator(mode="after")
    def _heads_share_the_dim(self) -> HGTTraining:
        if self.dim % self.num_heads:
            raise ValueError(f"got dim {self.dim}, expected a multiple of num_heads")
        return self


@EMBEDDING_MODELS.register("hgt")
class HGTModel(EmbeddingModel):
    """HGT over every type of edge that a graph has, and its reverse; see `HGT`.

    recommendation: s(u, i) = <u, i>;  search: s(u, q, i) = <u + q, i>

    with u, q, i final vectors, loss = mean of -ln sigmoid(s(i) - s(j)). Each pass takes every
    clicked and found edge once, parallel ones too, against one uniform item j that the user never
    chose in either source. A step propagates over the whole graph but the edges that its own rows
    are (`TypedEdges.outside`). A graph may lack any type of edge but the choices themselves; where
    no choice names a query, a search is answered by the user alone. In the tables a term is the
    query of this one word without an edge.
    """

    config_class = HGTTraining

    def __init__(self, graph: Graph, config: HGTTraining, seed: int) -> None:
        self.config = config
        user, item, query = _choices(graph)
        free = FreeItems.build(user, item, graph.num_nodes["user"], graph.num_nodes["item"])
        useful = free.any_for(user)
        if not useful.any():
            raise BadInputError(
                f"graph '{graph.name}' has no user with an item chosen and one not chosen, "
                "expected at least one; build it from more events"
            )
        self._columns = tuple(column[useful] for column in (user, item, query))
        self._free_items, self._query_terms = free, graph.query_terms
        self._edges = TypedEdges.of(graph)
        self._asks = bool((self._columns[2] != NO_ROW).any())
        outputs = ("user", "item", "query") if self._asks else ("user", "item")
        self.module: HGT = HGT(
            self._edges, outputs, config.dim, config.num_layers, config.num_heads, seed
        )
        self.counts = {"positives": int(useful.sum())}
        for kind, ends in self._edges.index.items():
            self.counts[f"{kind[1]}_edges"] = ends.shape[1]

    @classmethod
    def build(cls, graph: Graph, config: HGTTraining, seed: int) -> HGTModel:
        """A fresh model for this graph. Raises BadInputError when it has nothing to learn from."""
        return cls(graph, config, seed)

    def batches(self, epoch: int, generator: torch.Generator) -> Iterator[Batch]:
        """The batches of one pass."""
        order = torch.randperm(len(self._columns[0]), generator=generator)
        user, item, query = (column[order] for column in self._columns)
        negative = self._free_items.draw(user, generator)
        size = min(self.config.batch_size, -(-len(order) // self.config.min_steps))
        parts = (column.split(size) for column in (user, item, negative, query))
        yield from zip(*parts, strict=True)

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """The loss of one batch, from vectors that its own edges have no part in."""
        user, item, negative, query = batch
        messages = self._edges.messages(self._edges.outside(user, item, query))
        final = self.module.propagate(self._query_terms, messages)
        asked = final["user"].index_select(0, user)
        if self._asks:
            at = torch.nonzero(query != NO_ROW).flatten()
            asked = asked.index_add(0, at, final["query"].index_select(0, query[at]))
        chosen, other = (final["item"].index_select(0, rows) for rows in (item, negative))
        return {"loss": bpr_loss((asked * chosen).sum(1), (asked * other).sum(1))}

    def tables(self) -> dict[str, FloatArray]:
        """Propagated users and items; with queries those, and each term as a query of its own."""
        with torch.no_grad():
            found = self.module.propagate(self._query_terms, self._edges.messages())
            if self._asks and "term" in self.module.table:
                found["term"] = self.module.unconnected_queries(self.module.table["term"])
        return {kind: vectors.float().numpy().copy() for kind, vectors in found.items()}

    def weights(self) -> dict[str, Array]:
        """Every parameter: inputs and layers."""
        return {name: value.numpy().copy() for name, value in self.module.state_dict().items()}

    def scorer(self) -> TableScorer:
        """Ranks with the weights as they are now."""
        return _scorer(self.tables())

    @classmethod
    def scorer_from(cls, embeddings: Embeddings) -> TableScorer:
        """Ranks with finished embeddings."""
        return _scorer(embeddings.tables, embeddings.parents)


def _scorer(
    tables: Mapping[str, FloatArray], parents: Mapping[str, str] | None = None
) -> TableScorer:
    query = tables.get("query")
    return TableScorer(
        "hgt", recommend=tables["user"], items=tables["item"], query=query, parents=parents
    )


def _choices(graph: Graph) -> tuple[Tensor, Tensor, Tensor]:
    """User, item and query of every clicked and found edge; only the latter have a query."""
    columns: list[list[IntArray]] = [[np.empty(0, dtype=np.int64)] for _ in range(3)]
    for kind in (CLICKED, FOUND):
        if kind in graph.edges:
            table = graph.edges[kind]
            query = table.query if kind == FOUND else np.full(len(table), NO_ROW)
            for column, values in zip(columns, (table.from_row, table.to_row, query), strict=True):
                column.append(values)
    chosen = [torch.from_numpy(np.concatenate(column)) for column in columns]
    return chosen[0], chosen[1], chosen[2]
