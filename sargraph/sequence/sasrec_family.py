"""SASRec as a sequence model: full-softmax training on packed positions, ranking by vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer

from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, BoolArray, FloatArray, IntArray
from sargraph.events.events import Events
from sargraph.events.history import HistoryIndex
from sargraph.events.split import Split
from sargraph.nn.catalogue_softmax import BLOCK_CELLS
from sargraph.nn.neighbour_attention import NeighbourMemory
from sargraph.sequence.augment import Augment, MemoryReader, TargetMemory, memory_of
from sargraph.sequence.model import SEQUENCE_MODELS, SequenceConfig, SequenceFamily
from sargraph.sequence.next_items import NextItemBatch, NextItemData
from sargraph.sequence.sasrec import SASRec, SASRecConfig

_ENCODED_AT_ONCE = 1024
"""Histories encoded at once."""
_CELLS = 1 << 16
"""Candidates whose vectors are gathered at once."""
_VECTORS_PER_TOKEN = 4
"""Vectors held per token of a neighbour: itself, its gradient in parts, its row's gradient."""
_VECTORS_PER_SLOT = 24
"""Activations kept for the backward pass per slot and layer, in vectors."""


class SASRecTraining(SequenceConfig):
    """Settings of SASRec and of its training."""

    model: SASRecConfig = SASRecConfig()
    """Sizes of the model."""
    batch_size: int = Field(default=512, ge=1)
    """Targets per step; windows of like length go together."""
    source: Literal["both", "recommend"] = "both"
    """Whose choices form the sequence: those of both sources, or of recommendation alone."""


class SASRecFamily(SequenceFamily):
    """Reads what was chosen, not what was typed: a search is answered as a recommendation."""

    config_class = SASRecTraining
    has_vectors = True

    def build(self, events: Events, config: SASRecTraining, seed: int) -> SASRec:
        """A fresh SASRec over the catalogue of `events`."""
        augment = Augment.of(config.augment, config.model.dim, seed)
        return SASRec(len(events.items), config.model, seed, augment)

    def data(
        self, events: Events, split: Split, config: SASRecTraining, loss_on: BoolArray | None
    ) -> NextItemData:
        """Windows of each user's choices. Raises DataError where nothing follows anything."""
        part = events.is_recommend if config.source == "recommend" else np.ones(len(events), bool)
        allowed = part if loss_on is None else part & loss_on
        return NextItemData(
            events, split, max_events=config.model.max_events, batch_size=config.batch_size,
            seen=part, loss_on=allowed,
            memory=TargetMemory.read(events, split, config.augment, allowed),
        )  # fmt: skip

    def losses(
        self, module: SASRec, batch: NextItemBatch, config: SASRecTraining
    ) -> dict[str, Tensor]:
        """Next-item cross-entropy, the one that teaches the empty history, and any contrast."""
        following, contrast = module.next_item_losses(
            batch.items, batch.row, batch.slot, batch.target, batch.memory
        )
        first = module.first_item_loss(batch.first_share)
        parts = {"next_item": following, "first_item": first}
        if contrast is None or config.augment is None:
            return {"loss": following + first, **parts}
        total = following + first + config.augment.contrast_weight * contrast
        return {"loss": total, **parts, "neighbour": contrast}

    def optimisers(self, module: nn.Module, config: SASRecTraining) -> list[Optimizer]:
        """One AdamW: with the whole catalogue in the softmax every row moves in every step."""
        rate, decay = config.learning_rate, config.weight_decay
        return [torch.optim.AdamW(module.parameters(), lr=rate, weight_decay=decay)]

    def id_tables(self, module: nn.Module) -> dict[str, nn.Embedding]:
        """The item table."""
        table = module.get_submodule("item_table")
        assert isinstance(table, nn.Embedding)
        return {"item": table}

    def with_dim(self, config: SASRecTraining, dim: int) -> SASRecTraining:
        """The settings with `model.dim` as wide as the given vectors, unless set by hand."""
        if "dim" in config.model.model_fields_set:
            return config
        sizes = SASRecConfig.model_validate({**config.model.model_dump(), "dim": dim})
        return config.model_copy(update={"model": sizes})

    def ranker(
        self,
        module: SASRec,
        config: SASRecTraining,
        events: Events,
        visible: BoolArray,
        drop_target: bool,
        train: BoolArray | None = None,
    ) -> NextItemRanker:
        """Ranks the catalogue by the state that a history ends in."""
        memory = MemoryReader.of(
            config.augment, module.augment, events, train, visible, drop_target
        )
        return NextItemRanker(module, config, events, visible, drop_target, memory)

    def step_bytes(self, events: Events, config: SASRecTraining) -> int:
        """Activations of the layers, a block of scores, gradient of the item table, tokens."""
        sizes = config.model
        slots = 2 * max(config.batch_size, sizes.max_events)
        layers = slots * sizes.num_layers * (_VECTORS_PER_SLOT * sizes.dim + 4 * sizes.inner_dim)
        attention = 4 * slots * sizes.max_events * sizes.num_heads * sizes.num_layers
        tokens = 0
        if config.augment is not None:
            tokens = config.augment.k * config.augment.max_events * config.batch_size
        catalogue = BLOCK_CELLS + 2 * len(events.items) * sizes.dim
        return 4 * (layers + attention + catalogue + _VECTORS_PER_TOKEN * tokens * sizes.dim)


