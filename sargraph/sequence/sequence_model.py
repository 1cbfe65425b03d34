"""`SequenceModel`: a trained sequence model with the events whose histories it reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sargraph.core.artifact import Manifest, read_manifest, writing
from sargraph.core.errors import ArtifactError, BadInputError
from sargraph.core.scorer import Requests
from sargraph.core.table import read_columns, read_tensors, write_columns, write_tensors
from sargraph.core.types import BoolArray, FloatArray, IntArray
from sargraph.events.events import VOCABULARIES, Events
from sargraph.events.split import Split
from sargraph.events.vocabulary import Vocabulary
from sargraph.sequence.batch import TASKS
from sargraph.sequence.histories import HistoryReader, trimmed
from sargraph.sequence.inputs import RequestBatch, Task
from sargraph.sequence.model import (
    SEQUENCE_MODELS,
    SequenceConfig,
    device_of,
    parse_sequence_config,
)
from sargraph.sequence.unisar import UniSAR

KIND = "sequence-model"
CELLS = 1 << 15
"""Candidates scored at once; bounds memory (about 4 kB each at the default sizes)."""


@dataclass(eq=False)
class SequenceModel:
    """A sequence model that ranks: it reads the histories of requests from `events` itself.

    Only `visible` events strictly older than a request's `as_of` are read; with `drop_target` none
    on the target item. `history` and `fitted` tell of the training, `init_report` per table how
    many ids the given embeddings knew, `parents` the hashes of events and embeddings.
    """

    name: str
    module: UniSAR
    config: SequenceConfig
    events: Events
    visible: BoolArray
    drop_target: bool = False
    seed: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    fitted: dict[str, Any] = field(default_factory=dict)
    init_report: dict[str, dict[str, int]] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    content_hash: str = ""

    @cached_property
    def reader(self) -> HistoryReader:
        """Reads the histories of requests."""
        return HistoryReader(
            self.events,
            self.visible,
            max_rec=self.config.model.max_rec,
            max_search=self.config.model.max_search,
            max_clicks=self.config.max_clicks,
            drop_target=self.drop_target,
        )

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Logits of `candidates` [n, c], float32 [n, c]; -inf for a missing candidate (-1).

        Raises BadInputError for candidates outside the catalogue.
        Cost: each history is read once per block of candidates; memory is bounded.
        """
        highest = int(candidates.max(initial=-1))
        if highest >= len(self.events.items):
            raise BadInputError(
                f"got candidate {highest}, expected item rows below {len(self.events.items)}"
            )
        scores = np.full(candidates.shape, -np.inf, dtype=np.float32)
        with _evaluating(self.module), torch.inference_mode():
            for task in TASKS:
                rows = np.flatnonzero(requests.is_search == (task == "search"))
                for block in _blocks(rows, max(1, CELLS // max(candidates.shape[1], 1))):
                    scores[block] = self._score(requests.take(block), candidates[block], task)
        return scores

    def _score(self, requests: Requests, candidates: IntArray, task: Task) -> FloatArray:
        device = next(self.module.parameters()).device
        histories = self.reader.read(requests)
        history = trimmed(histories.batch(np.arange(len(requests)), device))
        query = torch.from_numpy(requests.query).to(device)
        parts = []
        for part in torch.from_numpy(candidates).to(device).split(CELLS, dim=1):
            batch = RequestBatch(history=history, query=query, candidates=part)
            parts.append(self.module.logits(batch, task).cpu())
        return np.asarray(torch.cat(parts, dim=1).numpy(), dtype=np.float32)

    def save(self, path: Path | str) -> SequenceModel:
        """Write the artefact; returns the model with its content hash."""
        about = {
            "model": self.name,
            "training": self.config.model_dump(mode="json"),
            "drop_target": self.drop_target,
            "fitted": self.fitted,
            "init_report": self.init_report,
        }
        weights = {name: value.cpu().numpy() for name, value in self.module.state_dict().items()}
        with writing(path, KIND, config=about, seed=self.seed, parents=self.parents) as folder:
            write_tensors(folder / "weights.safetensors", weights)
            write_columns(folder / "visible.parquet", {"visible": self.visible})
            for kind, vocabulary in self.events.vocabularies.items():
                vocabulary.save(folder / f"{kind}.parquet")
            history = json.dumps(self.history, indent=2, sort_keys=True)
            (folder / "history.json").write_text(history + "\n", encoding="utf-8")
        return replace(self, content_hash=read_manifest(path, verify=False).content_hash)

    @classmethod
    def load(
        cls, path: Path | str, events: Events, split: Split | None = None, *, device: str = "auto"
    ) -> SequenceModel:
        """Read the artefact and bind it to `events`, whose histories it will read.

        Without `split` the events must be those of the training, and what was hidden then stays
        hidden. Raises ArtifactError for other events without a split, and for events whose ids
        have other rows than in training.
        """
        manifest, folder = read_manifest(path, KIND), Path(path)
        _check_ids(folder, events)
        about = manifest.config
        config = parse_sequence_config(about["training"])
        module = SEQUENCE_MODELS.get(about["model"])(events, config, manifest.seed or 0)
        weights = read_tensors(folder / "weights.safetensors")
        try:
            module.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise ArtifactError(f"{folder} does not fit these events ({reason})") from None
        module.to(device_of(device)).eval()
        return cls(
            name=about["model"],
            module=module,
            config=config,
            events=events,
            visible=split.visible if split else _visible_then(folder, manifest, events),
            drop_target=split.twins if split else about["drop_target"],
            seed=manifest.seed or 0,
            history=json.loads((folder / "history.json").read_text(encoding="utf-8")),
            fitted=about["fitted"],
            init_report=about["init_report"],
            parents=manifest.parents,
            content_hash=manifest.content_hash,
        )


def _check_ids(folder: Path, events: Events) -> None:
    for kind in VOCABULARIES:
        known = Vocabulary.load(folder / f"{kind}.parquet")
        if known.ids != events.vocabularies[kind].ids:
            raise ArtifactError(
                f"the {kind} ids of the events ({len(events.vocabularies[kind])}) are not those "
                f"of {folder} ({len(known)}); give the events it was fitted on"
            )


def _visible_then(folder: Path, manifest: Manifest, events: Events) -> BoolArray:
    visible = read_columns(folder / "visible.parquet")["visible"].astype(np.bool_)
    trained_on = manifest.parents.get("events", "")
    other = trained_on and events.content_hash and trained_on != events.content_hash
    if other or len(visible) != len(events):
        raise ArtifactError(
            f"{folder} was fitted on other events; give their split, so that it is known which "
            "of the events may be seen"
        )
    return visible


def _blocks(rows: IntArray, size: int) -> Iterator[IntArray]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Turn dropout off inside this block."""
    was_training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was_training)
