"""The settings of UDITSR: its network, what of the published behaviour it keeps, its training."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from sargraph.core.config import Config
from sargraph.embedding.model import TrainConfig

MENDED = (
    "mask_padding",
    "hide_edges",
    "hide_words",
    "normalise_layers",
    "supervise_searches",
    "linear_score",
)
"""Settings that mend a defect of the published implementation; `parity` turns all of them off."""

VirtualKind = Literal[
    "generated", "none", "constant", "item_words", "user_words", "permuted", "timed"
]


class UDITSRNetwork(Config):
    """What the network is; the defaults mend the defects of the published implementation."""

    num_layers: int = Field(default=2, ge=0)
    """Translation layers."""
    supervised_weight: float = Field(default=1.5, ge=0)
    """Weight of the supervised demand loss: virtual queries shall look like real ones."""
    translation_weight: float = Field(default=0.2, ge=0)
    """Weight of the translation contrast loss: user plus demand shall lead to the item."""
    naming_weight: float = Field(default=0.3, ge=0)
    """Weight of the naming loss: among all words a virtual query shall name those that were
    typed. Not part of the published model, whose squared distance pulls all words together."""
    virtual_query: VirtualKind = "generated"
    """What stands on recommendation edges: generated (as published), timed (from what the user
    asked before, and the season), or a control: none, constant (one learned vector), item_words,
    user_words (means of the frequent words), permuted (generated for another user and item)."""
    mask_padding: bool = True
    """A missing word counts as nothing (published: word 0 stands there and is trained)."""
    normalise_layers: bool = True
    """Layer weights sum to one (published: 1 + 1/2 + 1/3)."""
    supervise_searches: bool = True
    """The supervised loss is a mean over search rows (published: over the whole batch)."""
    linear_score: bool = True
    """Scores end in a linear layer (published: in a LeakyReLU)."""
    hide_edges: bool = True
    """Edges between the pairs that a step predicts carry no messages in it (published: they do)."""
    hide_words: bool = True
    """Frequent words that a row's own pair alone brought about are hidden from its virtual query
    (published: they are seen)."""
    parity: bool = False
    """Behave as published: none of the defects is mended."""

    @model_validator(mode="before")
    @classmethod
    def _published(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not given.get("parity"):
            return given
        own = [name for name in (*MENDED, "naming_weight") if given.get(name)]
        if own:
            raise ValueError(
                f"got parity and {own[0]}, expected one of them: parity is as published"
            )
        return {**dict.fromkeys(MENDED, False), "naming_weight": 0.0, **given}


class UDITSRConfig(UDITSRNetwork):
    """Settings of the network alone."""

    dim: int = Field(default=64, ge=4)
    """Length of every user, item and word vector."""
    seed: int = 0
    """Seed of the initial weights."""


class UDITSRTraining(TrainConfig, UDITSRNetwork):
    """Settings of UDITSR and of its training."""

    batch_size: int = Field(1024, ge=1)
    """Positives per step."""
    learning_rate: float = Field(3e-3, gt=0)
    """Step size of AdamW."""
    max_query_terms: int = Field(5, ge=1)
    """Words of a query that are read, from its start (published: 3)."""
    num_user_terms: int = Field(3, ge=1)
    """Most frequent words that stand for a user."""
    num_item_terms: int = Field(10, ge=1)
    """Most frequent words that stand for an item."""
    num_history_queries: int = Field(20, ge=1)
    """Last queries of a user that a timed virtual query reads."""
    propagation: Literal["full", "stale", "sampled"] = "stale"
    """How a step gets its vectors: full (all edges in every step), stale (all edges in every
    `refresh_every`-th step, raw vectors move between), sampled (a few edges of each node)."""
    refresh_every: int = Field(32, ge=1)
    """Steps between two full propagations where `propagation` is stale."""
    fan_out: tuple[int, ...] = (10, 10)
    """Edges drawn per node and layer, from the batch outwards, where it is sampled."""

    @model_validator(mode="after")
    def _one_fan_out_per_layer(self) -> UDITSRTraining:
        if self.propagation == "sampled" and len(self.fan_out) != self.num_layers:
            raise ValueError(
                f"got fan_out of {len(self.fan_out)} layers, expected one number for each of the "
                f"{self.num_layers} layers"
            )
        return self

    def network(self, seed: int) -> UDITSRConfig:
        """The settings of the network alone."""
        known = {name: getattr(self, name) for name in UDITSRNetwork.model_fields}
        return UDITSRConfig(dim=self.dim, seed=seed, **known)
