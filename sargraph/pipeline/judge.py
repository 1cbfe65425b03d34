"""Judge: any scorers on a data set's held-out choices, the simple baselines beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from sargraph.core.progress import quiet
from sargraph.core.scorer import Requests, Scorer
from sargraph.core.types import FloatArray, IntArray
from sargraph.evaluation.baselines import Popularity, TermLexical, TermMatch
from sargraph.evaluation.evaluate import Result, evaluate_scorer
from sargraph.evaluation.positives import known_positives, seen_items
from sargraph.evaluation.protocol import Protocol
from sargraph.evaluation.report import Report
from sargraph.evaluation.slices import history_lengths, history_slices, new_interests
from sargraph.events.events import Events
from sargraph.events.split import TEST, VALID, Split, requests_for, split_events
from sargraph.pipeline.config import EvaluateStage

Task = Literal["search", "recommend"]
TASKS: tuple[Task, ...] = ("recommend", "search")

_NOTES = {
    "typed": "query texts are typed tags, not searches",
    "derived": "derived queries: each is made from its target's attributes",
    "simulated": "simulated data: the effects in it were planted",
}


def evaluate(
    models: Scorer | Sequence[Scorer],
    events: Events,
    split: Split | None = None,
    *,
    settings: EvaluateStage | None = None,
    seed: int = 0,
    search_models: Sequence[Scorer] = (),
    title: str = "Report",
) -> Report:
    """Judge models on the test part of both sources, popularity and p(item | term) beside them.

    Every arm answers the same requests with the same candidates: the target among sampled
    negatives for all requests, and among the whole catalogue (with and without seen items) for a
    seeded choice. `search_models` are judged on search requests only. Without `split` the data
    set's own is used.
    """
    split = split or split_events(events, seed=seed)
    settings = settings or EvaluateStage()
    given = [models] if isinstance(models, Scorer) else list(models)
    results: list[Result] = []
    for task in TASKS:
        requests = requests_for(events, split, TEST, task)
        if len(requests):
            own = search_models if task == "search" else ()
            arms = [Remembered(arm) for arm in (*baselines(events, split, task), *given, *own)]
            results += _judge_task(arms, requests, events, split, settings, seed)
    return Report.from_results(
        results,
        baseline="popularity",
        title=title,
        notes=[_NOTES[events.query_kind]] if events.query_kind in _NOTES else [],
        min_requests=settings.min_requests,
        min_users=settings.min_users,
        parents={"events": events.content_hash} if events.content_hash else {},
    )


def baselines(events: Events, split: Split, task: Task) -> list[Scorer]:
    """The simple answers of a task: popularity; in search also p(item | term) and term match."""
    popularity = Popularity(events, split.is_train, task)
    if task == "recommend":
        return [popularity]
    return [popularity, TermLexical(events, split.is_train), TermMatch(events, split.is_train)]


def protocols(settings: EvaluateStage, seed: int) -> list[Protocol]:
    """Among sampled negatives, and in the whole catalogue with and without seen items."""
    shared: dict[str, Any] = {"seed": seed, "order_known": settings.order_known}
    found = [Protocol(num_negatives=settings.num_negatives, **shared)]
    if settings.max_requests:
        full = {"candidates": "full", "max_requests": settings.max_requests, **shared}
        found += [Protocol.model_validate({**full, "remove_seen": gone}) for gone in (False, True)]
    return found


def validator(
    events: Events, split: Split, settings: EvaluateStage, seed: int
) -> Callable[[Scorer], float]:
    """A function that judges a scorer on validation: mean NDCG@10 of the two tasks, 1 + 99.

    A seeded choice of `validation_requests` per task is fixed once, for all arms.
    """
    protocol = Protocol(
        name="validation", num_negatives=settings.num_negatives, num_bootstrap=100,
        max_requests=settings.validation_requests, seed=seed,
    )  # fmt: skip
    known = known_positives(events)
    asked = [requests_for(events, split, VALID, task) for task in TASKS]

    def validate(scorer: Scorer) -> float:
        with quiet():
            scores = [
                evaluate_scorer(
                    scorer, requests, len(events.items), known=known, protocol=protocol
                ).mean("NDCG@10")
                for requests in asked
                if len(requests)
            ]
        return float(np.mean(scores)) if scores else 0.0

    return validate


class Remembered:
    """A scorer that keeps its answers, so that a second protocol on the same candidates is free.

    Memory: the scores of one full ranking, `max_requests` x items.
    """

    def __init__(self, scorer: Scorer) -> None:
        self.name = scorer.name
        self._scorer = scorer
        self._answers: dict[bytes, FloatArray] = {}

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """The scores of the wrapped scorer."""
        if candidates.strides[0] != 0:  # sampled candidates are asked for once
            return self._scorer.score(requests, candidates)
        key = requests.event.tobytes() + candidates[0].tobytes()
        if key not in self._answers:
            self._answers[key] = self._scorer.score(requests, candidates)
        return self._answers[key]


class Named:
    """A scorer under another name, so that two arms of one model can be told apart."""

    def __init__(self, name: str, scorer: Scorer) -> None:
        self.name = name
        self.score = scorer.score


def _judge_task(
    arms: Sequence[Scorer],
    requests: Requests,
    events: Events,
    split: Split,
    settings: EvaluateStage,
    seed: int,
) -> list[Result]:
    known, seen = known_positives(events), seen_items(events, split.is_train)
    slices = history_slices(history_lengths(events, split.visible & events.is_positive, requests))
    slices["new interest"] = new_interests(events, split.visible, requests)
    popularity = Popularity(events, split.is_train).counts
    return [
        evaluate_scorer(
            arm, requests, len(events.items), known=known, seen=seen, protocol=protocol,
            popularity=popularity, slices=slices,
        )
        for arm in arms
        for protocol in protocols(settings, seed)
    ]  # fmt: skip
