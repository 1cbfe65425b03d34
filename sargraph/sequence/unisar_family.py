"""UniSAR as a sequence model: its training settings, losses of both tasks, and ranking."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer

from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Requests
from sargraph.core.types import BoolArray, FloatArray, IntArray
from sargraph.events.events import Events
from sargraph.events.split import Split
from sargraph.neighbours.continuations import Continuations
from sargraph.sequence.augment import Augment, MemoryReader, TargetMemory, memory_of
from sargraph.sequence.batch import TASKS, JointBatch, SequenceData
from sargraph.sequence.histories import BLOCK, HistoryReader, trimmed
from sargraph.sequence.inputs import RequestBatch, Task
from sargraph.sequence.model import SEQUENCE_MODELS, SequenceConfig, SequenceFamily
from sargraph.sequence.unisar import UniSAR
from sargraph.sequence.unisar_config import UniSARConfig
from sargraph.training.optimiser import RowAdam

CELLS = 1 << 15
"""Candidates scored at once; bounds memory (about 4 kB each at the default sizes)."""
_TOKENS_PER_SLOT = 10
"""A token of a neighbour is held four times, a slot of a history forty."""
_FLOATS_PER_SLOT = 40
"""Activations kept for the backward pass, in vectors per event and candidate (measured)."""


class UniSARTraining(SequenceConfig):
    """Settings of UniSAR and of its training."""

    model: UniSARConfig = UniSARConfig()
    """Sizes and choices of the model, history lengths among them."""
    batch_size: int = Field(default=1024, ge=1)
    """Requests per step of the task that has more; the other's batches finish with them."""
    num_negatives: int = Field(default=4, ge=1)
    """Items a user never chose, drawn afresh in each epoch, per request."""
    num_contrast: int = Field(default=1024, ge=1)
    """Random items, and random queries, that a step's query-item contrast is held against."""
    max_clicks: int = Field(default=5, ge=1)
    """Most clicked items that a search of the history brings along."""
    max_terms: int = Field(default=20, ge=1)
    """Most terms of a query's or an item's text; the first ones are kept."""


class UniSARFamily(SequenceFamily):
    """Both tasks are trained together; candidates attend to the history, so ranking is slow."""

    config_class = UniSARTraining

    def build(self, events: Events, config: UniSARTraining, seed: int) -> UniSAR:
        """A fresh UniSAR for the vocabularies and texts of `events`."""
        has_text = len(events.item_terms.values) > 0
        module = UniSAR(
            len(events.users),
            len(events.items),
            len(events.queries),
            len(events.terms),
            config.model,
            query_terms=_padded(events.query_terms, config.max_terms),
            item_terms=_padded(events.item_terms, config.max_terms) if has_text else None,
            seed=seed,
            augment=Augment.of(config.augment, config.model.dim, seed),
        )
        for kind in ("user", "item"):
            # A dense gradient of a large table costs more than the rows that a step needs.
            self.id_tables(module)[kind].sparse = True
        return module

    def data(
        self, events: Events, split: Split, config: UniSARTraining, loss_on: BoolArray | None
    ) -> SequenceData:
        """Requests of both tasks with their histories. Raises DataError without any."""
        sizes = {
            "max_rec": config.model.max_rec,
            "max_search": config.model.max_search,
            "max_clicks": config.max_clicks,
        }
        targets = np.ones(len(events), dtype=np.bool_) if loss_on is None else loss_on
        return SequenceData(
            events, split, **sizes, batch_size=config.batch_size,
            num_negatives=config.num_negatives, num_contrast=config.num_contrast, loss_on=loss_on,
            memory=TargetMemory.read(events, split, config.augment, targets),
        )  # fmt: skip

    def losses(
        self, module: UniSAR, batch: JointBatch, config: UniSARTraining
    ) -> dict[str, Tensor]:
        """Loss of one step over both tasks, and its parts as `<task>_<part>`."""
        return joint_losses(module, batch, config.model.search_weight)

    def optimisers(self, module: nn.Module, config: UniSARTraining) -> list[Optimizer]:
        """Row-wise Adam for the tables of ids and terms, AdamW for all other weights.

        Neither adds a penalty to a gradient, so that weights without a gradient do not move.
        """
        inputs = module.get_submodule("inputs")
        parts = [part for part in inputs.modules() if isinstance(part, nn.Embedding)]
        tables = [weight for part in parts for weight in part.parameters()]
        in_tables = {id(weight) for weight in tables}
        others = [weight for weight in module.parameters() if id(weight) not in in_tables]
        rate, decay = config.learning_rate, config.weight_decay
        return [
            RowAdam(tables, lr=rate, weight_decay=decay),
            torch.optim.AdamW(others, lr=rate, weight_decay=decay),
        ]

    def id_tables(self, module: nn.Module) -> dict[str, nn.Embedding]:
        """The tables of users, items and terms."""
        names = {"user": "user.id_table", "item": "item.id_table", "term": "text.term_table"}
        inputs = module.get_submodule("inputs")
        found = {kind: inputs.get_submodule(name) for kind, name in names.items()}
        return {kind: table for kind, table in found.items() if isinstance(table, nn.Embedding)}

    def with_dim(self, config: UniSARTraining, dim: int) -> UniSARTraining:
        """The settings with `model.id_dim` as wide as the given vectors, unless set by hand."""
        if "id_dim" in config.model.model_fields_set:
            return config
        return config.model_copy(update={"model": config.model.model_copy(update={"id_dim": dim})})

    def ranker(
        self,
        module: UniSAR,
        config: UniSARTraining,
        events: Events,
        visible: BoolArray,
        drop_target: bool,
        train: BoolArray | None = None,
    ) -> JointRanker:
        """Scores candidates against histories of both sources."""
        reader = HistoryReader(
            events,
            visible,
            max_rec=config.model.max_rec,
            max_search=config.model.max_search,
            max_clicks=config.max_clicks,
            drop_target=drop_target,
        )
        memory = MemoryReader.of(
            config.augment, module.augment, events, train, visible, drop_target
        )
        return JointRanker(module, reader, memory)

    def step_bytes(self, events: Events, config: UniSARTraining) -> int:
        """Vectors kept per event of the histories and per candidate, of both tasks."""
        sizes = config.model
        slots = sizes.max_rec + sizes.max_search * (1 + config.max_clicks)
        slots += (1 + config.num_negatives) * sizes.num_experts
        if config.augment is not None:
            slots += config.augment.k * config.augment.max_events // _TOKENS_PER_SLOT
        return 4 * 2 * config.batch_size * slots * sizes.dim * _FLOATS_PER_SLOT


