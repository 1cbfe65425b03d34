"""Transitions inside a history that mixes search and recommendation events.

An event may be read in four ways: a recommendation after searches (src2rec), a search after
recommendations (rec2src), and each among its own kind (rec2rec, src2src).
Source: UniSAR (SIGIR 2024, arXiv 2404.09520).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from sargraph.nn.attention import DecoderLayer, EncoderLayer


@dataclass(frozen=True)
class Events:
    """The events of one source: vectors, place in the merged order, and which slots are filled."""

    vectors: Float[Tensor, "batch slots dim"]
    rank: Int[Tensor, "batch slots"]
    valid: Bool[Tensor, "batch slots"]


@dataclass(frozen=True)
class Transitions:
    """The four readings; values in empty slots mean nothing."""

    src2rec: Float[Tensor, "batch rec dim"]
    rec2src: Float[Tensor, "batch search dim"]
    rec2rec: Float[Tensor, "batch rec dim"]
    src2src: Float[Tensor, "batch search dim"]


def visible_within(events: Events, causal: bool) -> Bool[Tensor, "batch queries slots"]:
    """Mask of the events of one source that an event of the same source sees.

    Causal: events of strictly smaller rank, and itself; otherwise every filled slot.
    """
    if not causal:
        return events.valid.unsqueeze(1)
    earlier = events.rank.unsqueeze(1) < events.rank.unsqueeze(2)
    itself = torch.eye(events.rank.shape[1], dtype=torch.bool, device=earlier.device)
    return (earlier | itself) & events.valid.unsqueeze(1)


def visible_across(of: Events, to: Events, causal: bool) -> Bool[Tensor, "batch queries slots"]:
    """Mask of the events of `of` that each event of the other source `to` sees.

    Causal: events of strictly smaller rank, so that events of one moment never see each other.
    """
    if not causal:
        return of.valid.unsqueeze(1)
    return (of.rank.unsqueeze(1) < to.rank.unsqueeze(2)) & of.valid.unsqueeze(1)


class TransitionEncoder(nn.Module):
    """Extract the four transitions of a merged history.

    G = Enc_g(x + P_g; keys of the other type only), split by type into src2rec and rec2src;
    R = Enc_r(x_rec + P_r) is rec2rec; S = Enc_s(x_src + P_s) is src2src. P_g is indexed by the
    rank in the merged order, P_r and P_s by the slot. The type mask splits Enc_g exactly into two
    cross-attentions with shared weights: rec * search scores instead of (rec + search)^2.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        num_layers: int,
        max_rec: int,
        max_search: int,
        dropout: float = 0.0,
        causal: bool = True,
    ) -> None:
        super().__init__()
        self.causal = causal
        self.merged_position = nn.Embedding(max_rec + max_search, dim)
        self.rec_position = nn.Embedding(max_rec, dim)
        self.search_position = nn.Embedding(max_search, dim)
        self.merged_layers, self.rec_layers, self.search_layers = (
            nn.ModuleList(EncoderLayer(dim, num_heads, dropout) for _ in range(num_layers))
            for _ in range(3)
        )

    def forward(self, rec: Events, search: Events) -> Transitions:
        """Read the recommendation and search events of each history in the four ways."""
        src2rec, rec2src = self._across(rec, search)
        return Transitions(
            src2rec=src2rec,
            rec2src=rec2src,
            rec2rec=self._within(rec, self.rec_position, self.rec_layers),
            src2src=self._within(search, self.search_position, self.search_layers),
        )

    def _across(self, rec: Events, search: Events) -> tuple[Tensor, Tensor]:
        to_rec = visible_across(of=search, to=rec, causal=self.causal)
        to_search = visible_across(of=rec, to=search, causal=self.causal)
        x, y = self._placed(rec), self._placed(search)
        for layer in self.merged_layers:
            x, y = layer(x, y, to_rec), layer(y, x, to_search)
        return x, y

    def _placed(self, events: Events) -> Tensor:
        rank = events.rank.masked_fill(~events.valid, 0)
        position: Tensor = self.merged_position(rank)
        return events.vectors + position

    def _within(self, events: Events, position: nn.Embedding, layers: nn.ModuleList) -> Tensor:
        x = events.vectors + position.weight[: events.vectors.shape[1]]
        visible = visible_within(events, self.causal)
        for layer in layers:
            x = layer(x, x, visible)
        return x


class TransitionFusion(nn.Module):
    """Fuse what crossed over from the other source into the readings of each source.

    F_r = Dec_r(target rec2rec, memory src2rec), F_s = Dec_s(target src2src, memory rec2src).
    """

    def __init__(
        self, dim: int, num_heads: int, num_layers: int, dropout: float = 0.0, causal: bool = True
    ) -> None:
        super().__init__()
        self.causal = causal
        self.rec_layers, self.search_layers = (
            nn.ModuleList(DecoderLayer(dim, num_heads, dropout) for _ in range(num_layers))
            for _ in range(2)
        )

    def forward(
        self, transitions: Transitions, rec: Events, search: Events
    ) -> tuple[Float[Tensor, "batch rec dim"], Float[Tensor, "batch search dim"]]:
        """The fused states of the recommendation and of the search events."""
        x, seen = transitions.rec2rec, visible_within(rec, self.causal)
        for layer in self.rec_layers:
            x = layer(x, transitions.src2rec, seen)
        y, seen = transitions.src2src, visible_within(search, self.causal)
        for layer in self.search_layers:
            y = layer(y, transitions.rec2src, seen)
        return x, y
