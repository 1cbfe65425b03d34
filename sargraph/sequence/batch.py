"""Training data of a sequence model: what every user chose, and batches of both tasks together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from sargraph.core.errors import DataError
from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, BoolArray, IntArray
from sargraph.embedding.negatives import FreeItems
from sargraph.events.events import Events
from sargraph.events.split import TRAIN, Split, requests_for
from sargraph.sequence.augment import TargetMemory
from sargraph.sequence.histories import Histories, HistoryReader, trimmed
from sargraph.sequence.inputs import RequestBatch, Task

TASKS: tuple[Task, ...] = get_args(Task)


@dataclass(frozen=True)
class TaskData:
    """The training requests of one task, each with its history as it was at that time.

    `memory` is that of the requests' events, for an augmented model.
    """

    requests: Requests
    histories: Histories
    memory: TargetMemory | None = None

    def __len__(self) -> int:
        return len(self.requests)

    def batch(
        self,
        rows: IntArray,
        negatives: Int[Tensor, "batch negatives"],
        device: torch.device | str = "cpu",
    ) -> RequestBatch:
        """Some requests, the chosen item in column 0 and the negatives after it."""
        target = torch.from_numpy(self.requests.target[rows])
        event = self.requests.event[rows]
        return RequestBatch(
            history=trimmed(self.histories.batch(rows, device)),
            query=torch.from_numpy(self.requests.query[rows]).to(device),
            candidates=torch.cat([target.unsqueeze(1), negatives], dim=1).to(device),
            memory=None if self.memory is None else self.memory.at(event, device),
        )


@dataclass(frozen=True)
class JointBatch:
    """One step: a batch of each task that has requests left, and negatives for contrasts."""

    tasks: dict[Task, RequestBatch]
    negative_items: Int[Tensor, " negative_items"]
    negative_queries: Int[Tensor, " negative_queries"]


class SequenceData:
    """Everything to train on: what users chose in training events, and their histories then.

    A request is made from every training event that chose an item; its history holds training
    events strictly before it, without its own search. An untimed event is asked for at the
    validation cut; where there is one, as where the split says so, the target's (user, item) pair
    is left out of the history altogether. Negatives are never a training choice of the user.
    `loss_on` bool [events] limits the events that requests are made from, not the histories;
    `memory` is that of these events, for an augmented model.
    Raises DataError when no training event chose an item.
    """

    def __init__(
        self,
        events: Events,
        split: Split,
        *,
        max_rec: int = 20,
        max_search: int = 20,
        max_clicks: int = 5,
        batch_size: int = 1024,
        num_negatives: int = 4,
        num_contrast: int = 1024,
        loss_on: BoolArray | None = None,
        memory: TargetMemory | None = None,
    ) -> None:
        self.batch_size, self.num_negatives = batch_size, num_negatives
        self.num_contrast = num_contrast
        self.num_items, self.num_queries = len(events.items), len(events.queries)
        chosen = np.flatnonzero(events.is_positive & split.is_train)
        reader = HistoryReader(
            events,
            split.visible & split.is_train,
            max_rec=max_rec,
            max_search=max_search,
            max_clicks=max_clicks,
            drop_target=split.twins or not bool(events.is_timed[chosen].all()),
        )
        requests = {task: _asked(events, split, task, loss_on) for task in TASKS}
        self.tasks = {t: TaskData(r, reader.read(r), memory) for t, r in requests.items() if len(r)}
        if not self.tasks:
            raise DataError("no training event chose an item; give other events or another split")
        self.counts = {str(task): len(data) for task, data in self.tasks.items()}
        user, item = torch.from_numpy(events.user[chosen]), torch.from_numpy(events.item[chosen])
        self._free = FreeItems.build(user, item, len(events.users), self.num_items)

    @property
    def num_steps(self) -> int:
        """Steps in an epoch: enough that no task's batch is larger than `batch_size`."""
        return max(-(-len(data) // self.batch_size) for data in self.tasks.values())

    def batches(
        self, generator: torch.Generator, device: torch.device | str = "cpu"
    ) -> Iterator[JointBatch]:
        """One epoch: every request once, in random order, with fresh negatives.

        Each task is cut into equally many even batches, so that all finish together.
        """
        orders = {
            task: torch.randperm(len(data), generator=generator).tensor_split(self.num_steps)
            for task, data in self.tasks.items()
        }
        for step in range(self.num_steps):
            tasks: dict[Task, RequestBatch] = {}
            for task, data in self.tasks.items():
                rows = orders[task][step].numpy()
                if len(rows):
                    negatives = self.negatives(data.requests.user[rows], generator)
                    tasks[task] = data.batch(rows, negatives, device)
            items, queries = (
                self._contrast(size, generator).to(device)
                for size in (self.num_items, self.num_queries)
            )
            yield JointBatch(tasks, items, queries)

    def negatives(
        self, user: IntArray, generator: torch.Generator
    ) -> Int[Tensor, "batch negatives"]:
        """Items the user never chose in training, uniform; -1 for a user who chose them all."""
        users = torch.from_numpy(np.repeat(user, self.num_negatives))
        free = self._free.any_for(users)
        drawn = torch.full((len(users),), NO_ROW, dtype=torch.long)
        drawn[free] = self._free.draw(users[free], generator)
        return drawn.view(len(user), self.num_negatives)

    def _contrast(self, num_rows: int, generator: torch.Generator) -> Tensor:
        """Uniform rows; none where there is nothing to draw from."""
        size = self.num_contrast if num_rows else 0
        return torch.randint(max(num_rows, 1), (size,), generator=generator)


def _asked(events: Events, split: Split, task: Task, loss_on: BoolArray | None) -> Requests:
    """The training requests of a task, of the events that `loss_on` allows."""
    requests = requests_for(events, split, TRAIN, task)
    return requests if loss_on is None else requests.take(np.flatnonzero(loss_on[requests.event]))
