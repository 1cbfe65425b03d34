"""Validation: one figure that early stopping looks at, from training and validation alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np

from sargraph.core.progress import quiet
from sargraph.core.scorer import Scorer
from sargraph.evaluation.evaluate import evaluate_scorer
from sargraph.evaluation.positives import chosen_until_validation
from sargraph.evaluation.protocol import Protocol
from sargraph.events.events import Events
from sargraph.events.split import VALID, Split, requests_for
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
    """A function that judges a scorer on validation: mean NDCG@10 over the tasks.

    A seeded choice of `validation_requests` per task is fixed once, for all arms, each ranked
    among sampled negatives or in the whole catalogue as the settings say. Nothing of the test part
    is read: negatives avoid what the user chose in training and validation. None where validation
    holds no request of the tasks: then nothing can be stopped early, and the last weights stay.
    """
    is_full = settings.validation_candidates == "full"
    protocol = Protocol(
        name="validation", part="valid", candidates=settings.validation_candidates,
        num_negatives=99 if is_full else settings.num_negatives, num_bootstrap=100,
        max_requests=settings.validation_requests, seed=seed,
    )  # fmt: skip
    found = [requests_for(events, split, VALID, task) for task in tasks]
    asked = [requests for requests in found if len(requests)]
    if not asked:
        log.warning("no validation request of %s: trained to the end", " or ".join(tasks))
        return None
    known = chosen_until_validation(events, split)

    def validate(scorer: Scorer) -> float:
        with quiet():
            scores = [
                evaluate_scorer(
                    scorer, requests, len(events.items), known=known, protocol=protocol
                ).mean("NDCG@10")
                for requests in asked
            ]
        return float(np.mean(scores))

    return validate
