"""All baselines by name, and which of them stand beside every figure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, TypeVar

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
from sargraph.evaluation.baselines.session_knn import (
    SKNN,
    STAN,
    VSKNN,
    SKNNConfig,
    STANConfig,
    VSKNNConfig,
)
from sargraph.evaluation.baselines.term_lexical import SourceTerms, TermLexical
from sargraph.evaluation.baselines.term_match import TermMatch
from sargraph.events.events import Events
from sargraph.events.split import Split

Task = Literal["search", "recommend"]
C = TypeVar("C", bound=Config)
Build: TypeAlias = Callable[[Events, Split, C], Scorer]

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


_CONFIGS: dict[str, type[Config]] = {}


def check_settings(name: str, settings: dict[str, Any]) -> None:
    """Raise ConfigError for an unknown baseline, or settings that it does not have."""
    BASELINES.get(name)
    _parsed(name, settings)


def build_baseline(name: str, events: Events, split: Split, **settings: Any) -> Scorer:
    """Fit the baseline called `name` on the training part of the split.

    `settings` are those of its configuration, such as `k=50` for item_knn.
    Raises ConfigError for an unknown name or setting, BadInputError where it does not
    fit into memory or its library is missing.
    """
    return BASELINES.get(name)(events, split, **settings)


def baselines_for(task: Task) -> tuple[str, ...]:
    """Names of the baselines that stand beside every figure of a task, the simplest first."""
    return _BESIDE[task]


def _parsed(name: str, settings: dict[str, Any]) -> Any:
    return parse_config(_CONFIGS[name], settings, f"baseline '{name}'")


def _register(name: str, config: type[C]) -> Callable[[Build[C]], Build[C]]:
    """Make a baseline known: `build(events, split, config)` with the settings read before."""

    def add(build: Build[C]) -> Build[C]:
        _CONFIGS[name] = config

        @BASELINES.register(name)
        def built(events: Events, split: Split, **settings: Any) -> Scorer:
            return build(events, split, _parsed(name, settings))

        return build

    return add


_register("item_knn", ItemKNNConfig)(ItemKNN)
_register("ease", EASEConfig)(EASE)
_register("als", ALSConfig)(ALS)
_register("sknn", SKNNConfig)(SKNN)
_register("vsknn", VSKNNConfig)(VSKNN)
_register("stan", STANConfig)(STAN)
_register("mix", BestMixConfig)(best_mix)


@_register("popularity", PopularityConfig)
def _popularity(events: Events, split: Split, config: PopularityConfig) -> Scorer:
    return Popularity(events, split.is_train, config.source)


@_register("bm25", BM25Config)
def _bm25(events: Events, split: Split, config: BM25Config) -> Scorer:
    return BM25(events, split.is_train, config)


@_register("term_match", TermMatchConfig)
def _term_match(events: Events, split: Split, config: TermMatchConfig) -> Scorer:
    return TermMatch(events, split.is_train, config.clicked)


@_register("item_given_term", BackoffConfig)
def _item_given_term(events: Events, split: Split, config: BackoffConfig) -> Scorer:
    return TermLexical(events, split.is_train, config.backoff)


@_register("source_terms", BackoffConfig)
def _source_terms(events: Events, split: Split, config: BackoffConfig) -> Scorer:
    return SourceTerms(events, split.is_train, config.backoff)


@_register("most_clicked", NoSettings)
def _most_clicked(events: Events, split: Split, config: NoSettings) -> Scorer:
    return MostClicked(events, split.is_train)
