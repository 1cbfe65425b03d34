"""Seasonal demand: each topic has its hour of the day, its day of the week and its season."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sargraph.core.types import DoubleArray, IntArray
from sargraph.events.simulation.settings import BEIJING_MS, DAY_MS, SimulateConfig

PERIODS = {"hour": DAY_MS, "weekday": 7 * DAY_MS, "season": 365.25 * DAY_MS}
"""Length of each wave in ms."""

FIRST_MONDAY_MS = 4 * DAY_MS
"""Weeks are counted from Monday, 5 January 1970."""


@dataclass(frozen=True)
class Seasons:
    """When topics are wanted: `peak` [topics, 3] as the share of each period gone by, in [0, 1).

    A fresh demand for topic z at time t is weighed by
    exp(strength x sum over periods p of cos(2 pi (t / p - peak))).
    """

    peak: DoubleArray
    strength: float

    def log_weight(self, topic: IntArray, time: IntArray) -> DoubleArray:
        """Logarithm of the weight of each topic at each time (ms UTC), float64 [n]."""
        total = np.zeros(len(topic))
        for column in range(len(PERIODS)):
            total += np.cos(2 * np.pi * (turns(time, column) - self.peak[topic, column]))
        return self.strength * total

    def chance(self, topic: IntArray, time: IntArray) -> DoubleArray:
        """The weight over its largest possible value, float64 [n] in (0, 1]."""
        return np.asarray(np.exp(self.log_weight(topic, time) - len(PERIODS) * self.strength))


def turns(time: IntArray, period: int) -> DoubleArray:
    """How many of the periods (by place in PERIODS) have gone by, in Beijing time."""
    local = time + BEIJING_MS
    name = tuple(PERIODS)[period]
    if name == "weekday":
        # Whole days, so that one day is one day all day long.
        return np.asarray((local - FIRST_MONDAY_MS) // DAY_MS / 7.0)
    return np.asarray(local / PERIODS[name])


def plant_seasons(config: SimulateConfig, rng: np.random.Generator) -> Seasons:
    """Draw when each topic is wanted most."""
    peak = rng.random((config.num_topics, len(PERIODS)))
    return Seasons(peak, config.season_strength if config.seasonal_demand else 0.0)
