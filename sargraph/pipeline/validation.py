"""The validation that the settings of a run or of a grid ask for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from sargraph.core.scorer import Scorer
from sargraph.evaluation.protocol import Protocol
from sargraph.evaluation.validation import validation_ndcg
from sargraph.events.events import Events
from sargraph.events.split import Split
from sargraph.pipeline.config import EvaluateStage
from sargraph.pipeline.questions import TASKS, Task

log = logging.getLogger("sargraph")


def validator(
    events: Events,
    split: Split,
    settings: EvaluateStage,
    seed: int,
    tasks: Sequence[Task] = TASKS,
) -> Callable[[Scorer], float] | None:
    """A function that judges a scorer on validation, for early stopping; see `validation_ndcg`.

    A seeded choice of `validation_requests` per task is fixed once, for all arms, each ranked
    among sampled negatives or in the whole catalogue as the settings say. None where validation
    holds no request of the tasks: then nothing can be stopped early, and the last weights stay.
    """
    is_full = settings.validation_candidates == "full"
    protocol = Protocol(
        name="validation", part="valid", candidates=settings.validation_candidates,
        num_negatives=99 if is_full else settings.num_negatives, num_bootstrap=100,
        max_requests=settings.validation_requests, seed=seed,
    )  # fmt: skip
    found = validation_ndcg(events, split, tasks, protocol)
    if found is None:
        log.warning(
            "no validation request of %s: nothing is stopped or chosen by it", " or ".join(tasks)
        )
    return found
