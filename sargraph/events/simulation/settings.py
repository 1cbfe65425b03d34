"""The settings of a simulated world: its size, its mechanisms, a switch for each, named presets."""

from __future__ import annotations

import datetime
from typing import Any, Literal

from pydantic import Field, model_validator

from sargraph.core.config import Config, parse_config
from sargraph.core.errors import ConfigError, nearest
from sargraph.events.simulation.presets import PRESETS

DAY_MS = 86_400_000
BEIJING_MS = 8 * 3_600_000


class SimulateConfig(Config):
    """Size of the world, strength of its mechanisms, and a switch for each (null worlds).

    `SimulateConfig.preset(name)` gives the named worlds of `presets.PRESETS`.
    """

    num_users: int = Field(default=2000, ge=2)
    """Number of users."""
    num_days: int = Field(default=30, ge=1)
    """Length of the log in days."""
    num_items: int = Field(default=5000, ge=1)
    """Number of items; at least 12 per topic."""
    num_topics: int = Field(default=24, ge=4, le=24)
    """Number of topics, each with 4 sub-topics of 3 words."""
    start: datetime.date = datetime.date(2023, 5, 22)
    """First day of the log (Beijing time)."""
    users_per_community: int = Field(default=40, ge=1)
    """Mean number of users that share one community's intents."""
    community_share: float = Field(default=0.72, ge=0, le=0.97)
    """Share of the inherent intents that is the community's; 0.03 is spread over all sub-topics,
    the rest is the user's own."""
    sessions_per_day: float = Field(default=0.45, gt=0)
    """Mean number of sessions of a user and day."""
    steps_per_session: float = Field(default=2.8, ge=1, le=8)
    """Mean number of recommendation batches and searches in a session."""
    search_share: float = Field(default=0.34, gt=0, lt=1)
    """Mean share of a user's steps that are searches."""
    click_rate: float = Field(default=0.5, gt=0, lt=1)
    """Mean click rate of recommended items; the intercept of the click model is set to reach it."""
    search_click_share: float = Field(default=0.6, gt=0, le=1)
    """Share of searches with at least one click."""
    persistence: float = Field(default=0.5, ge=0, lt=1)
    """Probability that a demand outlives the end of a session."""
    s2r_strength: float = Field(default=0.85, ge=0, le=1)
    """Probability that the batch right after a search follows the searched demand."""
    s2r_half_life_hours: float = Field(default=6.0, gt=0)
    """Time after which that probability has halved."""
    s2r_decay: Literal["exponential", "power"] = "exponential"
    """Its form: 2^(-t/h), or 1/(1 + t/h) for a mis-specified world."""
    r2s_probability: float = Field(default=0.04, ge=0, le=1)
    """Probability that one clicked recommended item triggers a search about it."""
    category_noise: float = Field(default=0.0, ge=0, le=1)
    """Share of items filed under a random category, for a mis-specified world."""
    s2r_effect: bool = True
    """Off: recommendation never follows the searched demand."""
    r2s_effect: bool = True
    """Off: searches are opened as often, but neither when nor what depends on a click."""
    demand_changes: bool = True
    """Off: each user has one demand per source for ever."""
    query_about_items: bool = True
    """Off: query words are drawn from all words whatever the user searches, finds and clicks."""
    similar_users: bool = True
    """Off: all users have the same inherent intents and tastes, so none is closer than another."""
    own_tastes: bool = False
    """On, with `similar_users` off: each user has intents and tastes drawn for that user alone, as
    concentrated as those of communities, so that users are alike by chance only."""
    seasonal_demand: bool = False
    """On: fresh demands move with the hour of the day, the day of the week and the season."""
    season_strength: float = Field(default=0.5, ge=0, le=1)
    """Log-amplitude of each of the three waves: e^(2 x strength) between peak and trough."""
    users_per_shard: int = Field(default=10_000, ge=2)
    """Users are made in shards of so many, communities included, so that memory stays bounded."""

    @model_validator(mode="after")
    def _own_or_shared(self) -> SimulateConfig:
        if self.own_tastes and self.similar_users:
            raise ValueError(
                "got own_tastes with similar_users, expected one of them; "
                "set similar_users = false, or leave own_tastes out"
            )
        return self

    @property
    def start_ms(self) -> int:
        """Midnight of the first day in Beijing, ms since 1970 UTC."""
        return (self.start - datetime.date(1970, 1, 1)).days * DAY_MS - BEIJING_MS

    @property
    def end_ms(self) -> int:
        """The first ms after the log."""
        return self.start_ms + self.num_days * DAY_MS

    @property
    def num_shards(self) -> int:
        """Number of shards; the last one may be smaller."""
        return -(-self.num_users // self.users_per_shard)

    @classmethod
    def preset(cls, name: str, **changes: Any) -> SimulateConfig:
        """The named world, with fields changed.

        Raises ConfigError: unknown name (names the nearest), unknown field, wrong value.
        """
        if name not in PRESETS:
            raise ConfigError(f"unknown preset '{name}'; {nearest(name, PRESETS)}")
        return parse_config(cls, {**PRESETS[name], **changes}, f"preset '{name}'")
