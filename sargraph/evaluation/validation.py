"""Validation: one figure to stop and to choose by, from training and validation alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from sargraph.core.progress import quiet
from sargraph.core.scorer import Scorer
from sargraph.evaluation.evaluate import evaluate_scorer
from sargraph.evaluation.positives import chosen_until_validation
from sargraph.evaluation.protocol import Protocol
from sargraph.events.events import Events
from sargraph.events.split import VALID, Split, requests_for


def validation_ndcg(
    events: Events,
    split: Split,
    tasks: Sequence[Literal["search", "recommend"]],
    protocol: Protocol,
) -> Callable[[Scorer], float] | None:
    """A function that judges a scorer on validation requests: mean NDCG@10, then over the tasks.

    The requests and candidates of the protocol are the same ones for every scorer. Nothing of the
    test part is read: negatives avoid what the user chose in training and validation. None where
    validation holds no request of the tasks.
    """
    found = [requests_for(events, split, VALID, task) for task in tasks]
    asked = [requests for requests in found if len(requests)]
    if not asked:
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
