"""Dropout whose masks cost one random byte per element."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class ByteDropout(nn.Module):
    """Zero a share of the elements in training and scale the others up to keep the mean.

    The share is rounded to a multiple of 1/256 (0.1 becomes 26/256), at most 255/256 so that
    something is kept to scale up, and the scale is exact for the rounded share. One 64-bit draw
    serves eight elements, which on a CPU makes it about three times as fast as drawing a number
    for each. Randomness comes from torch's global generator.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.dropped = min(round(share * 256), 255)  # of 256 equally likely bytes

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Drop elements in training; the identity otherwise."""
        if not self.training or not self.dropped:
            return x
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.long, device=x.device)
        draws = words.random_(-(2**63), None).view(torch.uint8)[: x.numel()].view(x.shape)
        kept = (draws >= self.dropped).to(x.dtype)
        return x * kept.mul_(256 / (256 - self.dropped))
