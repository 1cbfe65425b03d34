"""Two models of a grid as one: their scores added with a weight learned on validation."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from sargraph.core.scorer import Scorer
from sargraph.evaluation.baselines.best_mix import UNTUNED_WEIGHT
from sargraph.evaluation.baselines.mix import Mix, spread, tune_mix
from sargraph.pipeline.grid.config import GridConfig
from sargraph.pipeline.grid.data import DataSet
from sargraph.pipeline.grid.fits import validator_for
from sargraph.pipeline.questions import Remembered, Task

log = logging.getLogger("sargraph")
_SEED = 0
"""Of the validation requests and of the sample behind the spreads: the same for every cell."""


@dataclass(frozen=True)
class Mixed:
    """The mix of each task; `untuned` are the tasks without a validation request."""

    by_task: dict[Task, Mix] = field(default_factory=dict)
    untuned: tuple[Task, ...] = ()

    @property
    def weights(self) -> dict[str, float]:
        """The weight of the second model in each task; the first has the rest."""
        return {task: mix.weight for task, mix in self.by_task.items()}


def mix_models(
    config: GridConfig, first: Scorer, second: Scorer, data: DataSet, tasks: Sequence[Task]
) -> Mixed:
    """For each task the mix (see `Mix`) with the weight that is best on its validation requests.

    Each scorer counts in units of its spread over training requests of the task. The weight, one
    of 0, 0.1, ..., 1, has the highest mean NDCG@10 on the grid's validation requests of the task,
    and of equal ones it is the lowest; nothing of the test part is read. Tasks have weights of
    their own, because a model may know one of them well and the other not at all. Without a
    validation request both models count the same. Cost: both scorers' answers to the validation
    requests, once.
    """
    by_task: dict[Task, Mix] = {}
    untuned: list[Task] = []
    for task in tasks:
        spreads = (
            spread(first, data.events, data.split, task, _SEED),
            spread(second, data.events, data.split, task, _SEED),
        )
        weight = _tuned(config, first, second, spreads, data, task)
        if weight is None:
            untuned.append(task)
            weight = UNTUNED_WEIGHT
        by_task[task] = Mix(first, second, weight, spreads)
        log.info("%s, %s: weight %g", by_task[task].name, task, weight)
    return Mixed(by_task, tuple(untuned))


def _tuned(
    config: GridConfig,
    first: Scorer,
    second: Scorer,
    spreads: tuple[float, float],
    data: DataSet,
    task: Task,
) -> float | None:
    validate = validator_for(config, data, [task])
    if validate is None:
        return None
    # Every weight is tried on the same requests and candidates: each model answers them once.
    ours, theirs = (Remembered(scorer, of_lists=True) for scorer in (first, second))
    return tune_mix(ours, theirs, spreads, validate).weight
