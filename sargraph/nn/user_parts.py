"""The generator's user part: one row per user from the user's vector and the user's words."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from sargraph.nn.pair_kernels import add_places, return_places


def user_parts(
    user: Float[Tensor, "users dim"],
    words: Float[Tensor, "terms dim"],
    terms: Int[Tensor, "users places"],
    own: Float[Tensor, "dim out"],
    asks: list[Float[Tensor, "dim dim"]],
    layer: Float[Tensor, "hidden dim"],
    bias: Float[Tensor, " out"],
) -> Float[Tensor, "users out"]:
    """`bias + user own + [Σ_s x_s ask_s ; layer Σ_s x_s]` for the words x_s at a user's places s.

    `out` = dim + hidden; a place without a word (-1) brings nothing. The words' products are made
    once per word or once per place of a user, whichever are fewer, and added in place.
    Cost: O(users dim out) and O(min(users places, words places) dim²) multiply-adds.
    """
    if terms.numel() < len(words) or user.device.type != "cpu":
        x = F.embedding(terms.clamp(min=0), words) * (terms >= 0).unsqueeze(2)
        added = [x.flatten(1) @ torch.cat(asks), F.linear(x.sum(1), layer)]
        return torch.addmm(bias, user, own) + torch.cat(added, dim=1)
    if terms.numel() and int(terms.max()) >= len(words):  # compiled loops read without looking
        raise IndexError(f"got word {int(terms.max())}, expected below {len(words)}")
    asked = torch.stack([words @ ask for ask in asks])
    total: Tensor = _UserParts.apply(terms, user, own, bias, asked, F.linear(words, layer))
    return total


class _UserParts(torch.autograd.Function):
    """The sum of both parts without a temporary of the users' size."""

    @staticmethod
    def forward(
        ctx: Any,
        terms: Tensor,
        user: Tensor,
        own: Tensor,
        bias: Tensor,
        asked: Tensor,
        layered: Tensor,
    ) -> Tensor:
        total = torch.addmm(bias, user, own)
        add_places(*(each.detach().numpy() for each in (total, asked, layered, terms)))
        ctx.save_for_backward(terms, user, own)
        ctx.shapes = asked.shape, layered.shape
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        terms, user, own = ctx.saved_tensors
        grad = grads[0].contiguous()
        asked, layered = (grad.new_zeros(shape) for shape in ctx.shapes)
        return_places(*(each.numpy() for each in (grad, asked, layered, terms)))
        return None, grad @ own.t(), user.t() @ grad, grad.sum(0), asked, layered
