"""The strongest simple answer to a search: the best word-based baseline mixed with ItemKNN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import Field

from sargraph.core.config import Config
from sargraph.core.progress import quiet
from sargraph.core.scorer import Scorer
from sargraph.evaluation.baselines.bm25 import BM25
from sargraph.evaluation.baselines.item_knn import ItemKNN
from sargraph.evaluation.baselines.mix import Mix, spread, tune_mix
from sargraph.evaluation.baselines.most_clicked import MostClicked
from sargraph.evaluation.baselines.term_lexical import TermLexical
from sargraph.evaluation.baselines.term_match import TermMatch
from sargraph.evaluation.evaluate import evaluate_scorer
from sargraph.evaluation.positives import chosen_until_validation
from sargraph.evaluation.protocol import Protocol
from sargraph.events.events import Events
from sargraph.events.split import VALID, Split, requests_for

UNTUNED_WEIGHT = 0.5


class BestMixConfig(Config):
    """Settings of the mix of the best search baseline with ItemKNN."""

    max_requests: int = Field(500, ge=1)
    """Validation requests, a seeded choice, that pick the baseline and the weight."""
    seed: int = 0
    """Fixes the requests and the sample behind the spreads."""


def best_mix(
    events: Events,
    split: Split,
    config: BestMixConfig | None = None,
    validate: Callable[[Scorer], float] | None = None,
) -> Mix:
    """The search baseline that `validate` likes best, mixed with ItemKNN by the best weight.

    `validate` (higher is better) is by default mean NDCG@10 over the whole catalogue on validation
    searches. Without a validation search nothing can be chosen: then it is BM25, in equal parts.
    """
    config = config or BestMixConfig()
    first: list[Scorer] = [
        cls(events, split.is_train) for cls in (BM25, TermMatch, TermLexical, MostClicked)
    ]
    second = ItemKNN(events, split)
    if validate is None:
        validate = validation_ndcg(events, split, "search", config.max_requests, config.seed)
    best = max(first, key=validate) if validate else first[0]
    spreads = (
        spread(best, events, split, "search", config.seed),
        spread(second, events, split, "search", config.seed),
    )
    if validate is None:
        return Mix(best, second, UNTUNED_WEIGHT, spreads)
    return tune_mix(best, second, spreads, validate)


def validation_ndcg(
    events: Events, split: Split, task: Literal["search", "recommend"], max_requests: int, seed: int
) -> Callable[[Scorer], float] | None:
    """Mean NDCG@10 of a scorer over the whole catalogue on validation requests; None without any.

    At most `max_requests` of them, drawn by the seed: the same ones for every scorer.
    """
    requests = requests_for(events, split, VALID, task)
    if len(requests) == 0:
        return None
    known = chosen_until_validation(events, split)
    protocol = Protocol(candidates="full", part="valid", max_requests=max_requests, seed=seed)

    def validate(scorer: Scorer) -> float:
        with quiet():
            found = evaluate_scorer(
                scorer, requests, len(events.items), known=known, protocol=protocol
            )
        return found.mean("NDCG@10")

    return validate
