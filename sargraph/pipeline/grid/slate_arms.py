"""Baselines that re-rank what was shown, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from sargraph.core.config import Config, parse_config
from sargraph.core.registry import Registry
from sargraph.core.scorer import Scorer
from sargraph.evaluation.slate_baselines import PriceOrder, RecentlyTouched, ShownOrder
from sargraph.evaluation.slates import Slates
from sargraph.events.events import Events
from sargraph.events.split import Split

SLATE_BASELINES: Registry[Callable[..., Scorer]] = Registry("baseline of slates")


class NoSettings(Config):
    """For baselines without a choice to make."""


class TouchedConfig(Config):
    """Settings of recently touched."""

    then: Literal["shown", "ties"] = "shown"
    """How the items that were not touched follow: in shown order, or as ties."""


_CONFIGS: dict[str, type[Config]] = {"recently_touched": TouchedConfig}


def check_slate_settings(name: str, settings: dict[str, Any]) -> None:
    """Raise ConfigError for settings that the baseline does not have."""
    parse_config(_CONFIGS.get(name, NoSettings), settings, f"baseline '{name}'")


@SLATE_BASELINES.register("shown_order")
def _shown_order(events: Events, split: Split, slates: Slates, **settings: Any) -> Scorer:
    parse_config(NoSettings, settings, "baseline 'shown_order'")
    return ShownOrder(slates)


@SLATE_BASELINES.register("price_order")
def _price_order(events: Events, split: Split, slates: Slates, **settings: Any) -> Scorer:
    parse_config(NoSettings, settings, "baseline 'price_order'")
    return PriceOrder(slates)


@SLATE_BASELINES.register("recently_touched")
def _recently_touched(events: Events, split: Split, slates: Slates, **settings: Any) -> Scorer:
    config = parse_config(TouchedConfig, settings, "baseline 'recently_touched'")
    return RecentlyTouched(events, slates, split.visible, then=config.then)
