"""LightGCN: vectors that are means over the neighbourhoods of a user-item graph."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from sargraph.core.rng import torch_generator
from sargraph.core.types import NO_ROW, Array, FloatArray
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.lightgcn_data import LightGCNBatch, LightGCNData
from sargraph.embedding.model import EMBEDDING_MODELS, EmbeddingModel, TrainConfig
from sargraph.embedding.row_means import mean_of_rows
from sargraph.embedding.vector_scorer import TableScorer
from sargraph.graph.graph import Graph
from sargraph.nn.loss import bpr_loss
from sargraph.nn.sparse import SparseMatrix


class LightGCNTraining(TrainConfig):
    """Settings of LightGCN and of its training."""

    batch_size: int = Field(8192, ge=1)
    """Positives per step; each step propagates over the whole graph."""
    learning_rate: float = Field(1e-2, gt=0)
    """Step size of AdamW."""
    weight_decay: float = Field(0.0, ge=0)
    """Decoupled weight decay of every vector, beside `regularisation`."""
    num_layers: int = Field(3, ge=1)
    """Rounds of propagation."""
    regularisation: float = Field(1e-4, ge=0)
    """Weight of the squared lengths of the raw vectors in a batch."""
    queries: bool = False
    """Queries and terms are nodes too, and a search is answered by its words; published: no."""
    hide_edges: bool = False
    """The edges that a step asks about carry no messages in it; published: they do."""


class LightGCN(nn.Module):
    """Final vectors are the mean of all layers; a layer is the normalised sum of neighbours.

    e_a^(l+1) = sum over neighbours b of a of e_b^(l) / sqrt(d_a d_b)
    e*_a = 1 / (L + 1) sum_l e_a^(l), l from 0

    `embedding` [nodes, dim] holds e^(0) of all nodes, whatever their kind; nothing else is
    learned. Cost of a pass: L sparse products, O(L edges dim).
    Source: He et al., LightGCN (SIGIR 2020, arXiv 2002.02126).
    """

    def __init__(self, num_nodes: int, dim: int, num_layers: int, seed: int) -> None:
        super().__init__()
        self.num_layers = num_layers
        start = torch.randn(num_nodes, dim, generator=torch_generator(seed, "lightgcn"))
        self.embedding = nn.Parameter(0.1 * start)

    def propagate(self, matrix: SparseMatrix) -> Float[Tensor, "nodes dim"]:
        """The final vector of every node; `matrix` is that of `SymmetricEdges`."""
        layer: Tensor = self.embedding
        total = layer
        for _ in range(self.num_layers):
            layer = matrix.matmul(layer)
            total = total + layer
        return total / (self.num_layers + 1)

    def squares(self, rows: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        """The squared length of each raw vector."""
        return self.embedding[rows].square().sum(1)


@EMBEDDING_MODELS.register("lightgcn")
class LightGCNModel(EmbeddingModel):
    """LightGCN over the clicked and found edges of a graph, a pair joined twice counted once.

    A row (u, i, j) with i chosen and j not teaches <e*_u + q, e*_i - e*_j> to be positive, where q
    is the mean of e* over the terms of the query if `queries` is set and there is one, else 0:

    loss = mean of -ln sigmoid(score(i) - score(j))
           + regularisation (|e_u|^2 + |e_i|^2 + |e_j|^2 + mean over terms of |e_t|^2)

    with raw vectors e in the second part. As published, the edge (u, i) of the row itself carries
    messages while it is predicted, so that the loss can be read off the input in part;
    `hide_edges` takes it, and the edge from the query to i, out of the step. Users, queries and
    terms without an edge keep the vector 0.
    """

    config_class = LightGCNTraining

    def __init__(self, data: LightGCNData, config: LightGCNTraining, seed: int) -> None:
        self.data = data
        self.config = config
        self.module: LightGCN = LightGCN(len(data.nodes), config.dim, config.num_layers, seed)
        self.counts = {"positives": len(data.user), "edges": len(data.edges.first)}
        with torch.no_grad():
            self.module.embedding[_never_met(data)] = 0

    @classmethod
    def build(cls, graph: Graph, config: LightGCNTraining, seed: int) -> LightGCNModel:
        """A fresh model for this graph. Raises BadInputError when it has nothing to learn from."""
        return cls(LightGCNData.build(graph, config.queries), config, seed)

    def batches(self, epoch: int, generator: torch.Generator) -> Iterator[LightGCNBatch]:
        """The batches of one pass over all positives."""
        return self.data.batches(self.config.batch_size, generator)

    def step(self, batch: LightGCNBatch) -> dict[str, Tensor]:
        """The losses of one batch."""
        data, module = self.data, self.module
        keep = data.edges.outside(*data.own_edges(batch)) if self.config.hide_edges else None
        final = module.propagate(data.edges.matrix(module.embedding.dtype, keep))
        user, item, negative = self._nodes(batch)
        asked = final[user] + self._of_query(batch, final)
        scores = ((asked * final[rows]).sum(1) for rows in (item, negative))
        squares = sum(module.squares(rows) for rows in (user, item, negative))
        lengths = module.embedding.square().sum(1, keepdim=True)
        squares = squares + self._of_query(batch, lengths).squeeze(1)
        ranking, squares = bpr_loss(*scores), self.config.regularisation * squares.mean()
        return {"loss": ranking + squares, "bpr": ranking, "squares": squares}

    def _nodes(self, batch: LightGCNBatch) -> tuple[Tensor, Tensor, Tensor]:
        nodes = self.data.nodes
        item, negative = (nodes.of("item", rows) for rows in (batch.item, batch.negative))
        return nodes.of("user", batch.user), item, negative

    def _of_query(self, batch: LightGCNBatch, table: Tensor) -> Tensor:
        """The mean of a node table over the terms of each row's query, 0 without one."""
        if self.data.words is None:
            return table.new_zeros(1, table.shape[1])
        terms = table[self.data.nodes.start("term") :]
        means = self.data.words.of(table.dtype).matmul(terms.contiguous())
        return means[batch.query.clamp(min=0)] * (batch.query != NO_ROW).unsqueeze(1)

    def tables(self) -> dict[str, FloatArray]:
        """Propagated users and items, with `queries` terms too, and queries as means of terms."""
        nodes = self.data.nodes
        with torch.no_grad():
            final = self.module.propagate(self.data.edges.matrix(self.module.embedding.dtype))
        kinds = [kind for kind in nodes.sizes if kind != "query"]
        found = {kind: nodes.table(kind, final.numpy()) for kind in kinds}
        if "term" in found:
            found["query"] = mean_of_rows(self.data.query_terms, found["term"])
        return found

    def weights(self) -> dict[str, Array]:
        """The raw vectors, of all nodes in one table: users, items, then queries and terms."""
        return {"embedding": np.array(self.module.embedding.detach().numpy())}

    def scorer(self) -> TableScorer:
        """Ranks with the weights as they are now."""
        return _scorer(self.tables())

    @classmethod
    def scorer_from(cls, embeddings: Embeddings) -> TableScorer:
        """Ranks with finished embeddings: <u + q, i> for a search, <u, i> without a query."""
        return _scorer(embeddings.tables, embeddings.parents)


def _scorer(tables: dict[str, FloatArray], parents: dict[str, str] | None = None) -> TableScorer:
    query = tables.get("query")
    return TableScorer("lightgcn", tables["user"], tables["item"], query=query, parents=parents)


def _never_met(data: LightGCNData) -> Bool[Tensor, " nodes"]:
    """True for users, queries and terms without an edge; items without one are still negatives."""
    found = data.edges.degrees() == 0
    start = data.nodes.start("item")
    found[start : start + data.nodes.sizes["item"]] = False
    return found
