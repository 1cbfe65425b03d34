"""The strongest simple answer to a search: the best word-based baseline mixed with ItemKNN."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field

from sargraph.core.config import Config
from sargraph.core.scorer import Scorer
from sargraph.evaluation.baselines.bm25 import BM25
from sargraph.evaluation.baselines.item_knn import ItemKNN
from sargraph.evaluation.baselines.mix import Mix, spread, tune_mix
from sargraph.evaluation.baselines.most_clicked import MostClicked
from sargraph.evaluation.baselines.term_lexical import TermLexical
from sargraph.evaluation.baselines.term_match import TermMatch
from sargraph.evaluation.protocol import Protocol
from sargraph.evaluation.validation import validation_ndcg
from sargraph.events.events import Events
from sargraph.events.split import Split

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
        full = {"candidates": "full", "part": "valid", "max_requests": config.max_requests}
        protocol = Protocol.model_validate({**full, "seed": config.seed})
        validate = validation_ndcg(events, split, ["search"], protocol)
    best = max(first, key=validate) if validate else first[0]
    spreads = (
        spread(best, events, split, "search", config.seed),
        spread(second, events, split, "search", config.seed),
    )
    if validate is None:
        return Mix(best, second, UNTUNED_WEIGHT, spreads)
    return tune_mix(best, second, spreads, validate)
