"""The demand intent generator of UDITSR: the virtual query of a (user, item) pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sargraph.nn.pair_features import Buffers, pair_features
from sargraph.nn.sparse import SparseMatrix
from sargraph.nn.user_parts import user_parts


@dataclass(frozen=True)
class IntentTables:
    """Everything of the generator that depends on one user, one item or one word alone."""

    user: Float[Tensor, "contexts dim_plus_hidden"]
    """What a user (in a context) asks of a word, `A^T k` [dim], so that `k · (A y) = (A^T k) · y`;
    then the user's part of the first layer with its bias, `W1 [e_u; 0; Σ x; 0] + b1` [hidden]."""
    item: Float[Tensor, "items hidden"]
    """The item's part of the first layer: `W1 [0; e_i; 0; 0]`."""
    words: Float[Tensor, "terms dim"]
    """The word vectors y."""
    item_terms: Int[Tensor, "items item_length"]
    """Words of every item, by row; -1 = none."""


class DemandIntent(nn.Module):
    """Generates the virtual query q~ that a user would have typed to be led to an item.

    ```
    k  = K [e_u; x_1; ..; x_s] + b_K
    a  = softmax_t( k · A y_t )                               over the item's valid words
    c  = Σ_t a_t y_t
    q~ = W3 tanh( W2 tanh( W1 [e_u; e_i; Σ_s x_s; c] + b1 ) + b2 ) + b3
    ```
    x are the user's words, y the item's; a padded word counts as the zero vector among x and not
    at all among y. The published attention bias is left out: a softmax does not see a shift.

    K, A and W1 are split by what they read: per user, per item and per word tables that are added
    (`tables`); a pair costs 6 dim² multiply-adds up to h2 = tanh(W2 ..) (`features`), and W3, being
    linear, 2 dim² more where a pair's q~ is wanted (`finish`), but only once per node where a mean
    of q~ over a node's pairs is (`mean_demand`).

    Source: UDITSR, "Unified Dual-Intent Translation for Joint Modeling of Search and
    Recommendation", KDD 2024, arXiv 2407.00912.
    """

    def __init__(self, dim: int, num_user_terms: int) -> None:
        super().__init__()
        self.dim = dim
        self.key = nn.Linear((1 + num_user_terms) * dim, dim)
        self.attention = nn.Linear(dim, dim, bias=False)
        self.first = nn.Linear(4 * dim, 2 * dim)
        self.second = nn.Linear(2 * dim, 2 * dim)
        self.third = nn.Linear(2 * dim, dim)
        self.pool = Buffers()

    def tables(
        self,
        user: Float[Tensor, "contexts dim"],
        item: Float[Tensor, "items dim"],
        words: Float[Tensor, "terms dim"],
        contexts: Any,
        item_terms: Int[Tensor, "items item_length"],
    ) -> IntentTables:
        """Split K, A and W1 into per-context and per-item parts; -1 marks a missing word.

        `user` holds the vector of each context's user, `contexts` are WordContexts. Cost: 3 dim²
        multiply-adds per context, 2 dim² per item, (places + 2) dim² per word.
        """
        of_user, of_item, of_words, _ = self.first.weight.split(self.dim, dim=1)
        first, *asks = self._asks()
        bias = torch.cat([self.key.bias @ self.attention.weight, self.first.bias])
        own = torch.cat([first, of_user.t()], dim=1)
        return IntentTables(
            user=user_parts(user, words, contexts.terms, own, asks, of_words, bias),
            item=F.linear(item, of_item),
            words=words,
            item_terms=item_terms,
        )

    def features(
        self, tables: IntentTables, user: Int[Tensor, " pairs"], item: Int[Tensor, " pairs"]
    ) -> Float[Tensor, "pairs hidden"]:
        """h2 of each pair of rows of `tables`; sorted by item runs fastest."""
        return self._features(tables, user, item, None)

    def finish(self, features: Float[Tensor, "pairs hidden"]) -> Float[Tensor, "pairs dim"]:
        """q~ = W3 h2 + b3."""
        demand: Tensor = self.third(features)
        return demand

    def forward(
        self, tables: IntentTables, user: Int[Tensor, " pairs"], item: Int[Tensor, " pairs"]
    ) -> Float[Tensor, "pairs dim"]:
        """The virtual query of each pair of rows of `tables`."""
        return self.finish(self.features(tables, user, item))

    def mean_demand(
        self,
        tables: IntentTables,
        user: Int[Tensor, " pairs"],
        item: Int[Tensor, " pairs"],
        matrix: SparseMatrix,
    ) -> Float[Tensor, "nodes dim"]:
        """`matrix @ q~` for a matrix [nodes, pairs]; W3 runs over the nodes alone."""
        mixed = self._features(tables, user, item, matrix)
        shares = matrix.row_sums().unsqueeze(1)
        return F.linear(mixed, self.third.weight) + shares * self.third.bias

    def _features(
        self, tables: IntentTables, user: Tensor, item: Tensor, matrix: SparseMatrix | None
    ) -> Tensor:
        of_context = self.first.weight.narrow(1, 3 * self.dim, self.dim)
        return pair_features(
            tables.user,
            tables.item,
            tables.words,
            tables.item_terms,
            (user, item),
            (of_context, self.second.weight, self.second.bias),
            matrix,
            self.pool,
        )

    def _asks(self) -> list[Tensor]:
        """K_s^T A for the user's vector and each word's place: from a vector to its ask."""
        return [part.t() @ self.attention.weight for part in self.key.weight.split(self.dim, 1)]


def query_vector(
    words: Float[Tensor, "terms dim"], terms: Int[Tensor, "queries length"]
) -> Float[Tensor, "queries dim"]:
    """The sum of a query's word vectors, `q = Σ_t words[terms_t]`; -1 marks a missing word."""
    if terms.numel() == 0 or len(words) == 0:
        return words.new_zeros(len(terms), words.shape[1])
    valid = (terms >= 0).to(words.dtype)
    return F.embedding_bag(terms.clamp(min=0), words, mode="sum", per_sample_weights=valid)
