"""What may stand where a virtual query stands: controls that a generated one has to beat."""

from __future__ import annotations

from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sargraph.nn.intent import IntentTables, query_vector
from sargraph.nn.sparse import SparseMatrix

PlainKind = Literal["none", "constant", "item_words", "user_words"]


class PlainIntent(nn.Module):
    """q~(u, i) = a_u + b_i without a network, behind the interface of `DemandIntent`.

    none: 0. constant: one learned "no query" vector. item_words, user_words: the mean vector of
    the item's, of the user's frequent words, 0 where there is none. Cost: O(dim) per pair.
    """

    def __init__(self, dim: int, kind: PlainKind) -> None:
        super().__init__()
        self.kind = kind
        if kind == "constant":
            self.no_query = nn.Embedding(1, dim)

    def tables(
        self,
        user: Float[Tensor, "contexts dim"],
        item: Float[Tensor, "items dim"],
        words: Float[Tensor, "terms dim"],
        contexts: Any,
        item_terms: Int[Tensor, "items item_length"],
    ) -> IntentTables:
        """a of each context and b of each item; `contexts` are WordContexts."""
        of_user, of_item = torch.zeros_like(user), torch.zeros_like(item)
        if self.kind == "constant":
            of_user = self.no_query.weight.expand(len(user), -1)
        if self.kind == "user_words":
            of_user = _mean_words(words, contexts.terms)
        if self.kind == "item_words":
            of_item = _mean_words(words, item_terms)
        return IntentTables(of_user, of_item, words, item_terms)

    def forward(
        self, tables: IntentTables, user: Int[Tensor, " pairs"], item: Int[Tensor, " pairs"]
    ) -> Float[Tensor, "pairs dim"]:
        """q~ of each pair."""
        return tables.user[user] + tables.item[item]

    def mean_demand(
        self,
        tables: IntentTables,
        user: Int[Tensor, " pairs"],
        item: Int[Tensor, " pairs"],
        matrix: SparseMatrix,
    ) -> Float[Tensor, "nodes dim"]:
        """`matrix @ q~` for a matrix [nodes, pairs]."""
        return matrix.matmul(self(tables, user, item))


def _mean_words(words: Tensor, terms: Tensor) -> Tensor:
    count = (terms >= 0).sum(1, keepdim=True).clamp(min=1)
    return query_vector(words, terms) / count
