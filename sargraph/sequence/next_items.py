"""Training data for next-item models: windows of each user's choices and what followed them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sargraph.core.errors import DataError
from sargraph.core.types import NO_ROW, Array, BoolArray, IntArray
from sargraph.events.events import Events
from sargraph.events.split import Split
from sargraph.nn.neighbour_attention import NeighbourMemory
from sargraph.sequence.augment import TargetMemory

_SORTED_TOGETHER = 32
"""Batches' worth of windows that are sorted by length together: little padding, much mixing."""


@dataclass(frozen=True)
class NextItemBatch:
    """Some windows, and for each target the (row, slot) after which it came.

    `items` holds item rows, oldest first, -1 = padding; only real positions have targets, so the
    loss sees no padding. `first_share` is the share of each item among the choices that users
    start with. `event` holds the event rows of the targets, `memory` what their neighbours chose
    (None for a plain model).
    """

    items: Int[Tensor, "batch slots"]
    row: Int[Tensor, " targets"]
    slot: Int[Tensor, " targets"]
    target: Int[Tensor, " targets"]
    first_share: Float[Tensor, " items"]
    event: Int[Tensor, " targets"]
    memory: NeighbourMemory | None = None


class NextItemData:
    """Every training choice as a target of the choices strictly before it.

    A user's choices are ordered by time. A target is asked after the last choice that is strictly
    older, so that choices of one moment never see each other. Choices without a time come first;
    they have no order, so each epoch draws one afresh and a target among them follows those drawn
    before it. A history longer than `max_events` is cut into windows that hold each target once.
    `memory` is that of the targets, for an augmented model.
    Where the split has twins a choice whose item the user chose before is no target, as such a pair
    stands in no history at prediction time. `seen` and `loss_on` bool [events] limit the choices
    that are read, and those that are targets.

    Choices that follow nothing teach the empty history. They count whatever `loss_on` says: they
    tell what users start with, of no user in particular, and a loss on later choices alone would
    leave the empty history untaught.

    `counts` tells how many choices are targets, first ones and left out as repeated. Raises
    DataError where no choice follows another.
    """

    def __init__(
        self,
        events: Events,
        split: Split,
        *,
        max_events: int,
        batch_size: int,
        seen: BoolArray | None = None,
        loss_on: BoolArray | None = None,
        memory: TargetMemory | None = None,
    ) -> None:
        self._memory = memory
        chosen = events.is_positive & split.is_train & split.visible
        if seen is not None:
            chosen &= seen
        self.max_events, self.batch_size = max_events, batch_size
        self._rows = np.flatnonzero(chosen).astype(np.int64)
        self._user, self._item = events.user[self._rows], events.item[self._rows]
        self._time = events.time[self._rows]
        self._is_timed = events.is_timed[self._rows]
        self._drop = split.twins
        allowed = np.ones(len(events), dtype=np.bool_) if loss_on is None else loss_on
        self._allowed = allowed[self._rows]
        epoch = self._epoch(np.random.default_rng(0))
        self.counts = epoch.counts
        if not len(epoch.target):
            raise DataError(
                "got no choice that follows another choice of its user in training; give events "
                "with longer histories, or another split"
            )
        first = np.bincount(self._item[epoch.first], minlength=len(events.items))
        self._first_share = torch.from_numpy((first / max(first.sum(), 1)).astype(np.float32))

    def batches(
        self, generator: torch.Generator, device: torch.device | str = "cpu"
    ) -> Iterator[NextItemBatch]:
        """One epoch: each target once, windows of like length together, batches in random order."""
        rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
        epoch = self._epoch(rng)
        groups = _groups(epoch.window_lengths, epoch.targets_per_window, self.batch_size, rng)
        for place in rng.permutation(len(groups)):
            yield self._batch(epoch, groups[place], device)

    def _batch(self, epoch: _Epoch, windows: IntArray, device: torch.device | str) -> NextItemBatch:
        width = int(epoch.window_lengths[windows].max())
        slots = np.arange(width)
        inside = slots < epoch.window_lengths[windows, None]
        places = np.where(inside, epoch.window_starts[windows, None] + slots, 0)
        items = np.where(inside, self._item[epoch.order[places]], NO_ROW)
        count = epoch.targets_per_window[windows]
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        chosen = np.repeat(epoch.first_target[windows], count) + within
        row = np.repeat(np.arange(len(windows)), count)
        slot = epoch.after[chosen] - epoch.window_starts[windows][row]
        target = epoch.target[chosen]
        event = self._rows[target]
        return NextItemBatch(
            items=_tensor(items, device),
            row=_tensor(row, device),
            slot=_tensor(slot, device),
            target=_tensor(self._item[target], device),
            first_share=self._first_share.to(device),
            event=_tensor(event, device),
            memory=None if self._memory is None else self._memory.at(event, device),
        )

    def _epoch(self, rng: np.random.Generator) -> _Epoch:
        """Order the choices (untimed ones at random), find where each is asked, cut windows."""
        order = self._order(rng)
        user, item = self._user[order], self._item[order]
        after = self._asked_after(order)
        is_new = _first_of_pair(user, item) if self._drop else np.ones(len(order), dtype=np.bool_)
        allowed = self._allowed[order]
        is_target = (after != NO_ROW) & allowed & is_new
        counts = {
            "targets": int(is_target.sum()),
            "first": int((after == NO_ROW).sum()),
            "repeated": int((allowed & ~is_new).sum()),
        }
        places = np.flatnonzero(is_target)
        places = places[np.argsort(after[places], kind="stable")]
        first = order[after == NO_ROW]
        return _cut(order, user, after[places], order[places], first, self.max_events, counts)

    def _order(self, rng: np.random.Generator) -> IntArray:
        """Places of the choices by (user, time), untimed ones first and shuffled."""
        if self._is_timed.all():
            return np.arange(len(self._rows), dtype=np.int64)
        draw = np.where(self._is_timed, 0.0, rng.random(len(self._rows)))
        key = np.where(self._is_timed, self._time, np.iinfo(np.int64).min)
        return np.lexsort((draw, key, self._user)).astype(np.int64)

    def _asked_after(self, order: IntArray) -> IntArray:
        """For each ordered choice the place of the last strictly older one of its user, or -1."""
        user, time, timed = self._user[order], self._time[order], self._is_timed[order]
        if not len(order):
            return np.empty(0, dtype=np.int64)
        same_user = np.r_[False, user[1:] == user[:-1]]
        # Untimed choices follow each other in the drawn order; timed ones of one moment do not.
        same_time = np.r_[False, (time[1:] == time[:-1]) & timed[1:]]
        starts_moment = ~(same_user & same_time)
        start = np.maximum.accumulate(np.where(starts_moment, np.arange(len(order)), 0))
        return np.where(same_user[start], start - 1, NO_ROW).astype(np.int64)


