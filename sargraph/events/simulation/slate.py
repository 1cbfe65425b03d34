"""Slates: the short lists of items that users are shown, one row each."""

from __future__ import annotations

import numpy as np

from sargraph.core.types import NO_ROW, BoolArray, DoubleArray, IntArray
from sargraph.events.simulation.world import World

MAX_SHOWN = 8
"""Width of a slate."""


def repeated(items: IntArray) -> BoolArray:
    """True where an item stands further left in the same row already."""
    same = items[:, :, None] == items[:, None, :]
    return np.asarray(np.tril(same, k=-1).any(axis=2))


def left_aligned(items: IntArray, keep: BoolArray) -> IntArray:
    """The kept items of each row moved to the left, [n, MAX_SHOWN]; -1 behind them."""
    order = np.argsort(~keep, axis=1, kind="stable")[:, :MAX_SHOWN]
    packed = np.where(keep, items, NO_ROW)
    return np.asarray(np.take_along_axis(packed, order, axis=1), dtype=np.int64)


def affinity(world: World, user: IntArray, items: IntArray) -> DoubleArray:
    """How much users like items in general: inherent intent, taste in styles, quality."""
    intent = world.users.intents[user[:, None], world.items.subtopic[items]]
    taste = world.users.tastes[user[:, None], world.items.style[items]]
    likes = np.log1p(intent * world.num_subtopics)
    return np.asarray(0.7 * likes + 0.7 * taste + 0.5 * world.items.quality[items])
