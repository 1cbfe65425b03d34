"""All baselines by name, and which of them stand beside every figure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from pydantic import Field

from sargraph.core.config import Config, parse_config
from sargraph.core.registry import Registry
from sargraph.core.scorer import Scorer
from sargraph.evaluation.baselines.als import ALS, ALSConfig
from sargraph.evaluation.baselines.best_mix import BestMixConfig, best_mix
from sargraph.evaluation.baselines.bm25 import BM25, BM25Config
from sargraph.evaluation.baselines.choices import Source
from sargraph.evaluation.baselines.ease import EASE, EASEConfig
from sargraph.evaluation.baselines.item_knn import ItemKNN, ItemKNNConfig
from sargraph.evaluation.baselines.most_clicked import MostClicked
from sargraph.evaluation.baselines.popularity import Popularity
from sargraph.evaluation.baselines.term_lexical import SourceTerms, TermLexical
from sargraph.evaluation.baselines.term_match import TermMatch
from sargraph.events.events import Events
from sargraph.events.split import Split

Task = Literal["search", "recommend"]
C = TypeVar("C", bound=Config)

BASELINES: Registry[Callable[..., Scorer]] = Registry("baseline")

_BESIDE: dict[Task, tuple[str, ...]] = {
    "recommend": ("popularity", "item_knn", "ease"),
    "search": (
        "popularity",
        "item_given_term",
        "term_match",
        "bm25",
        "most_clicked",
        "mix",
    ),
}


class NoSettings(Config):
    """For baselines without a choice to make."""


class PopularityConfig(Config):
    """Settings of popularity."""

    source: Source = "both"
    """Where the choices are counted."""


class BackoffConfig(Config):
    """Settings of p(item | term)."""

    backoff: float = Field(0.01, gt=0, lt=1)
    """Weight of popularity below the words."""


class TermMatchConfig(Config):
    """Settings of term match."""

    clicked: bool = True
    """An item has the terms of the training queries that led to it, too."""


_CONFIGS: dict[str, type[Config]] = {
    "popularity": PopularityConfig,
    "item_knn": ItemKNNConfig,
    "ease": EASEConfig,
    "als": ALSConfig,
    "bm25": BM25Config,
    "term_match": TermMatchConfig,
    "item_given_term": BackoffConfig,
    "source_terms": BackoffConfig,
    "mix": BestMixConfig,
}


def check_settings(name: str, settings: dict[str, Any]) -> None:
    """Raise ConfigError for an unknown baseline, or settings that it does not have."""
    BASELINES.get(name)
    parse_config(_CONFIGS.get(name, NoSettings), settings, f"baseline '{name}'")


def build_baseline(name: str, events: Events, split: Split, **settings: Any) -> Scorer:
    """Fit the baseline called `name` on the training part of the split.

    `settings` are those of its configuration, such as `k=50` for item_knn. The mix also takes
    `validate`, a function that judges a scorer. Raises ConfigError for an unknown name or setting,
    BadInputError where it does not fit into memory or its library is missing.
    """
    return BASELINES.get(name)(events, split, **settings)


def baselines_for(task: Task) -> tuple[str, ...]:
    """Names of the baselines that stand beside every figure of a task, the simplest first."""
    return _BESIDE[task]


def _parsed(cls: type[C], settings: dict[str, Any], name: str) -> C:
    return parse_config(cls, settings, f"baseline '{name}'")


@BASELINES.register("popularity")
def _popularity(events: Events, split: Split, **settings: Any) -> Scorer:
    config = _parsed(PopularityConfig, settings, "popularity")
    return Popularity(events, split.is_train, config.source)


@BASELINES.register("item_knn")
def _item_knn(events: Events, split: Split, **settings: Any) -> Scorer:
    return ItemKNN(events, split, _parsed(ItemKNNConfig, settings, "item_knn"))


@BASELINES.register("ease")
def _ease(events: Events, split: Split, **settings: Any) -> Scorer:
    return EASE(events, split, _parsed(EASEConfig, settings, "ease"))


@BASELINES.register("als")
def _als(events: Events, split: Split, **settings: Any) -> Scorer:
    return ALS(events, split, _parsed(ALSConfig, settings, "als"))


@BASELINES.register("bm25")
def _bm25(events: Events, split: Split, **settings: Any) -> Scorer:
    return BM25(events, split.is_train, _parsed(BM25Config, settings, "bm25"))


@BASELINES.register("term_match")
def _term_match(events: Events, split: Split, **settings: Any) -> Scorer:
    config = _parsed(TermMatchConfig, settings, "term_match")
    return TermMatch(events, split.is_train, config.clicked)


@BASELINES.register("item_given_term")
def _item_given_term(events: Events, split: Split, **settings: Any) -> Scorer:
    config = _parsed(BackoffConfig, settings, "item_given_term")
    return TermLexical(events, split.is_train, config.backoff)


@BASELINES.register("source_terms")
def _source_terms(events: Events, split: Split, **settings: Any) -> Scorer:
    config = _parsed(BackoffConfig, settings, "source_terms")
    return SourceTerms(events, split.is_train, config.backoff)


@BASELINES.register("most_clicked")
def _most_clicked(events: Events, split: Split, **settings: Any) -> Scorer:
    _parsed(NoSettings, settings, "most_clicked")
    return MostClicked(events, split.is_train)


@BASELINES.register("mix")
def _mix(
    events: Events,
    split: Split,
    validate: Callable[[Scorer], float] | None = None,
    **settings: Any,
) -> Scorer:
    return best_mix(events, split, _parsed(BestMixConfig, settings, "mix"), validate)