@dataclass(frozen=True)
class _Epoch:
    """Ordered choices, their targets (sorted by where they are asked), and windows over both."""

    order: IntArray  # place among the choices, by (user, time)
    after: IntArray  # per target: the place in `order` it is asked after
    target: IntArray  # per target: the choice itself
    first: IntArray  # choices that follow nothing
    window_starts: IntArray
    window_lengths: IntArray
    first_target: IntArray  # per window: its first target
    targets_per_window: IntArray
    counts: dict[str, int]


def _cut(
    order: IntArray,
    user: IntArray,
    after: IntArray,
    target: IntArray,
    first: IntArray,
    max_events: int,
    counts: dict[str, int],
) -> _Epoch:
    """Windows of at most `max_events` places, counted from each user's last one."""
    size = np.bincount(user, minlength=1)
    ends = np.cumsum(size)
    # The last window of a user is full; the earliest holds what is left over.
    from_end = ends[user[after]] - 1 - after
    number = from_end // max_events
    key = user[after] * (int(size.max(initial=1)) // max_events + 2) - number
    starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]]) if len(after) else after
    last_place = ends[user[after[starts]]] - number[starts] * max_events
    first_place = np.maximum(last_place - max_events, (ends - size)[user[after[starts]]])
    per_window = np.diff(np.r_[starts, len(after)])
    # What comes after the window's last target is nothing to learn from.
    last_asked = after[starts + per_window - 1] if len(starts) else starts
    lengths = last_asked - first_place + 1
    return _Epoch(order, after, target, first, first_place, lengths, starts, per_window, counts)


def _first_of_pair(user: IntArray, item: IntArray) -> BoolArray:
    """True for the first choice of each (user, item) pair, in the given order."""
    pair = user * (int(item.max(initial=0)) + 1) + item
    _, first = np.unique(pair, return_index=True)
    is_first = np.zeros(len(user), dtype=np.bool_)
    is_first[first] = True
    return is_first


def _groups(
    lengths: IntArray, targets: IntArray, batch_size: int, rng: np.random.Generator
) -> list[Array]:
    """Windows in batches of some `batch_size` targets, of like length within a batch."""
    shuffled = rng.permutation(len(lengths))
    share = np.cumsum(targets[shuffled]) // (batch_size * _SORTED_TOGETHER)
    ordered = shuffled[np.lexsort((lengths[shuffled], share))]
    number = (np.cumsum(targets[ordered]) - 1) // batch_size
    return np.split(ordered, np.flatnonzero(np.diff(number)) + 1)


def _tensor(array: Array, device: torch.device | str) -> Tensor:
    return torch.from_numpy(np.asarray(array, dtype=np.int64)).to(device)
