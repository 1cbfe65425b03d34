"""Augmentation: what similar users chose next, as a memory that any sequence model may attend to.

This is the one place that knows continuations. A family asks for the memory of its training targets
once (`TargetMemory`) and of requests when it ranks (`MemoryReader`), and gives its module an
`Augment`, which turns a request's vector and its memory into another vector.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from sargraph.core.errors import BadInputError
from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, BoolArray, IntArray
from sargraph.events.events import Events
from sargraph.events.split import TRAIN, Split
from sargraph.neighbours.continuations import (
    NUM_SLICES,
    ContinuationReader,
    Continuations,
    default_slices,
)
from sargraph.nn.neighbour_attention import NeighbourAttention, NeighbourMemory
from sargraph.nn.neighbour_contrast import neighbour_contrast
from sargraph.sequence.augment_config import AugmentConfig

_KEPT = 300_000
"""Requests whose continuations a reader keeps, so that each epoch's validation finds them again."""


class Augment(nn.Module):
    """The attention to neighbours, and the times of the indices that it was trained with.

    `slices` int64 [11] (see `default_slices`) are weights like any other: a model that is asked
    about other events later still seeks neighbours as of the same times.
    """

    slices: Tensor

    def __init__(self, dim: int, config: AugmentConfig, seed: int = 0) -> None:
        super().__init__()
        self.contrast_weight = config.contrast_weight
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.attention = NeighbourAttention(
                dim, config.max_events, config.gate_start, config.dropout
            )
        self.register_buffer("slices", torch.zeros(NUM_SLICES + 1, dtype=torch.long))

    @classmethod
    def of(cls, config: AugmentConfig | None, dim: int, seed: int) -> Augment | None:
        """The module of a configuration; None without one."""
        return None if config is None else cls(dim, config, seed)

    def keep(self, slices: IntArray) -> None:
        """Keep the times of the indices; the last one fills what is left."""
        filled = np.r_[slices, np.repeat(slices[-1:], NUM_SLICES + 1 - len(slices))]
        self.slices.copy_(torch.from_numpy(filled))

    def forward(
        self,
        z: Float[Tensor, "queries dim"],
        vectors: Float[Tensor, "queries tokens dim"],
        memory: NeighbourMemory,
    ) -> Float[Tensor, "queries dim"]:
        """The request's vector with what its neighbours chose next let in."""
        augmented: Tensor = self.attention(z, vectors, memory)
        return augmented

    def contrast(
        self,
        z: Float[Tensor, "queries dim"],
        vectors: Float[Tensor, "queries tokens dim"],
        memory: NeighbourMemory,
    ) -> Float[Tensor, ""] | None:
        """The contrast of the requests with their first neighbours; None where it has no weight."""
        return neighbour_contrast(z, vectors, memory) if self.contrast_weight else None

    def gates(
        self,
        z: Float[Tensor, "queries dim"],
        vectors: Float[Tensor, "queries tokens dim"],
        memory: NeighbourMemory,
    ) -> Float[Tensor, " queries"]:
        """The mean gate of each request; NaN where it has no token."""
        found = self.attention.read(z, vectors, memory)
        gate = self.attention.gate_of(z, found, memory).mean(1)
        return gate.masked_fill(~memory.valid.any(1), torch.nan)


class TargetMemory:
    """The continuations of training targets, each read once and found by its event row."""

    def __init__(self, event: IntArray, found: Continuations, num_events: int) -> None:
        self._found = found
        self._place = np.full(num_events, NO_ROW, dtype=np.int64)
        self._place[event] = np.arange(len(event))

    @classmethod
    def read(
        cls, events: Events, split: Split, config: AugmentConfig | None, targets: BoolArray
    ) -> TargetMemory | None:
        """The memory of the training choices among `targets` bool [events]; None without a config.

        Each is asked for at its own time, an untimed one at the validation cut and without its
        own item in the history. Cost: one search per target.
        """
        if config is None:
            return None
        known = split.is_train & split.visible
        rows = np.flatnonzero(known & events.is_positive & targets).astype(np.int64)
        is_timed = events.is_timed[rows]
        as_of = np.where(is_timed, events.time[rows], split.as_of(TRAIN))
        no_query = np.full(len(rows), NO_ROW, dtype=np.int64)
        requests = Requests(events.user[rows], no_query, as_of, events.item[rows], rows)
        drop_target = split.twins or not bool(is_timed.all())
        reader = ContinuationReader(events, known, known, config, drop_target=drop_target)
        return cls(rows, reader.read(requests), len(events))

    def at(self, event: IntArray, device: torch.device | str = "cpu") -> NeighbourMemory:
        """The memory of the targets in the given event rows."""
        return memory_of(self._found.take(self._place[event]), device)


class MemoryReader:
    """Reads the memory of requests for a ranker, and keeps what it read last."""

    def __init__(self, reader: ContinuationReader) -> None:
        self._reader = reader
        self._kept: OrderedDict[str, Continuations] = OrderedDict()

    @classmethod
    def of(
        cls,
        config: AugmentConfig | None,
        augment: Augment | None,
        events: Events,
        train: BoolArray | None,
        visible: BoolArray,
        drop_target: bool,
    ) -> MemoryReader | None:
        """The reader of an augmented model; None for a plain one.

        `train` bool [events]: whose events neighbours are read from. Raises BadInputError where an
        augmented model is not told.
        """
        if config is None or augment is None:
            return None
        if train is None:
            raise BadInputError(
                "got an augmented model without the training events that its neighbours come "
                "from; give `train`, such as split.is_train & split.visible"
            )
        slices = np.asarray(augment.slices.cpu().numpy(), dtype=np.int64)
        return cls(
            ContinuationReader(
                events, train, visible, config, drop_target=drop_target, slices=slices
            )
        )

    def read(self, requests: Requests) -> Continuations:
        """The continuations of the requests; those asked for lately are not sought again."""
        key = _key(requests)
        if key not in self._kept:
            self._kept[key] = self._reader.read(requests)
            while sum(map(len, self._kept.values())) > _KEPT and len(self._kept) > 1:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


def start_augment(
    module: nn.Module, config: AugmentConfig | None, events: Events, split: Split
) -> BoolArray | None:
    """Fix the times of the indices, from training events alone, before a model is trained.

    Returns the events that neighbours are read from, bool [events]; None for a plain model.
    """
    if config is None:
        return None
    known = split.is_train & split.visible
    for part in module.modules():
        if isinstance(part, Augment):
            part.keep(default_slices(events, known))
    return known


def memory_of(found: Continuations, device: torch.device | str = "cpu") -> NeighbourMemory:
    """Continuations as tensors, without the last neighbours that no request has."""
    used = 1 + int(np.flatnonzero((found.neighbour != NO_ROW).any(0)).max(initial=NO_ROW))
    item, step = (part[:, :used].reshape(len(found), -1) for part in (found.item, found.step))
    return NeighbourMemory(
        item=torch.from_numpy(item.astype(np.int64)).to(device),
        step=torch.from_numpy(step.astype(np.int64)).to(device),
        similarity=torch.from_numpy(found.similarity[:, :used].copy()).to(device),
        activity=torch.from_numpy(found.activity.astype(np.float32)).to(device),
        neighbour=torch.from_numpy(found.neighbour[:, :used].astype(np.int64)).to(device),
        user=torch.from_numpy(found.user.astype(np.int64)).to(device),
    )


def _key(requests: Requests) -> str:
    digest = hashlib.sha256()
    for column in (requests.user, requests.as_of, requests.target, requests.event):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()
