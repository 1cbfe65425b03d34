"""Arms: from a model's name in a grid to something that ranks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sargraph.core.scorer import Scorer
from sargraph.evaluation.baselines.registry import build_baseline
from sargraph.pipeline.grid.config import GridConfig
from sargraph.pipeline.grid.cost import Cost, measured
from sargraph.pipeline.grid.data import DataSet
from sargraph.pipeline.grid.fits import fit_inputs, fit_model
from sargraph.pipeline.grid.kinds import is_seeded, kind_of
from sargraph.pipeline.grid.slate_arms import SLATE_BASELINES
from sargraph.pipeline.grid.store import Store


@dataclass(frozen=True)
class Arm:
    """A scorer, what it cost to get it, and, of a trained model, how the training went."""

    scorer: Scorer
    cost: Cost
    training: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None


def arm_of(config: GridConfig, model: str, seed: int, data: DataSet, store: Store) -> Arm:
    """Build a baseline, or train a model or take it up. Raises what these raise."""
    part = config.models[model]
    kind = kind_of(part.model)
    if kind in ("embedding", "sequence"):
        fitted = fit_model(config, model, seed, data, store)
        return Arm(fitted.scorer, fitted.cost, fitted.training, fitted.path)
    settings = {**part.config, **({"seed": seed} if is_seeded(part.model) else {})}
    build: Callable[..., Scorer] = partial(build_baseline, part.model)
    if kind == "slate":
        build = SLATE_BASELINES.get(part.model)
        settings["slates"] = data.asking.slates()
    scorer, cost = measured(lambda: build(data.events, data.split, **settings))
    return Arm(scorer, cost)


def arm_inputs(config: GridConfig, model: str, seed: int, data: DataSet) -> dict[str, Any]:
    """All that decides the scores of an arm."""
    part = config.models[model]
    if kind_of(part.model) in ("embedding", "sequence"):
        return fit_inputs(config, model, seed, data)
    return {**data.inputs, "model": part.model, "config": part.config, "seed": seed}
