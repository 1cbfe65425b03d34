"""The demand intent generator of UDITSR: the virtual query of a (user, item) pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sargraph.nn.word_attention import word_attention


@dataclass(frozen=True)
class IntentTables:
    """Everything of the generator that depends on one user, one item or one word alone."""

    user_key: Float[Tensor, "users dim"]
    """What a user asks of a word: `A^T k`, so that `k · (A y) = user_key · y`."""
    user_hidden: Float[Tensor, "users hidden"]
    """The user's part of the first layer, with its bias: `W1 [e_u; 0; Σ x; 0] + b1`."""
    item_hidden: Float[Tensor, "items hidden"]
    """The item's part of the first layer: `W1 [0; e_i; 0; 0]`."""
    words: Float[Tensor, "terms dim"]
    """The word vectors y."""
    item_terms: Int[Tensor, "items item_length"]
    """Words of every item, by row; row 0 stands in at padding."""
    item_valid: Bool[Tensor, "items item_length"]
    """True where an item has a word."""


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

    Cost for P pairs: 2·P·(8 d²) multiply-adds (d = dim). What depends on the user or the item
    alone is computed once per user and item. The pairs run in chunks that fit in cache and the
    backward pass repeats each chunk, so memory is O(chunk_size · d + P · d) instead of O(P · 9 d),
    and no slower.

    Source: UDITSR, "Unified Dual-Intent Translation for Joint Modeling of Search and
    Recommendation", KDD 2024, arXiv 2407.00912.
    """

    def __init__(self, dim: int, num_user_terms: int, chunk_size: int = 4096) -> None:
        super().__init__()
        self.dim = dim
        self.chunk_size = chunk_size
        self.key = nn.Linear((1 + num_user_terms) * dim, dim)
        self.attention = nn.Linear(dim, dim, bias=False)
        self.first = nn.Linear(4 * dim, 2 * dim)
        self.second = nn.Linear(2 * dim, 2 * dim)
        self.third = nn.Linear(2 * dim, dim)

    def tables(
        self,
        user: Float[Tensor, "users dim"],
        item: Float[Tensor, "items dim"],
        words: Float[Tensor, "terms dim"],
        user_terms: Int[Tensor, "users user_length"],
        item_terms: Int[Tensor, "items item_length"],
    ) -> IntentTables:
        """Split K, A and W1 into per-user and per-item parts; -1 marks a missing word."""
        of_user, of_item, of_words, _ = self.first.weight.split(self.dim, dim=1)
        x = _word_vectors(words, user_terms)
        key = self.key(torch.cat([user.unsqueeze(1), x], dim=1).flatten(1))
        return IntentTables(
            user_key=key @ self.attention.weight,
            user_hidden=F.linear(user, of_user, self.first.bias) + F.linear(x.sum(1), of_words),
            item_hidden=F.linear(item, of_item),
            words=words,
            item_terms=item_terms.clamp(min=0),
            item_valid=item_terms >= 0,
        )

    def forward(
        self, tables: IntentTables, user: Int[Tensor, " pairs"], item: Int[Tensor, " pairs"]
    ) -> Float[Tensor, "pairs dim"]:
        """The virtual query of each pair of rows of `tables`; sorted by item runs fastest."""
        demand: Tensor = _InChunks.apply(
            user,
            item,
            tables.item_terms,
            tables.item_valid,
            self.chunk_size,
            tables.user_key,
            tables.user_hidden,
            tables.item_hidden,
            tables.words,
            self.first.weight.narrow(1, 3 * self.dim, self.dim),
            self.second.weight,
            self.second.bias,
            self.third.weight,
            self.third.bias,
        )
        return demand


def query_vector(
    words: Float[Tensor, "terms dim"], terms: Int[Tensor, "queries length"]
) -> Float[Tensor, "queries dim"]:
    """The sum of a query's word vectors, `q = Σ_t words[terms_t]`; -1 marks a missing word."""
    return _word_vectors(words, terms).sum(1)


def _word_vectors(words: Tensor, terms: Tensor) -> Tensor:
    """The word vectors of every row, [rows, length, dim], zero where the word is missing."""
    vectors = F.embedding(terms.clamp(min=0), words)
    return vectors * (terms >= 0).unsqueeze(2)


def _demand(
    key: Tensor,
    hidden: Tensor,
    terms: Tensor,
    valid: Tensor,
    words: Tensor,
    of_context: Tensor,
    second: Tensor,
    second_bias: Tensor,
    third: Tensor,
    third_bias: Tensor,
) -> Tensor:
    """q~ from the summed first-layer parts of a pair's user and item, and the pair's words."""
    context = word_attention(key, words, terms, valid)
    hidden = torch.tanh(torch.addmm(hidden, context, of_context.t()))
    hidden = torch.tanh(F.linear(hidden, second, second_bias))
    return F.linear(hidden, third, third_bias)


class _InChunks(torch.autograd.Function):
    """`_demand` over chunks of pairs; the backward pass repeats each chunk.

    Gradients are added in place to one buffer per table. Plain checkpointing would instead make
    a table-sized gradient per chunk, which costs more than the network for large tables.
    """

    @staticmethod
    def forward(
        ctx: Any,
        user: Tensor,
        item: Tensor,
        terms: Tensor,
        valid: Tensor,
        chunk_size: int,
        *inputs: Tensor,
    ) -> Tensor:
        ctx.chunk_size = chunk_size
        ctx.save_for_backward(user, item, terms, valid, *inputs)
        output = inputs[0].new_empty(len(user), inputs[0].shape[1])
        for part in _parts(len(user), chunk_size):
            u, i = user[part], item[part]
            hidden = inputs[1][u] + inputs[2][i]
            output[part] = _demand(inputs[0][u], hidden, terms[i], valid[i], *inputs[3:])
        return output

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        user, item, terms, valid, *inputs = ctx.saved_tensors
        sums = [torch.zeros_like(table) for table in inputs]
        shared = [table.detach().requires_grad_() for table in inputs[3:]]
        for part in _parts(len(user), ctx.chunk_size):
            u, i = user[part], item[part]
            key = inputs[0][u].requires_grad_()
            hidden = (inputs[1][u] + inputs[2][i]).requires_grad_()
            with torch.enable_grad():
                output = _demand(key, hidden, terms[i], valid[i], *shared)
            of_key, of_hidden, *rest = torch.autograd.grad(
                output, [key, hidden, *shared], grads[0][part], materialize_grads=True
            )
            sums[0].index_add_(0, u, of_key)
            sums[1].index_add_(0, u, of_hidden)
            sums[2].index_add_(0, i, of_hidden)
            for total, value in zip(sums[3:], rest, strict=True):
                total += value
        return (None, None, None, None, None, *sums)


def _parts(length: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]
