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
from sargraph.sequence.model import (
    Ranker,
    SequenceConfig,
    SequenceFamily,
    device_of,
    sequence_family,
)

KIND = "sequence-model"
TIMING = "timing.json"
"""The story of the training with its seconds, which do not count in the content hash."""


@dataclass(eq=False)
class SequenceModel:
    """A sequence model that ranks: it reads the histories of requests from `events` itself.

    Only `visible` events strictly older than a request's `as_of` are read; with `drop_target` none
    on the target item. An augmented model reads its neighbours from the events `train` bool [n].
    `history` and `fitted` tell of the training, `init_report` per table how many ids the given
    embeddings knew, `parents` the hashes of events and embeddings.
    """

    name: str
    module: nn.Module
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
    train: BoolArray | None = None

    @cached_property
    def ranker(self) -> Ranker:
        """The network bound to the events."""
        family = sequence_family(self.name)
        return family.ranker(
            self.module, self.config, self.events, self.visible, self.drop_target, self.train
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
        with _evaluating(self.module), torch.inference_mode():
            return self.ranker.score(requests, candidates)

    def gates(self, requests: Requests, activity: float | None = None) -> FloatArray:
        """Mean gate of the augmentation of each request, float32 [n]; NaN without a neighbour.

        `activity` is taken for that of all requests, where given.
        """
        with _evaluating(self.module), torch.inference_mode():
            return self.ranker.gates(requests, activity)

    def with_training(self, history: list[dict[str, Any]], fitted: dict[str, Any]) -> SequenceModel:
        """The model with the story of its training."""
        return replace(self, history=history, fitted=fitted)

    def save(self, path: Path | str) -> SequenceModel:
        """Write the artefact; returns the model with its content hash."""
        about = {
            "model": self.name,
            "training": self.config.model_dump(mode="json"),
            "drop_target": self.drop_target,
            "fitted": _without_times(self.fitted),
            "init_report": self.init_report,
        }
        weights = {name: value.cpu().numpy() for name, value in self.module.state_dict().items()}
        timing = {"training": self.fitted, "epochs": self.history}
        with writing(
            path, KIND, config=about, seed=self.seed, parents=self.parents, beside=[TIMING]
        ) as folder:
            write_tensors(folder / "weights.safetensors", weights)
            read = {} if self.train is None else {"train": self.train}
            write_columns(folder / "visible.parquet", {"visible": self.visible, **read})
            for kind, vocabulary in self.events.vocabularies.items():
                vocabulary.save(folder / f"{kind}.parquet")
            _write_json(folder / "history.json", [_without_times(entry) for entry in self.history])
            _write_json(folder / TIMING, timing)
        return replace(self, content_hash=read_manifest(path, verify=False).content_hash)

    @staticmethod
    def load(
        path: Path | str, events: Events, split: Split | None = None, *, device: str = "auto"
    ) -> SequenceModel:
        """Read the artefact and bind it to `events`, whose histories it will read.

        Without `split` the events must be those of the training, and what was hidden then stays
        hidden. Raises ArtifactError for other events without a split, and for events whose ids
        have other rows than in training.
        """
        manifest, folder = read_manifest(path, KIND), Path(path)
        _check_ids(folder, events)
        about = manifest.config
        family = sequence_family(about["model"])
        config = family.parse(about["training"])
        module = family.build(events, config, manifest.seed or 0)
        weights = read_tensors(folder / "weights.safetensors")
        try:
            module.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise ArtifactError(f"{folder} does not fit these events ({reason})") from None
        module.to(device_of(device)).eval()
        timing = json.loads((folder / TIMING).read_text(encoding="utf-8"))
        read = _read_by(split) if split else _read_then(folder, manifest, events)
        return bind(
            family,
            name=about["model"],
            module=module,
            config=config,
            events=events,
            visible=read["visible"],
            train=None if config.augment is None else read["train"],
            drop_target=split.twins if split else about["drop_target"],
            seed=manifest.seed or 0,
            history=timing["epochs"],
            fitted=timing["training"],
            init_report=about["init_report"],
            parents=manifest.parents,
            content_hash=manifest.content_hash,
        )


class VectorSequenceModel(SequenceModel):
    """A sequence model whose requests are vectors: a `VectorScorer`."""

    def encode(self, requests: Requests) -> FloatArray:
        """One vector per request, float32 [n, dim]."""
        with _evaluating(self.module), torch.inference_mode():
            vectors: FloatArray = self._vectors.encode(requests)
        return vectors

    def item_vectors(self) -> FloatArray:
        """One vector per item, float32 [items, dim]."""
        vectors: FloatArray = self._vectors.item_vectors()
        return vectors

    @property
    def _vectors(self) -> Any:
        return self.ranker


def bind(family: SequenceFamily, **fields: Any) -> SequenceModel:
    """The kind of `SequenceModel` that the family's ranker allows."""
    kind = VectorSequenceModel if family.has_vectors else SequenceModel
    return kind(**fields)


def _without_times(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if not name.endswith("seconds")}


def _write_json(path: Path, found: Any) -> None:
    path.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _check_ids(folder: Path, events: Events) -> None:
    for kind in VOCABULARIES:
        known = Vocabulary.load(folder / f"{kind}.parquet")
        if known.ids != events.vocabularies[kind].ids:
            raise ArtifactError(
                f"the {kind} ids of the events ({len(events.vocabularies[kind])}) are not those "
                f"of {folder} ({len(known)}); give the events it was fitted on"
            )


def _read_by(split: Split) -> dict[str, BoolArray]:
    """The events that a model may read: in histories, and of neighbours."""
    return {"visible": split.visible, "train": split.is_train & split.visible}


def _read_then(folder: Path, manifest: Manifest, events: Events) -> dict[str, BoolArray]:
    """The same as they were when the model was fitted. Raises ArtifactError for other events."""
    columns = read_columns(folder / "visible.parquet")
    read = {name: column.astype(np.bool_) for name, column in columns.items()}
    trained_on = manifest.parents.get("events", "")
    other = trained_on and events.content_hash and trained_on != events.content_hash
    if other or len(read["visible"]) != len(events):
        raise ArtifactError(
            f"{folder} was fitted on other events; give their split, so that it is known which "
            "of the events may be seen"
        )
    return read


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Turn dropout off inside this block."""
    was_training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was_training)
