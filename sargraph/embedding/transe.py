"""TransE: an edge is a step from its start to its end, the same step for all edges of a type."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sargraph.core.ragged import Ragged
from sargraph.core.rng import torch_generator
from sargraph.core.types import Array, FloatArray
from sargraph.embedding.embeddings import Embeddings, unit_rows
from sargraph.embedding.model import EMBEDDING_MODELS, EmbeddingModel, TrainConfig
from sargraph.embedding.row_means import mean_of_rows
from sargraph.embedding.transe_data import RELATIONS, TransEData, Triples
from sargraph.embedding.vector_scorer import TableScorer
from sargraph.graph.graph import CLICKED, CONTAINS, FOUND, LED_TO, EdgeType, Graph


class TransETraining(TrainConfig):
    """Settings of TransE and of its training."""

    batch_size: int = Field(8192, ge=1)
    """Triples per step."""
    learning_rate: float = Field(1e-2, gt=0)
    """Step size of AdamW."""
    weight_decay: float = Field(0.0, ge=0)
    """Decoupled weight decay; all lengths but those of relations are 1 anyway."""
    margin: float = Field(1.0, gt=0)
    """By how much a known triple should be shorter than a corrupted one."""


class TransE(nn.Module):
    """d(h, r, t) = ||h + r - t||, short for a known triple (h, r, t).

    loss = mean of max(0, margin + d(h, r, t) - d(h', r, t'))

    with h' or t' another node of the same kind, so that (h', r, t') is not known. Nodes have the
    length 1, which `project` restores before each step; those of which nothing is `learned` are 0.
    Cost: O(dim) per triple, and O(nodes dim) per step for the lengths.
    Source: Bordes et al., Translating Embeddings for Modeling Multi-relational Data (NIPS 2013).
    """

    learned: Tensor
    used: Tensor

    def __init__(
        self,
        learned: Bool[Tensor, " nodes"],
        used: Bool[Tensor, " relations"],
        dim: int,
        seed: int,
    ) -> None:
        super().__init__()
        generator, bound = torch_generator(seed, "transe"), 6 / dim**0.5
        self.register_buffer("learned", learned)
        self.register_buffer("used", used)
        node, relation = (
            (2 * torch.rand(len(mask), dim, generator=generator) - 1) * bound
            for mask in (learned, used)
        )
        self.node = nn.Parameter(node)
        self.relation = nn.Parameter(F.normalize(relation) * used.unsqueeze(1))
        self.project()

    def unit_nodes(self) -> Float[Tensor, "nodes dim"]:
        """Every node at length 1, or 0 where nothing is learned of it."""
        return F.normalize(self.node) * self.learned.unsqueeze(1)

    @torch.no_grad()
    def project(self) -> None:
        """Bring the nodes back to their length."""
        self.node.copy_(self.unit_nodes())

    def distance(self, triples: Triples) -> Float[Tensor, " n"]:
        """||h + r - t|| of each triple."""
        step = self.node[triples.head] + self.relation[triples.relation]
        return torch.linalg.vector_norm(step - self.node[triples.tail], dim=1)

    def loss(self, known: Triples, corrupt: Triples, margin: float) -> Float[Tensor, ""]:
        """The mean of what is missing to the margin."""
        return F.relu(margin + self.distance(known) - self.distance(corrupt)).mean()


@EMBEDDING_MODELS.register("transe")
class TransEModel(EmbeddingModel):
    """TransE over the distinct clicked, found, led_to and contains edges of a graph.

    Each pass takes every triple once beside one corrupted triple. A query is read from its words,
    so that one never asked before is understood: q = unit(mean over terms of t - r_contains).
    A relation without an edge, and a user, query or term without one, is 0.
    """

    config_class = TransETraining

    def __init__(
        self, data: TransEData, query_terms: Ragged, config: TransETraining, seed: int
    ) -> None:
        self.data = data
        self.config = config
        used = torch.tensor([number in data.corruptions for number in range(len(RELATIONS))])
        self.module: TransE = TransE(data.is_learned(), used, config.dim, seed)
        counts = torch.bincount(data.triples.relation, minlength=len(RELATIONS)).tolist()
        self.counts = {f"{kind[1]}_edges": n for kind, n in zip(RELATIONS, counts, strict=True)}
        self._query_terms = query_terms

    @classmethod
    def build(cls, graph: Graph, config: TransETraining, seed: int) -> TransEModel:
        """A fresh model for this graph. Raises BadInputError when it has nothing to learn from."""
        return cls(TransEData.build(graph), graph.query_terms, config, seed)

    def batches(self, epoch: int, generator: torch.Generator) -> Iterator[tuple[Triples, Triples]]:
        """(known, corrupted) triples of one pass."""
        return self.data.batches(self.config.batch_size, generator)

    def step(self, batch: tuple[Triples, Triples]) -> dict[str, Tensor]:
        """The loss of one batch."""
        self.module.project()
        return {"loss": self.module.loss(*batch, self.config.margin)}

    def tables(self) -> dict[str, FloatArray]:
        """Users, items and terms at length 1; queries from their terms."""
        found = {kind: self._nodes(kind) for kind in ("user", "item", "term")}
        means = mean_of_rows(self._query_terms, found["term"])
        step = _step(self.weights()["relation"], CONTAINS)
        has_words = means.any(axis=1, keepdims=True)
        return {**found, "query": unit_rows(np.where(has_words, means - step, np.float32(0)))}

    def weights(self) -> dict[str, Array]:
        """The step of each relation, and the vectors that known queries have as nodes."""
        relation = np.array(self.module.relation.detach().numpy(), dtype=np.float32)
        return {"relation": relation, "query_entity": self._nodes("query")}

    def _nodes(self, kind: str) -> FloatArray:
        return self.data.nodes.table(kind, self.module.unit_nodes().detach().numpy())

    def scorer(self) -> TableScorer:
        """Ranks with the weights as they are now."""
        return _scorer(self.tables(), self.weights()["relation"])

    @classmethod
    def scorer_from(cls, embeddings: Embeddings) -> TableScorer:
        """Ranks with finished embeddings: distances, expanded to products."""
        relation = embeddings.weights["relation"]
        return _scorer(embeddings.tables, relation, embeddings.parents)


def _scorer(
    tables: dict[str, FloatArray], relation: Array, parents: dict[str, str] | None = None
) -> TableScorer:
    """Without a query -||u + clicked - i||^2, with one -||u + found - i||^2 - ||q + led_to - i||^2.

    -||a - i||^2 = <2 a, i> - |a|^2 - |i|^2 is the product of [2 a, -|a|^2, -1] and [i, 1, |i|^2],
    so that a search is the sum of two such vectors. A query without a known word adds nothing.
    """
    user, item, query = tables["user"], tables["item"], tables["query"]
    has_words = query.any(axis=1, keepdims=True)
    of_query = _expanded(query + _step(relation, LED_TO)) * has_words
    squares = (item**2).sum(axis=1)
    return TableScorer(
        "transe",
        _expanded(user + _step(relation, CLICKED)),
        np.column_stack([item, np.ones_like(squares), squares]).astype(np.float32),
        search=_expanded(user + _step(relation, FOUND)),
        query=of_query.astype(np.float32),
        parents=parents,
    )


def _expanded(point: FloatArray) -> FloatArray:
    """[2 a, -|a|^2, -1] of each point a, float32 [n, dim + 2]."""
    squares = (point**2).sum(axis=1)
    return np.column_stack([2 * point, -squares, -np.ones_like(squares)]).astype(np.float32)


def _step(relation: Array, kind: EdgeType) -> FloatArray:
    return np.asarray(relation, dtype=np.float32)[RELATIONS.index(kind)]
