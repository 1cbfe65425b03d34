"""Facts of a grid that outlive its cells and data: what was judged, and what it took."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sargraph.events.describing import sections
from sargraph.events.identifiability import identifiability
from sargraph.events.transitions import transitions_of
from sargraph.pipeline.grid.cells import Judged
from sargraph.pipeline.grid.config import GridConfig
from sargraph.pipeline.grid.cost import Cost
from sargraph.pipeline.grid.data import DataSet
from sargraph.pipeline.grid.trained import time_note

QUERY_KINDS = {
    "real": "real searches",
    "typed": "typed text, not searches",
    "derived": "derived queries",
    "simulated": "simulated",
    "none": "no queries",
}
"""Kinds of query texts, whose tables are kept apart."""


@dataclass(frozen=True)
class CellFacts:
    """One cell: what it is, what it took, how its training went, whether it was made now."""

    data: str
    model: str
    label: str
    seed: int
    cost: Cost
    epochs: str
    is_new: bool
    note: str
    model_path: Path | None


@dataclass(frozen=True)
class DataFacts:
    """One data set: where its events lie, its hash, kind of queries, sizes and what it decides."""

    name: str
    path: Path
    content_hash: str
    query_kind: str
    sizes: dict[str, int]
    split: dict[str, int]
    split_settings: dict[str, Any]
    decisions: tuple[str, ...]

    def about(self) -> dict[str, Any]:
        """The data set in named values: hash, sizes and split."""
        settings = {key: value for key, value in self.split_settings.items() if value is not None}
        return {
            "data set": self.name,
            "events hash": self.content_hash,
            "queries are": QUERY_KINDS[self.query_kind],
            **self.sizes,
            "split": settings,
            "parts of the split": self.split,
        }

    def kind(self, task: str) -> str:
        """What kind of requests a task's are; they are never averaged with another kind's."""
        if task == "search" or self.query_kind == "simulated":
            return QUERY_KINDS[self.query_kind]
        return "real choices"


def facts_of_cell(config: GridConfig, judged: Judged) -> CellFacts:
    """What stays of a finished cell beside its results."""
    cell, training = judged.cell, judged.training
    limit = config.seconds(cell.model)
    note = time_note(training)
    if not note and judged.cost.cpu > limit:
        note = f"took {judged.cost.cpu / 60:.1f} of {limit / 60:g} processor minutes"
    note = "; ".join(filter(None, [note, _added_note(config, cell.model, training)]))
    return CellFacts(
        data=cell.data,
        model=cell.model,
        label=config.label(cell.model),
        seed=cell.seed,
        cost=judged.cost,
        epochs=_epochs(training),
        is_new=judged.is_new,
        note=note,
        model_path=judged.model_path,
    )


def facts_of_data(data: DataSet) -> DataFacts:
    """What stays of a data set when its memory is given back. Cost: that of `transitions_of`."""
    events = data.events
    found = sections.decisions(identifiability(events, transitions_of(events)))
    return DataFacts(
        name=data.name,
        path=data.path,
        content_hash=data.content_hash,
        query_kind=events.query_kind,
        sizes={
            "events": len(events),
            "users": len(events.users),
            "items": len(events.items),
            "queries": len(events.queries),
        },
        split=dict(data.split.fates),
        split_settings=dict(data.inputs["split"]),
        decisions=found.sentences,
    )


def _added_note(config: GridConfig, model: str, training: dict[str, Any]) -> str:
    """With what weight another model's scores were added; empty where none were."""
    weights = training.get("added_weight", {})
    if not weights:
        return ""
    untuned = training.get("added_untuned", [])
    texts = (
        f"{weight:g} in {task}{' (no validation request)' if task in untuned else ''}"
        for task, weight in weights.items()
    )
    return f"weight of {config.label(config.models[model].add)}: {', '.join(texts)}"


def _epochs(training: dict[str, object]) -> str:
    if "epochs" not in training:
        return ""
    return f"{training.get('epochs')}, best {training.get('best_epoch')}"
