"""BPR: matrix factorisation that ranks what a user chose above what they did not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from sargraph.core.errors import BadInputError
from sargraph.core.rng import torch_generator
from sargraph.core.types import Array, FloatArray, IntArray
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.graph_pairs import chosen_pairs
from sargraph.embedding.model import EMBEDDING_MODELS, EmbeddingModel, TrainConfig
from sargraph.embedding.negatives import FreeItems
from sargraph.embedding.vector_scorer import TableScorer
from sargraph.graph.graph import CLICKED, FOUND, Graph

_EDGES = {"both": (CLICKED, FOUND), "recommend": (CLICKED,), "search": (FOUND,)}


class BPRTraining(TrainConfig):
    """Settings of BPR and of its training."""

    batch_size: int = Field(8192, ge=1)
    """Positives per step."""
    learning_rate: float = Field(1e-2, gt=0)
    """Step size of AdamW."""
    weight_decay: float = Field(0.0, ge=0)
    """Decoupled weight decay of every parameter, beside `regularisation`."""
    regularisation: float = Field(3e-2, ge=0)
    """Weight of the squared lengths of the vectors and biases in a batch."""
    source: Literal["both", "recommend", "search"] = "both"
    """Where the choices were made that count as positives."""


class BPR(nn.Module):
    """score(u, i) = <p_u, q_i> + b_i.

    loss = mean over (u, i, j) of -ln sigmoid(score(u, i) - score(u, j))
           + regularisation (|p_u|^2 + |q_i|^2 + |q_j|^2 + b_i^2 + b_j^2)

    with i chosen by u and j not. Users without a positive keep the vector 0, so that they are
    answered by the biases alone. Cost: O(dim) per positive.
    Source: Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback (UAI 2009).
    """

    def __init__(self, num_users: int, num_items: int, dim: int, seed: int) -> None:
        super().__init__()
        generator = torch_generator(seed, "bpr")
        self.user = nn.Parameter(_small(num_users, dim, generator))
        self.item = nn.Parameter(_small(num_items, dim, generator))
        self.item_bias = nn.Parameter(torch.zeros(num_items))

    def loss(
        self,
        user: Int[Tensor, " n"],
        positive: Int[Tensor, " n"],
        negative: Int[Tensor, " n"],
        regularisation: float,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """The ranking loss, and the weighted squares; both means over the n triples."""
        p, chosen, other = self.user[user], self.item[positive], self.item[negative]
        bias, other_bias = self.item_bias[positive], self.item_bias[negative]
        margin = (p * (chosen - other)).sum(1) + bias - other_bias
        squares = (p**2 + chosen**2 + other**2).sum(1) + bias**2 + other_bias**2
        return -logsigmoid(margin).mean(), regularisation * squares.mean()


@EMBEDDING_MODELS.register("bpr")
class BPRModel(EmbeddingModel):
    """BPR over the distinct (user, item) pairs of a graph's clicked and found edges.

    Each pass takes every pair once, in batches of random order, against one uniform item that the
    user never chose in either source. It has vectors for users and items only, and reads no query.
    """

    config_class = BPRTraining

    def __init__(
        self,
        user: IntArray,
        item: IntArray,
        free_items: FreeItems,
        module: BPR,
        config: BPRTraining,
    ) -> None:
        self.config = config
        self.module: BPR = module
        self.counts = {"positives": len(user)}
        self._user, self._item = torch.from_numpy(user), torch.from_numpy(item)
        self._free_items = free_items
        without = torch.bincount(self._user, minlength=len(module.user)) == 0
        with torch.no_grad():
            module.user[without] = 0

    @classmethod
    def build(cls, graph: Graph, config: BPRTraining, seed: int) -> BPRModel:
        """A fresh model for this graph. Raises BadInputError when it has nothing to learn from."""
        users, items = graph.num_nodes["user"], graph.num_nodes["item"]
        user, item = chosen_pairs(graph, _EDGES[config.source])
        chosen_user, chosen_item = map(torch.from_numpy, chosen_pairs(graph))
        free = FreeItems.build(chosen_user, chosen_item, users, items)
        useful = free.any_for(torch.from_numpy(user)).numpy()
        if not useful.any():
            raise BadInputError(
                f"graph '{graph.name}' has no user with an item chosen and one not chosen in "
                f"source '{config.source}', expected at least one; build it from more events"
            )
        module = BPR(users, items, config.dim, seed)
        return cls(user[useful], item[useful], free, module, config)

    def batches(
        self, epoch: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Triples (users, chosen items, negative items), each Int[batch]."""
        order = torch.randperm(len(self._user), generator=generator)
        user, item = self._user[order], self._item[order]
        negative = self._free_items.draw(user, generator)
        parts = (column.split(self.config.batch_size) for column in (user, item, negative))
        yield from zip(*parts, strict=True)

    def step(self, batch: tuple[Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
        """The losses of one batch."""
        ranking, squares = self.module.loss(*batch, self.config.regularisation)
        return {"loss": ranking + squares, "bpr": ranking, "squares": squares}

    def tables(self) -> dict[str, FloatArray]:
        """Users and items; BPR has no vectors for queries and terms."""
        return {kind: self._array(kind) for kind in ("user", "item")}

    def weights(self) -> dict[str, Array]:
        """The bias of each item."""
        return {"item_bias": self._array("item_bias")}

    def scorer(self) -> TableScorer:
        """Ranks with the weights as they are now."""
        return bpr_scorer(self._array("user"), self._array("item"), self._array("item_bias"))

    @classmethod
    def scorer_from(cls, embeddings: Embeddings) -> TableScorer:
        """Ranks with finished embeddings."""
        bias = np.asarray(embeddings.weights["item_bias"], dtype=np.float32)
        tables = embeddings.tables
        return bpr_scorer(tables["user"], tables["item"], bias, embeddings.parents)

    def _array(self, name: str) -> FloatArray:
        parameter: Tensor = getattr(self.module, name)
        return np.asarray(parameter.detach().numpy().copy())


def bpr_scorer(
    user: FloatArray,
    item: FloatArray,
    item_bias: FloatArray,
    parents: Mapping[str, str] | None = None,
) -> TableScorer:
    """<p_u, q_i> + b_i; the bias is one more dimension whose request side is 1."""
    ones = np.ones(len(user), dtype=np.float32)
    items, users = np.column_stack([item, item_bias]), np.column_stack([user, ones])
    return TableScorer("bpr", recommend=users, items=items, parents=parents)


def _small(rows: int, dim: int, generator: torch.Generator) -> Float[Tensor, "rows dim"]:
    """A normal start; two such vectors have a product of about 0.1 at the most."""
    return torch.randn(rows, dim, generator=generator) * 0.1 / dim**0.5
