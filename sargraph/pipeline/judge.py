"""Judge: any scorers on a data set's held-out choices, the simple baselines beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sargraph.core.errors import BadInputError
from sargraph.core.scorer import Scorer
from sargraph.evaluation.baselines.registry import baselines_for, build_baseline
from sargraph.evaluation.evaluate import Result
from sargraph.evaluation.protocol import Protocol
from sargraph.evaluation.report import Report
from sargraph.events.events import Events
from sargraph.events.split import TEST, Split, requests_for, require_split, split_events
from sargraph.pipeline.config import EvaluateStage
from sargraph.pipeline.questions import TASKS, Asking, Task, parents_of, remembered
from sargraph.pipeline.strongest import against_strongest

FAST_BYTES = 5e8
"""EASE stands beside every figure where it takes at most so much memory (6,400 items), some ten
seconds; a grid of cells has it at any size."""

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
    """Judge models on the test part of both sources, the simple baselines beside them.

    Every arm answers the same requests with the same candidates: the target among sampled
    negatives for all requests, and among the whole catalogue (with and without seen items) for a
    seeded choice; derived queries also among the items of exactly the target's terms, which no
    match of words can tell apart. `search_models` are judged on search requests only. Without
    `split` the data set's own is used. The mix of words and item neighbours is tuned on validation.
    The verdicts hold every model against the strongest simple answer of its task and protocol.

    Raises BadInputError for a model that was fitted on another split of these events, and where
    the split holds no choice out for test.
    """
    split = split or split_events(events)
    settings = settings or EvaluateStage()
    given = [models] if isinstance(models, Scorer) else list(models)
    for model in (*given, *search_models):
        require_split(model.name, parents_of(model), events, split)
    asking, notes = Asking(events, split), query_notes(events)
    results: list[Result] = []
    names: dict[Task, list[str]] = {}
    for task in TASKS:
        if not len(requests_for(events, split, TEST, task)):
            continue
        own = search_models if task == "search" else ()
        simple, left_out = baselines(events, split, task)
        notes += left_out
        names[task] = [arm.name for arm in simple]
        judged_by = [p for p in protocols_of(settings, seed, events) if p.what in ("both", task)]
        results += _answers((*simple, *given, *own), task, asking, judged_by)
    if not results:
        raise BadInputError(
            f"got a split of '{events.name}' without test requests, expected choices held out for "
            "test; raise test_share, or give logs with longer histories"
        )
    report = Report.from_results(
        results,
        title=title,
        notes=list(dict.fromkeys(notes)),
        min_requests=settings.min_requests,
        min_users=settings.min_users,
        parents={"events": events.content_hash} if events.content_hash else {},
    )
    return against_strongest(report, names)


def _answers(
    arms: Sequence[Scorer], task: Task, asking: Asking, judged_by: Sequence[Protocol]
) -> list[Result]:
    """Every arm's answers to the questions of a task, protocol by protocol."""
    return [
        asking.questions(task, protocol).judge(scorer, protocol)
        for scorer in map(remembered, arms)
        for protocol in judged_by
    ]


def query_notes(events: Events) -> list[str]:
    """What a reader must know of the query texts."""
    return [_NOTES[events.query_kind]] if events.query_kind in _NOTES else []


def baselines(events: Events, split: Split, task: Task) -> tuple[list[Scorer], list[str]]:
    """The simple answers of a task, and a line for each that this data set does not get."""
    special: dict[str, dict[str, Any]] = {
        "popularity": {"source": task},
        "ease": {"max_memory": FAST_BYTES},
    }
    built: list[Scorer] = []
    left_out: list[str] = []
    for name in baselines_for(task):
        try:
            built.append(build_baseline(name, events, split, **special.get(name, {})))
        except BadInputError as error:
            left_out.append(f"left out: {error}")
    return built, left_out


def protocols(settings: EvaluateStage, seed: int) -> list[Protocol]:
    """Among sampled negatives, and in the whole catalogue with and without seen items."""
    shared: dict[str, Any] = {"seed": seed, "order_known": settings.order_known}
    found = [Protocol(num_negatives=settings.num_negatives, **shared)]
    if settings.max_requests:
        full = {"candidates": "full", "max_requests": settings.max_requests, **shared}
        found += [Protocol.model_validate({**full, "remove_seen": gone}) for gone in (False, True)]
    return found


def protocols_of(settings: EvaluateStage, seed: int, events: Events) -> list[Protocol]:
    """All that `evaluate` judges by; derived queries are also ranked within their ties."""
    found = protocols(settings, seed)
    if events.query_kind == "derived":
        within = {"candidates": "within_tie", "what": "search", "seed": seed}
        found.append(Protocol.model_validate({**within, "order_known": settings.order_known}))
    return found
