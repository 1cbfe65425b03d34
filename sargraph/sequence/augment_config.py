"""Settings of the augmentation by similar users."""

from __future__ import annotations

from pydantic import Field

from sargraph.neighbours.continuations import ContinuationConfig


class AugmentConfig(ContinuationConfig):
    """Whose next choices a sequence model is given beside the history, and how it takes them in."""

    gate_start: float = Field(default=0.1, gt=0, lt=1)
    """How much of what is found is let in before anything is learned."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share dropped of the attention to tokens."""
    contrast_weight: float = Field(default=0.0, ge=0)
    """Weight of a contrast that draws a request to what its first neighbour chose; 0 = none."""
