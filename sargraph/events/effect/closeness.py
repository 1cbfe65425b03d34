"""Do users who were alike stay alike?"""

from __future__ import annotations

import numpy as np

from sargraph.core.types import NO_ROW, DoubleArray, IntArray
from sargraph.events.effect.null import NOTHING, Measured, shuffled_within
from sargraph.events.events import Events

NUM_NEIGHBOURS = 10
MIN_CHOICES = 5
"""A user needs so many choices with a topic in either part of the log."""
MAX_USERS = 2_000
STRATUM = 20
"""Users of like activity that are exchanged for each other."""


def measure_neighbours(
    events: Events, topic: IntArray, num_draws: int, rng: np.random.Generator
) -> Measured:
    """Cosine of users' topics in the last third of the log with those of their neighbours.

    Neighbours are the ten users with the largest cosine in the first third; the third between is
    left out, by when demands that happened to be alike are over. Null: what users did in the last
    third is exchanged among users that did as much in it. At most 2,000 users (a seeded sample).
    Cost: O(users^2 x topics + draws x users x neighbours).
    """
    rows = np.flatnonzero(events.is_positive & events.is_timed)
    rows = rows[topic[events.item[rows]] != NO_ROW]
    if not len(rows):
        return NOTHING
    time = events.time[rows]
    first, last = time.min(), time.max()
    part = np.minimum((time - first) * 3 // max(int(last - first), 1), 2)
    early, late = (_profiles(events, rows[part == p], topic) for p in (0, 2))
    chosen = _sample(early, late, rng)
    if len(chosen) <= NUM_NEIGHBOURS:
        return NOTHING
    near = _nearest(_unit(early[chosen]))
    alike = _unit(late[chosen]) @ _unit(late[chosen]).T
    null = _exchanged(alike, near, late[chosen].sum(axis=1), num_draws, rng)
    value = float(alike[np.arange(len(near))[:, None], near].mean())
    return Measured(value, null, len(chosen), near.size)


def _profiles(events: Events, rows: IntArray, topic: IntArray) -> DoubleArray:
    """Choices by user and topic, float64 [users, topics]."""
    width = int(topic.max(initial=0)) + 1
    cell = events.user[rows] * width + topic[events.item[rows]]
    return np.bincount(cell, minlength=len(events.users) * width).reshape(-1, width).astype(float)


def _sample(early: DoubleArray, late: DoubleArray, rng: np.random.Generator) -> IntArray:
    active = (early.sum(axis=1) >= MIN_CHOICES) & (late.sum(axis=1) >= MIN_CHOICES)
    users = np.flatnonzero(active)
    return np.sort(rng.permutation(users)[:MAX_USERS])


def _unit(profiles: DoubleArray) -> DoubleArray:
    return np.asarray(profiles / np.linalg.norm(profiles, axis=1, keepdims=True))


def _nearest(unit: DoubleArray) -> IntArray:
    """The rows of the largest cosines of each row, itself left out, int64 [users, neighbours]."""
    # Rounded, so that equal cosines are equal on every machine and the first users win.
    alike = np.round(unit @ unit.T, 9)
    np.fill_diagonal(alike, -1.0)
    return np.argsort(-alike, axis=1, kind="stable")[:, :NUM_NEIGHBOURS]


def _exchanged(
    alike: DoubleArray,
    near: IntArray,
    activity: DoubleArray,
    num_draws: int,
    rng: np.random.Generator,
) -> DoubleArray:
    """Mean cosine of neighbours when users of like activity swap their last thirds."""
    by_activity = np.argsort(activity, kind="stable")
    stratum = np.arange(len(near)) // STRATUM
    null = np.empty(num_draws)
    stand_in = np.empty(len(near), dtype=np.int64)
    for draw in range(num_draws):
        stand_in[by_activity] = by_activity[shuffled_within(stratum, rng)]
        null[draw] = alike[stand_in[:, None], stand_in[near]].mean()
    return null
