"""Item2vec: items that the same people choose get similar vectors; a user is the mean of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import embedding, logsigmoid

from sargraph.core.errors import BadInputError
from sargraph.core.ragged import Ragged
from sargraph.core.rng import torch_generator
from sargraph.core.types import Array, BoolArray, FloatArray
from sargraph.embedding.embeddings import Embeddings, unit_rows
from sargraph.embedding.item2vec_data import Choices, SkipGrams, chosen_lists
from sargraph.embedding.model import EMBEDDING_MODELS, EmbeddingModel, TrainConfig
from sargraph.embedding.row_means import mean_of_rows
from sargraph.embedding.vector_scorer import TableScorer
from sargraph.graph.graph import Graph


class Item2vecTraining(TrainConfig):
    """Settings of item2vec and of its training."""

    batch_size: int = Field(8192, ge=1)
    """Pairs of items per step."""
    learning_rate: float = Field(1e-2, gt=0)
    """Step size of AdamW."""
    weight_decay: float = Field(0.0, ge=0)
    """Decoupled weight decay of every vector."""
    window: int = Field(5, ge=1)
    """How far apart two timed choices of a user may be in the user's order to be a pair."""
    max_untimed: int = Field(100, ge=2)
    """Most choices without a time that are paired per user and pass, drawn anew in each."""
    num_negatives: int = Field(15, ge=1)
    """Items drawn against each pair."""
    subsample: float = Field(1e-3, ge=0)
    """Share of all choices above which an item is left out of a pass at times; 0 = never."""
    similarity: Literal["cosine", "inner"] = "cosine"
    """How a user's mean is held against an item."""


class Item2vec(nn.Module):
    """Skip-gram with negative sampling: <v_a, w_b> is high for items a, b chosen together.

    loss = mean over pairs (a, b) of -ln sigmoid(<v_a, w_b>)
           - sum over negatives n other than b of ln sigmoid(-<v_a, w_n>)

    v are the rows of `item`, which are kept, w those of `context`. Cost: O(negatives dim) a pair.
    Source: Barkan and Koenigstein, Item2Vec (MLSP 2016, arXiv 1603.04259); Mikolov et al. 2013.
    """

    def __init__(self, num_items: int, dim: int, seed: int) -> None:
        super().__init__()
        start = torch.rand(num_items, dim, generator=torch_generator(seed, "item2vec"))
        self.item = nn.Parameter((start - 0.5) / dim)
        self.context = nn.Parameter(torch.zeros(num_items, dim))

    def loss(
        self,
        centre: Int[Tensor, " n"],
        context: Int[Tensor, " n"],
        negative: Int[Tensor, "n negatives"],
    ) -> Float[Tensor, ""]:
        """The mean over the n pairs."""
        of_centre = embedding(centre, self.item)  # indexing adds gradients in any order of threads
        together = logsigmoid((of_centre * embedding(context, self.context)).sum(1))
        apart = torch.einsum("nd,nkd->nk", of_centre, embedding(negative, self.context))
        counts = negative != context.unsqueeze(1)
        return -(together + (logsigmoid(-apart) * counts).sum(1)).mean()


@EMBEDDING_MODELS.register("item2vec")
class Item2vecModel(EmbeddingModel):
    """Item2vec over the clicked and found edges of a graph.

    Pairs are formed within each user's choices: near ones in the user's order of time, all of them
    where there is no time (`Choices.pairs`). A user's vector is the mean over the distinct items
    chosen. Items that nobody chose beside another, and users without any other item, are 0: they
    score 0. It has no vectors for queries and reads none.
    """

    config_class = Item2vecTraining

    def __init__(
        self,
        skip_grams: SkipGrams,
        chosen: Ragged,
        is_paired: BoolArray,
        config: Item2vecTraining,
        seed: int,
    ) -> None:
        self.config = config
        self.module: Item2vec = Item2vec(len(is_paired), config.dim, seed)
        self.counts = {
            "choices": len(skip_grams.choices.item), "paired_items": int(is_paired.sum())
        }  # fmt: skip
        self._skip_grams = skip_grams
        self._chosen = chosen
        alone: Bool[Tensor, " items"] = torch.from_numpy(~is_paired)
        with torch.no_grad():
            self.module.item[alone] = 0

    @classmethod
    def build(cls, graph: Graph, config: Item2vecTraining, seed: int) -> Item2vecModel:
        """A fresh model for this graph. Raises BadInputError when it has nothing to learn from."""
        choices, chosen = Choices.of(graph), chosen_lists(graph)
        is_paired = np.zeros(choices.num_items, dtype=np.bool_)
        is_paired[chosen.values[chosen.lengths[chosen.row_of_value] > 1]] = True
        if not is_paired.any():
            raise BadInputError(
                f"graph '{graph.name}' has no user who chose two items, expected at least one; "
                "build it from more events"
            )
        skip_grams = SkipGrams.build(
            choices, config.window, config.max_untimed, config.num_negatives, config.subsample
        )
        return cls(skip_grams, chosen, is_paired, config, seed)

    def batches(
        self, epoch: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """(centres, contexts, negatives) of one pass."""
        return self._skip_grams.batches(self.config.batch_size, generator)

    def step(self, batch: tuple[Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
        """The loss of one batch."""
        return {"loss": self.module.loss(*batch)}

    def tables(self) -> dict[str, FloatArray]:
        """Items, and users as the means of theirs."""
        item = _array(self.module.item)
        return {"user": mean_of_rows(self._chosen, item), "item": item}

    def weights(self) -> dict[str, Array]:
        """The vectors that items have as contexts."""
        return {"context": _array(self.module.context)}

    def scorer(self) -> TableScorer:
        """Ranks with the weights as they are now."""
        return _scorer(self.tables(), self.config.similarity)

    @classmethod
    def scorer_from(cls, embeddings: Embeddings) -> TableScorer:
        """Ranks with finished embeddings."""
        similarity = str(embeddings.config["similarity"])
        return _scorer(embeddings.tables, similarity, embeddings.parents)


def _scorer(
    tables: dict[str, FloatArray], similarity: str, parents: dict[str, str] | None = None
) -> TableScorer:
    user, item = tables["user"], tables["item"]
    if similarity == "cosine":
        user, item = unit_rows(user), unit_rows(item)
    return TableScorer("item2vec", user, item, parents=parents)


def _array(parameter: Tensor) -> FloatArray:
    return np.array(parameter.detach().numpy(), dtype=np.float32)
