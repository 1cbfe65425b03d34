"""Attention over padded histories: multi-head layers, encoder and decoder layers, target attention.

Masks are True where a key may be seen. Whoever sees nothing receives exactly zero from attention,
so an empty history is an ordinary input and never a NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from sargraph.nn.dropout import ByteDropout


def masked_softmax(
    scores: Float[Tensor, "*rows keys"], visible: Bool[Tensor, "*#rows keys"]
) -> Float[Tensor, "*rows keys"]:
    """Softmax over the visible keys; a row that sees none gives zeros."""
    filled = scores.masked_fill(~visible, torch.finfo(scores.dtype).min)
    return torch.softmax(filled, dim=-1).masked_fill(~visible.any(-1, keepdim=True), 0.0)


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention with several heads and one stacked input projection.

    out = concat_h[ softmax(Q_h K_h^T / sqrt(dim / heads)) V_h ] W_o + b_o; exactly 0 for a query
    that sees no key. Cost: O(query * key * dim) per row of the batch.
    Source: Vaswani et al., Attention is all you need (NeurIPS 2017).
    """

    def __init__(self, dim: int, num_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        self.dropout = ByteDropout(dropout)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(
        self,
        x: Float[Tensor, "batch query dim"],
        memory: Float[Tensor, "batch key dim"],
        visible: Bool[Tensor, " batch #query key"],
    ) -> Float[Tensor, "batch query dim"]:
        """Let every position of `x` read the visible positions of `memory`."""
        # The bias is a constant, so that masking costs nothing in the backward pass.
        bias = torch.zeros_like(visible, dtype=x.dtype)
        bias.masked_fill_(~visible, torch.finfo(x.dtype).min)
        mixed = [self._attend(*head, bias) for head in self._heads(x, memory)]
        out: Tensor = self.out_proj(torch.cat(mixed, dim=-1))
        # Zeroing the output also removes the output bias and is cheaper than zeroing the weights.
        return out.masked_fill(~visible.any(-1, keepdim=True), 0.0)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        scores = (query * (1.0 / math.sqrt(query.shape[-1]))) @ key.transpose(1, 2)
        weights: Tensor = self.dropout(torch.softmax(scores.add_(bias), dim=-1))
        return weights @ value

    def _heads(self, x: Tensor, memory: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Query, key and value of each head; views of one product, so nothing is copied."""
        weight, bias, dim = self.in_proj_weight, self.in_proj_bias, x.shape[-1]
        if memory is x:
            parts = F.linear(x, weight, bias).split(dim // self.num_heads, dim=-1)
        else:
            query = F.linear(x, weight[:dim], bias[:dim])
            rest = F.linear(memory, weight[dim:], bias[dim:])
            parts = (
                *query.split(dim // self.num_heads, dim=-1),
                *rest.split(dim // self.num_heads, dim=-1),
            )
        heads = self.num_heads
        return zip(parts[:heads], parts[heads : 2 * heads], parts[2 * heads :], strict=True)


class FeedForward(nn.Module):
    """Two linear maps with a ReLU (or a GELU) between them: W_2 relu(W_1 x + b_1) + b_2.

    The inner width is `dim` unless `inner_dim` says otherwise; dropout acts inside.
    """

    def __init__(
        self, dim: int, dropout: float = 0.0, inner_dim: int | None = None, gelu: bool = False
    ) -> None:
        super().__init__()
        self.linear1 = nn.Linear(dim, inner_dim or dim)
        self.linear2 = nn.Linear(inner_dim or dim, dim)
        self.dropout = ByteDropout(dropout)
        self.activation = F.gelu if gelu else torch.relu

    def forward(self, x: Float[Tensor, "*rows dim"]) -> Float[Tensor, "*rows dim"]:
        """Transform every position on its own."""
        out: Tensor = self.linear2(self.dropout(self.activation(self.linear1(x))))
        return out


class EncoderLayer(nn.Module):
    """Post-norm encoder layer whose keys may come from another sequence.

    h = LN(x + attend(x, memory)); out = LN(h + ffn(h)). With memory = x it is the ordinary
    self-attention layer; with memory = the events of the other source it is one direction of the
    transition layer, since each type of event then sees only the other type. `feed_forward` takes
    the place of the default one.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        dropout: float = 0.0,
        feed_forward: FeedForward | None = None,
    ) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(dim, num_heads, dropout)
        self.feed_forward = feed_forward or FeedForward(dim, dropout)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.dropout = ByteDropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "batch query dim"],
        memory: Float[Tensor, "batch key dim"],
        visible: Bool[Tensor, " batch #query key"],
    ) -> Float[Tensor, "batch query dim"]:
        """Encode `x` in the light of the visible positions of `memory`."""
        x = self.norm1(x + self.dropout(self.attention(x, memory, visible)))
        out: Tensor = self.norm2(x + self.dropout(self.feed_forward(x)))
        return out


class DecoderLayer(nn.Module):
    """Post-norm decoder layer: self-attention, attention to a memory of the same slots, FFN.

    Target and memory describe the same events slot by slot, hence one mask serves both.
    """

    def __init__(self, dim: int, num_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.self_attention = MultiHeadAttention(dim, num_heads, dropout)
        self.cross_attention = MultiHeadAttention(dim, num_heads, dropout)
        self.feed_forward = FeedForward(dim, dropout)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = ByteDropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "batch slots dim"],
        memory: Float[Tensor, "batch slots dim"],
        visible: Bool[Tensor, " batch #slots slots"],
    ) -> Float[Tensor, "batch slots dim"]:
        """Fuse `memory` into `x`."""
        x = self.norm1(x + self.dropout(self.self_attention(x, x, visible)))
        x = self.norm2(x + self.dropout(self.cross_attention(x, memory, visible)))
        out: Tensor = self.norm3(x + self.dropout(self.feed_forward(x)))
        return out


class TargetAttention(nn.Module):
    """Pool a history per candidate: sum_j softmax_j(h_j W v_c) h_j; 0 for an empty history."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim, dim))
        nn.init.xavier_normal_(self.weight)

    def forward(
        self,
        states: Float[Tensor, "batch slots dim"],
        valid: Bool[Tensor, "batch slots"],
        candidates: Float[Tensor, "batch candidates dim"],
    ) -> Float[Tensor, "batch candidates dim"]:
        """Weigh the states of each history by their match with each of its candidates."""
        scores = candidates @ (states @ self.weight).transpose(-1, -2)
        return masked_softmax(scores, valid.unsqueeze(1)) @ states
