"""Starts: the embeddings a sequence model begins with, and the targets its loss may then have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sargraph.core.artifact import read_manifest
from sargraph.core.scorer import Scorer
from sargraph.core.types import BoolArray
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.init_from import init_embeddings, loss_targets
from sargraph.embedding.train import train
from sargraph.pipeline.grid.config import ModelPart
from sargraph.pipeline.grid.cost import Cost, measured
from sargraph.pipeline.grid.data import DataSet
from sargraph.pipeline.grid.store import COST, Store, locked, read_cost, write_cost
from sargraph.pipeline.grid.trained import training_of


@dataclass(frozen=True)
class Start:
    """Embeddings to start from, the events the loss may ask for (None = all), cost and training."""

    embeddings: Embeddings | None = None
    loss_on: BoolArray | None = None
    cost: Cost = field(default_factory=Cost)
    training: dict[str, Any] = field(default_factory=dict)


def held_back(
    how: str,
    part: ModelPart,
    inputs: dict[str, Any],
    seed: int,
    data: DataSet,
    store: Store,
    *,
    settings: dict[str, Any],
    validate: Callable[[Scorer], float] | None,
    is_short: Callable[[dict[str, Any]], bool],
) -> Start:
    """Embeddings of graphs without the loss's targets (see `init_embeddings`), made once.

    `inputs` are those of the same embedding model on the whole graph; where `is_short` says that
    time cut them short, they are made anew.
    """
    path = store.path("start", {"how": how, "of": inputs})

    def work() -> None:
        init_embeddings(
            data.events, data.split, part.model, settings, how, seed=seed, graph=part.graph,
            train=partial(train, validate=validate),
        ).embeddings.save(path)  # fmt: skip

    def load(path: Path) -> tuple[Embeddings, dict[str, Any]]:
        return Embeddings.load(path), training_of(path, read_manifest(path))

    with locked(path):
        found = store.take(path, load)
        if found is None or is_short(found[1]):
            store.sweep(path)
            _, cost = measured(work)
            write_cost(cost_path(path), cost)
            found = load(path)
    allowed = loss_targets(data.events, data.split, how, seed=seed)
    return Start(found[0], allowed, read_cost(cost_path(path)), found[1])


def cost_path(path: Path) -> Path:
    """The file beside a trained artefact that holds what it cost."""
    return path.with_name(f"{path.name}.{COST}")
