"""The sizes and choices of a UniSAR model."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from sargraph.core.config import Config


class UniSARConfig(Config):
    """Sizes and choices of a UniSAR model; the defaults mend what the published code gets wrong."""

    dim: int = Field(default=32, gt=0)
    """Width of every encoded event, user, item and query."""
    id_dim: int = Field(default=32, gt=0)
    """Width of the id, term and attribute tables."""
    num_heads: int = Field(default=2, gt=0)
    """Attention heads; must divide `dim`."""
    num_layers: int = Field(default=1, gt=0)
    """Layers of each encoder and decoder."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of activations dropped in attention and feed-forward layers."""
    max_rec: int = Field(default=20, gt=0)
    """Most recommendation events of a history."""
    max_search: int = Field(default=20, gt=0)
    """Most search events of a history."""
    num_experts: int = Field(default=4, gt=0)
    """Experts of each task alone."""
    num_shared_experts: int = Field(default=4, gt=0)
    """Experts that both tasks share."""
    expert_dim: int = Field(default=64, gt=0)
    """Width of an expert."""
    tower_dims: tuple[int, ...] = (128, 64)
    """Widths of a task's tower."""
    head_dims: tuple[int, ...] = (200, 80)
    """Inner widths of a task's head."""
    query_item_weight: float = Field(default=1e-3, ge=0)
    """Weight of the query-item contrast; 0 leaves it out."""
    history_weight: float = Field(default=0.1, ge=0)
    """Weight of the history contrast; 0 leaves it out."""
    search_weight: float = Field(default=0.1, ge=0)
    """Weight of the search task's total beside the recommendation task's total."""
    query_item_temperature: float = Field(default=0.5, gt=0)
    """Start of the learnable temperature of the query-item contrast."""
    history_temperature: float = Field(default=0.1, gt=0)
    """Start of the learnable temperatures of the history contrast."""
    init_std: float = Field(default=0.1, gt=0)
    """Spread of the tables at the start, the same for any number of rows."""
    loss: Literal["softmax", "bce"] = "softmax"
    """Click loss: softmax cross-entropy over the candidates, or binary cross-entropy of each."""
    causal: bool = True
    """An event sees only events of strictly smaller rank (and itself)."""
    mask_negatives: bool = True
    """Known positives and the same user's other histories are no negatives in the contrasts."""
    positive_temperature: bool = True
    """Hold temperatures as logarithms, so that they stay above zero."""
    parity: bool = False
    """Reproduce the published code: turns the choices above to its ways unless set."""

    @model_validator(mode="before")
    @classmethod
    def _published_ways(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("parity"):
            ways = dict.fromkeys(("causal", "mask_negatives", "positive_temperature"), False)
            return {"loss": "bce", **ways, **data}
        return data

    @model_validator(mode="after")
    def _heads_divide_dim(self) -> UniSARConfig:
        if self.dim % self.num_heads:
            raise ValueError(f"got num_heads {self.num_heads}; it must divide dim {self.dim}")
        return self
