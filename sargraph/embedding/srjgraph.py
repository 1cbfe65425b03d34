"""SRJGraph as an embedding model: trained from a graph, scoring from its weights alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

import torch
from pydantic import Field
from torch import Tensor

from sargraph.core.errors import BadInputError
from sargraph.core.types import NO_ROW, Array, FloatArray
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.model import EMBEDDING_MODELS, EmbeddingModel, TrainConfig
from sargraph.embedding.negatives import FreeItems
from sargraph.embedding.srjgraph_edges import IntentEdges
from sargraph.embedding.srjgraph_network import SRJGraph, SRJGraphHeads, SRJGraphSize
from sargraph.embedding.srjgraph_scorer import SRJGraphScorer
from sargraph.graph.graph import Graph
from sargraph.nn.loss import bpr_loss

Batch: TypeAlias = tuple[Tensor, Tensor]
"""Edges to predict and a negative item for each, both Int[batch]."""


class SRJGraphTraining(TrainConfig):
    """Settings of SRJGraph and of its training."""

    learning_rate: float = Field(1e-2, gt=0)
    """Step size of AdamW."""
    num_layers: int = Field(2, ge=1)
    """Layers of propagation."""
    query_words: Literal["mean", "sum"] = "mean"
    """How the vectors of a query's words become the attribute of its edges."""
    min_steps: int = Field(4, ge=2)
    """Fewest steps of a pass: a step's own edges carry no messages in it, so that a step must not
    hold them all. On small graphs the batches are smaller than `batch_size` therefore."""


@EMBEDDING_MODELS.register("srjgraph")
class SRJGraphModel(EmbeddingModel):
    """SRJGraph over the clicked and found edges of a graph; see `SRJGraph` for its mathematics.

    loss = mean of -ln sigmoid(s(u, q, i) - s(u, q, j))

    Each pass takes every edge once, parallel ones too, against one uniform item j that the user
    never chose in either source; q is the edge's query or the special attribute. A step propagates
    over the whole graph but the edges between the pairs that it predicts (ours: no row is read from
    its own label). A found edge that names no query counts as a recommendation.
    """

    config_class = SRJGraphTraining

    def __init__(
        self, graph: Graph, edges: IntentEdges, config: SRJGraphTraining, seed: int
    ) -> None:
        self.config = config
        num = graph.num_nodes
        free = FreeItems.build(edges.user, edges.item, num["user"], num["item"])
        self._rows = torch.nonzero(free.any_for(edges.user)).flatten()
        if not len(self._rows):
            raise BadInputError(
                f"graph '{graph.name}' has no user with an item chosen and one not chosen, "
                "expected at least one; build it from more events"
            )
        self._free_items, self._edges, self._query_terms = free, edges, graph.query_terms
        size = SRJGraphSize(num["user"], num["item"], num["term"], config.dim, config.num_layers)
        self.module: SRJGraph = SRJGraph(size, config.query_words, edges, seed)
        searched = int((edges.query != NO_ROW).sum())
        self.counts = {
            "positives": len(self._rows),
            "edges_without_query": len(edges) - searched,
            "edges_with_query": searched,
        }

    @classmethod
    def build(cls, graph: Graph, config: SRJGraphTraining, seed: int) -> SRJGraphModel:
        """A fresh model for this graph. Raises BadInputError when it has nothing to learn from."""
        return cls(graph, IntentEdges.of(graph), config, seed)

    def batches(self, epoch: int, generator: torch.Generator) -> Iterator[Batch]:
        """The batches of one pass."""
        rows = self._rows[torch.randperm(len(self._rows), generator=generator)]
        negative = self._free_items.draw(self._edges.user[rows], generator)
        size = min(self.config.batch_size, -(-len(rows) // self.config.min_steps))
        yield from zip(rows.split(size), negative.split(size), strict=True)

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """The loss of one batch, from vectors that its own edges have no part in."""
        (rows, negative), edges = batch, self._edges
        user, item = edges.user[rows], edges.item[rows]
        attributes = self.module.attributes(edges)
        tables = self.module.propagate(edges, attributes, edges.outside(user, item))
        asked = attributes.index_select(0, edges.attribute[rows])
        is_search = edges.query[rows] != NO_ROW
        scores = self.module.score_pairs(tables, user, (item, negative), asked, is_search)
        return {"loss": bpr_loss(*scores)}

    def tables(self) -> dict[str, FloatArray]:
        """Propagated users and items; terms as learned, queries as their words make them."""
        module, edges = self.module, self._edges
        with torch.no_grad():
            user, item = module.propagate(edges, module.attributes(edges))
            query = module.queries(self._query_terms)
        found = {"user": user, "item": item, "query": query, "term": module.word.detach()}
        return {kind: vectors.float().numpy().copy() for kind, vectors in found.items()}

    def weights(self) -> dict[str, Array]:
        """Every parameter: raw vectors, words, layers and heads."""
        return {name: value.numpy().copy() for name, value in self.module.state_dict().items()}

    def scorer(self) -> SRJGraphScorer:
        """Ranks with the weights as they are now."""
        return SRJGraphScorer(self.module.heads, self.tables())

    @classmethod
    def scorer_from(cls, embeddings: Embeddings) -> SRJGraphScorer:
        """Ranks with finished embeddings."""
        heads, prefix = SRJGraphHeads(embeddings.dim), "heads."
        heads.load_state_dict(
            {
                name.removeprefix(prefix): torch.tensor(value)
                for name, value in embeddings.weights.items()
                if name.startswith(prefix)
            }
        )
        return SRJGraphScorer(heads, embeddings.tables, embeddings.parents)
