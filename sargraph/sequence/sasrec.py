"""SASRec: the next item from the items before it, by causal self-attention."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from sargraph.core.config import Config
from sargraph.nn.attention import EncoderLayer, FeedForward
from sargraph.nn.catalogue_softmax import catalogue_softmax_loss
from sargraph.nn.dropout import ByteDropout
from sargraph.nn.neighbour_attention import NeighbourMemory
from sargraph.sequence.augment import Augment


class SASRecConfig(Config):
    """Sizes of a SASRec model."""

    dim: int = Field(default=64, gt=0)
    """Width of items, positions and states."""
    num_heads: int = Field(default=2, gt=0)
    """Attention heads; must divide `dim`."""
    num_layers: int = Field(default=2, gt=0)
    """Self-attention layers."""
    inner_dim: int = Field(default=256, gt=0)
    """Inner width of the feed-forward layers."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Share dropped of inputs, attention weights and layer outputs; sparse logs want much."""
    max_events: int = Field(default=50, gt=0)
    """Most events of a history; the latest are kept."""
    init_std: float = Field(default=0.02, gt=0)
    """Spread of all tables and weights at the start."""

    @model_validator(mode="after")
    def _heads_divide_dim(self) -> SASRecConfig:
        if self.dim % self.num_heads:
            raise ValueError(f"got num_heads {self.num_heads}; it must divide dim {self.dim}")
        return self


class SASRec(nn.Module):
    """The state after each item of a history; an item's score is its product with the state.

    x_t = LN(e_{i_t} + p_t), two (or `num_layers`) causal post-norm layers
    h = LN(x + attend(x)), x = LN(h + W_2 gelu(W_1 h)), score(i) = <x_T, e_i>; input and output
    share the item table, and training is a softmax over the whole catalogue at every position.
    An empty history has a state of its own, a learned vector that ends up ranking the items users
    start with. With an `augment` each state is changed by what similar users chose next before it
    is scored. Cost: O(T^2 dim + T dim^2) per history, O(items dim) per ranked catalogue.
    Source: Kang and McAuley, Self-attentive sequential recommendation (ICDM 2018); with the full
    softmax as in Klenitskiy and Vasilev (RecSys 2023).
    """

    def __init__(
        self, num_items: int, config: SASRecConfig, seed: int = 0, augment: Augment | None = None
    ) -> None:
        super().__init__()
        self.config = config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.item_table = nn.Embedding(num_items, config.dim)
            self.position_table = nn.Embedding(config.max_events, config.dim)
            self.norm = nn.LayerNorm(config.dim)
            self.dropout = ByteDropout(config.dropout)
            self.layers = nn.ModuleList(_layer(config) for _ in range(config.num_layers))
            self.empty = nn.Parameter(torch.zeros(config.dim))
            self._start(config.init_std)
        self.augment = augment

    def _start(self, std: float) -> None:
        """Small normal weights everywhere; biases zero, norms at one."""
        for name, weight in self.named_parameters():
            if weight.dim() > 1:
                nn.init.normal_(weight, std=std)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)

    def forward(self, items: Int[Tensor, "batch slots"]) -> Float[Tensor, "batch slots dim"]:
        """The state after each slot; items oldest first, -1 = padding after the newest."""
        slots = items.shape[1]
        x = self.item_table(items.clamp(min=0)) + self.position_table.weight[:slots]
        x = self.dropout(self.norm(x))
        # Padding comes last, so the causal mask already keeps it from every real slot.
        visible = torch.ones(slots, slots, dtype=torch.bool, device=items.device).tril()
        for layer in self.layers:
            x = layer(x, x, visible.expand(len(items), slots, slots))
        states: Tensor = x
        return states

    def encode(
        self, items: Int[Tensor, "batch slots"], memory: NeighbourMemory | None = None
    ) -> Float[Tensor, "batch dim"]:
        """The state that a history ends in (the learned vector for an empty one), augmented."""
        return self.augmented(self.state(items), memory)

    def augmented(
        self, states: Float[Tensor, "queries dim"], memory: NeighbourMemory | None
    ) -> Float[Tensor, "queries dim"]:
        """The states with what neighbours chose let in; the same ones without an `augment`."""
        if self.augment is None or memory is None:
            return states
        changed: Tensor = self.augment(states, self.vectors(memory), memory)
        return changed

    def vectors(self, memory: NeighbourMemory) -> Float[Tensor, "queries tokens dim"]:
        """The item vectors of a memory's tokens; those of item 0 where there is none."""
        found: Tensor = self.item_table(memory.item.clamp(min=0))
        return found

    def state(self, items: Int[Tensor, "batch slots"]) -> Float[Tensor, "batch dim"]:
        """The state that a history ends in before any augmentation."""
        length = (items >= 0).sum(1)
        if items.shape[1] == 0:
            return self.empty.expand(len(items), -1)
        states = self(items)
        last = states[torch.arange(len(items), device=items.device), (length - 1).clamp(min=0)]
        return torch.where((length > 0).unsqueeze(1), last, self.empty)

    def next_item_losses(
        self,
        items: Int[Tensor, "batch slots"],
        row: Int[Tensor, " targets"],
        slot: Int[Tensor, " targets"],
        target: Int[Tensor, " targets"],
        memory: NeighbourMemory | None = None,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""] | None]:
        """Mean cross-entropy of each target given the state after its (row, slot).

        Beside it the contrast of these states with neighbours, None where there is none.
        """
        states: Tensor = self(items)[row, slot]
        contrast = None
        if self.augment is not None and memory is not None:
            vectors = self.vectors(memory)
            contrast = self.augment.contrast(states, vectors, memory)
            states = self.augment(states, vectors, memory)
        return catalogue_softmax_loss(states, self.item_table.weight, target), contrast

    def first_item_loss(self, share: Float[Tensor, " items"]) -> Float[Tensor, ""]:
        """Cross-entropy of the items users start with; teaches the empty state alone."""
        scores = self.item_table.weight.detach() @ self.empty
        return -(share * F.log_softmax(scores, dim=0)).sum()


def _layer(config: SASRecConfig) -> EncoderLayer:
    # Dropout acts on what the feed-forward layer gives, not inside it.
    inner = FeedForward(config.dim, 0.0, config.inner_dim, gelu=True)
    return EncoderLayer(config.dim, config.num_heads, config.dropout, inner)