class JointRanker:
    """Ranks by a network that reads a history of both sources for each candidate."""

    def __init__(
        self, module: UniSAR, reader: HistoryReader, memory: MemoryReader | None = None
    ) -> None:
        self.module = module
        self.reader = reader
        self.memory = memory

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Logits of `candidates` [n, c]. Each history is read once per block of candidates."""
        scores = np.full(candidates.shape, -np.inf, dtype=np.float32)
        found = None if self.memory is None else self.memory.read(requests)
        for task in TASKS:
            rows = np.flatnonzero(requests.is_search == (task == "search"))
            for block in _blocks(rows, max(1, CELLS // max(candidates.shape[1], 1))):
                asked = self._asked(requests, found, block)
                scores[block] = self._score(asked, candidates[block], task)
        return scores

    def gates(self, requests: Requests, activity: float | None = None) -> FloatArray:
        """See `Ranker.gates`."""
        gates = np.full(len(requests), np.nan, dtype=np.float32)
        found = None if self.memory is None else self.memory.read(requests)
        for block in _blocks(np.arange(len(requests)), BLOCK):
            asked = self._asked(requests, found, block)
            if asked.memory is not None:
                asked = replace(asked, memory=asked.memory.as_active(activity))
            gates[block] = self.module.gates(asked).cpu().numpy()
        return gates

    def _asked(
        self, requests: Requests, found: Continuations | None, rows: IntArray
    ) -> RequestBatch:
        """Some requests with their histories and memories, and no candidate yet."""
        device = next(self.module.parameters()).device
        some = requests.take(rows)
        histories = self.reader.read(some)
        return RequestBatch(
            history=trimmed(histories.batch(np.arange(len(rows)), device)),
            query=torch.from_numpy(some.query).to(device),
            candidates=torch.empty((len(rows), 0), dtype=torch.long, device=device),
            memory=None if found is None else memory_of(found.take(rows), device),
        )

    def _score(self, asked: RequestBatch, candidates: IntArray, task: Task) -> FloatArray:
        parts = []
        for part in torch.from_numpy(candidates).to(asked.query.device).split(CELLS, dim=1):
            batch = replace(asked, candidates=part)
            parts.append(self.module.logits(batch, task).cpu())
        return np.asarray(torch.cat(parts, dim=1).numpy(), dtype=np.float32)


def joint_losses(module: UniSAR, batch: JointBatch, search_weight: float) -> dict[str, Tensor]:
    """Loss of one step over both tasks, and its parts as `<task>_<part>`."""
    weights = {"search": search_weight, "recommend": 1.0}
    totals: list[Tensor] = []
    parts: dict[str, Tensor] = {}
    for task, requests in batch.tasks.items():
        losses = module.losses(requests, task, batch.negative_items, batch.negative_queries)
        totals.append(weights[task] * losses.total)
        named = {name: part for name, part in vars(losses).items() if part is not None}
        parts |= {f"{task}_{name}": part for name, part in named.items() if name != "total"}
    return {"loss": torch.stack(totals).sum(), **parts}


def _padded(texts: Ragged, max_terms: int) -> Tensor:
    width = min(max_terms, int(texts.lengths.max(initial=1)))
    return torch.from_numpy(texts.to_padded(max(width, 1)))


def _blocks(rows: IntArray, size: int) -> Iterator[IntArray]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


SEQUENCE_MODELS.register("unisar")(UniSARFamily())
