"""Arms: from a model's name in a grid to something that ranks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from sargraph.pipeline.grid.mixed import mix_models
from sargraph.pipeline.grid.slate_arms import SLATE_BASELINES
from sargraph.pipeline.grid.store import Store
from sargraph.pipeline.questions import TASKS, Task


@dataclass(frozen=True)
class Arm:
    """A scorer, what it cost to get it, and, of a trained model, how the training went.

    `by_task`: scorers that stand in for it in some tasks; `path` and `added`: where the trained
    model lies, and the one whose scores it adds.
    """

    scorer: Scorer
    cost: Cost
    training: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None
    by_task: Mapping[Task, Scorer] = field(default_factory=dict)
    added: Path | None = None

    def scorer_for(self, task: Task) -> Scorer:
        """What answers the requests of a task."""
        return self.by_task.get(task, self.scorer)


def arm_of(
    config: GridConfig,
    model: str,
    seed: int,
    data: DataSet,
    store: Store,
    tasks: Sequence[Task] = TASKS,
) -> Arm:
    """Build a baseline, or train a model or take it up; mix it, in these tasks, with what it adds.

    Raises what these raise.
    """
    own = _arm_alone(config, model, seed, data, store)
    part = config.models[model]
    if not part.add:
        return own
    other = _arm_alone(config, part.add, seed, data, store)
    mixed, cost = measured(lambda: mix_models(config, own.scorer, other.scorer, data, tasks))
    training = {
        **own.training,
        **({"added": other.training} if other.training else {}),
        "added_weight": mixed.weights,
        "added_untuned": list(mixed.untuned),
    }
    total = own.cost + other.cost + cost
    return Arm(own.scorer, total, training, own.path, mixed.by_task, other.path)


def _arm_alone(config: GridConfig, model: str, seed: int, data: DataSet, store: Store) -> Arm:
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
    """All that decides the scores of an arm; the training of a model knows nothing of `added`."""
    part = config.models[model]
    if kind_of(part.model) in ("embedding", "sequence"):
        inputs = fit_inputs(config, model, seed, data)
    else:
        inputs = {**data.inputs, "model": part.model, "config": part.config, "seed": seed}
    if not part.add:
        return inputs
    return {
        **inputs,
        "added": arm_inputs(config, part.add, seed, data),
        "weighed_by": [config.validation_requests, config.validation_candidates],
    }