class NextItemRanker:
    """A `VectorScorer`: <state of the history, item vector>."""

    name = "sasrec"

    def __init__(
        self,
        module: SASRec,
        config: SASRecTraining,
        events: Events,
        visible: BoolArray,
        drop_target: bool,
        memory: MemoryReader | None = None,
    ) -> None:
        self.module, self._memory = module, memory
        self._source: Literal["recommend"] | None = (
            "recommend" if config.source == "recommend" else None
        )
        self._max_events = config.model.max_events
        self._drop_target = drop_target
        self._history = HistoryIndex(events, visible)
        self._item = events.item

    def encode(self, requests: Requests) -> FloatArray:
        """The state of each request's history, float32 [n, dim]."""
        states = np.empty((len(requests), self.module.config.dim), dtype=np.float32)
        for rows, items, memory in self._blocks(requests):
            states[rows] = self.module.encode(items, memory).cpu().numpy()
        return states

    def gates(self, requests: Requests, activity: float | None = None) -> FloatArray:
        """See `Ranker.gates`."""
        found = np.full(len(requests), np.nan, dtype=np.float32)
        for rows, items, memory in self._blocks(requests):
            if memory is not None and self.module.augment is not None:
                memory = memory.as_active(activity)
                state, vectors = self.module.state(items), self.module.vectors(memory)
                found[rows] = self.module.augment.gates(state, vectors, memory).cpu().numpy()
        return found

    def _blocks(
        self, requests: Requests
    ) -> Iterator[tuple[IntArray, Tensor, NeighbourMemory | None]]:
        """(requests, items of their histories, their memory), some at a time."""
        histories = self._histories(requests)
        lengths = (histories != NO_ROW).sum(axis=1)
        order = np.argsort(lengths, kind="stable")  # like lengths together: little padding
        device = self.module.item_table.weight.device
        found = None if self._memory is None else self._memory.read(requests)
        for start in range(0, len(order), _ENCODED_AT_ONCE):
            rows = order[start : start + _ENCODED_AT_ONCE]
            items = histories[rows, : int(lengths[rows].max())]
            memory = None if found is None else memory_of(found.take(rows), device)
            yield rows, torch.from_numpy(items).to(device), memory

    def item_vectors(self) -> FloatArray:
        """The item table, float32 [items, dim]."""
        vectors: FloatArray = self.module.item_table.weight.detach().cpu().numpy()
        return vectors

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Logits of `candidates` [n, c], float32 [n, c]; -inf for a missing candidate (-1)."""
        states, items = self.encode(requests), self.item_vectors()
        if candidates.shape[0] and candidates.strides[0] == 0:  # one order for all requests
            scores = states @ items[candidates[0]].T
        else:
            scores = np.empty(candidates.shape, dtype=np.float32)
            height = max(1, _CELLS // max(candidates.shape[1], 1))
            for start in range(0, len(scores), height):
                rows = slice(start, start + height)
                scores[rows] = np.einsum("nd,ncd->nc", states[rows], items[candidates[rows]])
        return np.where(candidates == NO_ROW, -np.inf, scores).astype(np.float32)

    def _histories(self, requests: Requests) -> IntArray:
        rows = self._history.before(
            requests, self._max_events, source=self._source, drop_target=self._drop_target
        ).to_padded(self._max_events)
        return np.where(rows == NO_ROW, NO_ROW, self._item[rows])


SEQUENCE_MODELS.register("sasrec")(SASRecFamily())
