"""The arms of the experiment: real results on Beauty, one request of each of its 22,363 users."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from factors import Factors

from sargraph.core.artifact import hash_of, is_artifact
from sargraph.core.progress import progress
from sargraph.core.scorer import Requests, Scorer
from sargraph.core.types import DoubleArray
from sargraph.evaluation.baselines import Popularity, SourceTerms
from sargraph.evaluation.evaluate import Result, evaluate_scorer
from sargraph.evaluation.judgements import load_results, save_results
from sargraph.evaluation.positives import known_positives
from sargraph.evaluation.protocol import Protocol
from sargraph.events.events import Events
from sargraph.events.ingest import ingest
from sargraph.events.split import TEST, Split, requests_for, split_events

METRIC = "NDCG@10"
NUM_SEEDS = 40
"""Trainings of the model whose seeds are compared."""

_PROTOCOL = Protocol(num_negatives=99)
_FILES = Path(__file__).parent


def arms_on_beauty(folder: Path, num_seeds: int = NUM_SEEDS) -> dict[str, DoubleArray]:
    """User means of NDCG@10, [seeds, users], of each model.

    Results are stored in `folder` under the hash of what they depend on, and taken up again.
    """
    code = [(_FILES / name).read_text(encoding="utf-8") for name in ("arms.py", "factors.py")]
    inputs = {"code": code, "seeds": num_seeds, "protocol": _PROTOCOL.hash}
    path = folder / f"beauty-{hash_of(inputs)[:16]}"
    if not is_artifact(path):
        source = Path(os.environ.get("SARGRAPH_DATA", _FILES / "../../../shared/data"))
        _measure(ingest("amazon_sequences", source / "amazon_beauty"), num_seeds, path)
    found: dict[str, list[DoubleArray]] = {}
    for result in load_results(path):
        found.setdefault(result.model, []).append(result.user_means(METRIC)[1])
    return {model: np.stack(means) for model, means in found.items()}


def _measure(events: Events, num_seeds: int, path: Path) -> None:
    split = split_events(events)
    requests = _all_requests(events, split)
    simple = (Popularity(events, split.is_train), SourceTerms(events, split.is_train))
    results = [_judge(scorer, events, requests) for scorer in simple]
    for seed in progress(list(range(num_seeds)), "training factors"):
        results.append(_judge(Factors(events, split.is_train, seed), events, requests))
    save_results(results, path, parents={"events": events.content_hash})


def _all_requests(events: Events, split: Split) -> Requests:
    """The test requests of both sources."""
    parts = [requests_for(events, split, TEST, task) for task in ("recommend", "search")]
    names = ("user", "query", "as_of", "target", "event")
    return Requests(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _judge(scorer: Scorer, events: Events, requests: Requests) -> Result:
    known = known_positives(events)
    return evaluate_scorer(scorer, requests, len(events.items), known=known, protocol=_PROTOCOL)
