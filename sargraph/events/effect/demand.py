"""Does what a user wants change over time, or is it the same for ever?"""

from __future__ import annotations

import numpy as np

from sargraph.core.types import NO_ROW, IntArray
from sargraph.events.effect.null import NOTHING, Measured, shuffled_within
from sargraph.events.effect.steps import Batches, Searches, changes, most_common

MINUTE_MS = 60_000
VISIT_GAP_MS = 30 * MINUTE_MS
DAY_MS = 24 * 60 * MINUTE_MS
BLOCK = 4
"""Visits whose order is shuffled."""


def measure_demand_change(
    steps: Searches | Batches, num_draws: int, rng: np.random.Generator, min_pause: int = DAY_MS
) -> Measured:
    """Share of neighbouring visits of a user with the same topic, against visits in any order.

    A visit (no pause over 30 minutes) in one source has one topic, the commonest. Where demand
    never changes the order of a user's visits does not matter, so it is shuffled; where it changes
    and lasts, neighbours are more alike than visits further apart. Neighbours are at least
    `min_pause` ms apart, by when transitions between the sources have faded. Shuffled are blocks
    of `BLOCK` visits: over longer times a topic also wears out. Cost: O(draws x visits).
    """
    user, time, topic = _visits(steps)
    block = _blocks(user)
    pairs = np.flatnonzero((block[1:] == block[:-1]) & (np.diff(time) >= min_pause))
    if not len(pairs):
        return NOTHING
    value = _alike(topic, pairs)
    null = [_alike(topic[shuffled_within(block, rng)], pairs) for _ in range(num_draws)]
    return Measured(value, np.array(null), len(np.unique(user[pairs])), len(pairs))


def _blocks(user: IntArray) -> IntArray:
    """Number of the block of each visit: `BLOCK` visits of one user in a row."""
    place = np.arange(len(user)) - np.searchsorted(user, user)
    return np.cumsum(place % BLOCK == 0) - 1


def _alike(topic: IntArray, pairs: IntArray) -> float:
    return float((topic[pairs] == topic[pairs + 1]).mean())


def _visits(steps: Searches | Batches) -> tuple[IntArray, IntArray, IntArray]:
    """User, start and topic of each visit that has a topic, sorted by (user, time)."""
    starts = changes(steps.user)
    starts[1:] |= np.diff(steps.time) > VISIT_GAP_MS
    visit = np.cumsum(starts) - 1
    of, topic = _topics(steps)
    main = most_common(visit[of], topic, int(starts.sum()))
    known = main != NO_ROW
    return steps.user[starts][known], steps.time[starts][known], main[known]


def _topics(steps: Searches | Batches) -> tuple[IntArray, IntArray]:
    """Step and topic of everything that has a topic."""
    if isinstance(steps, Batches):
        return steps.of, steps.topic
    of = np.flatnonzero(steps.topic != NO_ROW)
    return of, steps.topic[of]
