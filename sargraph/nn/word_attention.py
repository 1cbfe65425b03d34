"""Attention of one key per row over the row's few words, without gathering the word vectors."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from sargraph.nn.attention import masked_softmax


def word_attention(
    key: Float[Tensor, "rows dim"],
    words: Float[Tensor, "terms dim"],
    terms: Int[Tensor, "rows length"],
    valid: Bool[Tensor, "rows length"],
    bias: Float[Tensor, "rows length"] | None = None,
    may_refuse: bool = False,
) -> Float[Tensor, "rows dim"]:
    """Mix each row's word vectors with weights that its key gives them.

    `context = Σ_t a_t y_t`, `a = softmax_t(key · y_t + bias_t)` over the valid words
    y_t = words[terms_t]; zero for a row without a valid word. `may_refuse` adds a place of logit 0
    and vector 0, so that a row whose words all score far below 0 has almost none of them. `terms`
    must be rows of `words` where invalid, too.
    Cost O(rows · length · dim) time but only O(rows · length) memory beside the output: logits
    are sampled products, the context is a weighted bag.
    """
    if terms.numel() == 0:
        return key * 0.0  # no words at all; stays in the graph of gradients
    if bias is None:
        bias = key.new_zeros(terms.shape)
    context: Tensor = _WordAttention.apply(key, words, bias, terms, valid, may_refuse)
    return context


class _WordAttention(torch.autograd.Function):
    """Forward and backward as sparse products with the [rows, terms] pattern of `terms`."""

    @staticmethod
    def forward(
        ctx: Any,
        key: Tensor,
        words: Tensor,
        bias: Tensor,
        terms: Tensor,
        valid: Tensor,
        may_refuse: bool,
    ) -> Tensor:
        logit = _sampled_products(key, words, terms) + bias
        if may_refuse:
            logit = torch.cat([logit, logit.new_zeros(len(logit), 1)], dim=1)
            valid = F.pad(valid, (0, 1), value=True)
        weight = masked_softmax(logit, valid)[:, : terms.shape[1]].contiguous()
        ctx.save_for_backward(key, words, terms, weight)
        return _mix(words, terms, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        key, words, terms, weight = ctx.saved_tensors
        grad = grads[0].contiguous()
        grad_weight = _sampled_products(grad, words, terms)
        grad_logit = weight * (grad_weight - (weight * grad_weight).sum(1, keepdim=True))
        entries = torch.argsort(terms.reshape(-1), stable=True)
        grad_words = _gather_by_word(grad, weight, terms, entries, len(words))
        grad_words += _gather_by_word(key, grad_logit, terms, entries, len(words))
        return _mix(words, terms, grad_logit), grad_words, grad_logit, None, None, None


def _sampled_products(left: Tensor, words: Tensor, terms: Tensor) -> Tensor:
    """`left[n] · words[terms[n, t]]` for every n and t."""
    num_rows, length = terms.shape
    # torch refuses a product with fewer columns than entries in a row.
    words = F.pad(words, (0, 0, 0, max(length - len(words), 0)))
    offsets = torch.arange(0, terms.numel() + 1, length, device=terms.device)
    zeros = left.new_zeros(terms.numel())
    shape = (num_rows, len(words))
    with warnings.catch_warnings():  # torch warns once that CSR tensors are in beta
        warnings.simplefilter("ignore")
        pattern = torch.sparse_csr_tensor(
            offsets, terms.reshape(-1), zeros, shape, check_invariants=False
        )
    products: Tensor = torch.sparse.sampled_addmm(pattern, left, words.t()).values()
    return products.view(num_rows, length)


def _mix(words: Tensor, terms: Tensor, weight: Tensor) -> Tensor:
    """`Σ_t weight[n, t] words[terms[n, t]]` for every n."""
    return F.embedding_bag(terms, words, per_sample_weights=weight, mode="sum")


def _gather_by_word(
    rows: Tensor, weight: Tensor, terms: Tensor, entries: Tensor, num_words: int
) -> Tensor:
    """`Σ weight[n, t] rows[n]` over the (n, t) of each word; `entries` sorts them by word."""
    counts = torch.bincount(terms.reshape(-1), minlength=num_words)
    return F.embedding_bag(
        entries // terms.shape[1],
        rows,
        F.pad(counts.cumsum(0), (1, 0)),
        mode="sum",
        per_sample_weights=weight.reshape(-1)[entries],
        include_last_offset=True,
    )
