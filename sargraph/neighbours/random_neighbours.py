"""Random users in place of similar ones, matched on activity and on how popular their items are."""

from __future__ import annotations

from typing import Any

import numpy as np

from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, IntArray

LEVELS = 5
"""Levels of popularity within users of like activity."""
LEAST = 20
"""Users that a level should have at least."""


class RandomNeighbours:
    """A control: users who resemble a neighbour in all but what they chose.

    A user is replaced by one of the same cell: as many choices, to a power of two, and, in levels
    of at least 20 users, items of like mean log popularity. `user` and `item` int64 [choices] are
    the choices that may be known, so that later ones decide nothing.
    """

    def __init__(self, user: IntArray, item: IntArray, num_users: int, seed: int = 0) -> None:
        self.seed = seed
        count = np.bincount(user, minlength=num_users)
        popularity = np.log1p(np.bincount(item))[item]
        mean = np.bincount(user, popularity, minlength=num_users) / np.maximum(count, 1)
        activity = np.log2(count + 1).astype(np.int64)
        order = np.lexsort((mean, activity))
        size = np.bincount(activity[order])
        place = np.arange(num_users) - np.repeat(np.cumsum(size) - size, size)
        levels = np.clip(size // LEAST, 1, LEVELS)[activity[order]]
        level = place * levels // np.maximum(size[activity[order]], 1)
        self._cell = np.empty(num_users, dtype=np.int64)
        self._cell[order] = activity[order] * LEVELS + level
        self._members = Ragged.group(self._cell, np.arange(num_users), int(self._cell.max()) + 1)

    def replace(self, user: IntArray, as_of: IntArray, neighbour: IntArray) -> IntArray:
        """A matched random user for each of `neighbour` int64 [n, k], -1 where there is none.

        Neither the request's own `user` [n] nor the one that is replaced. The draw depends on the
        seed, the user, the time `as_of` [n] and the neighbour alone, not on other requests.
        """
        cell = self._cell[neighbour]
        size = self._members.lengths[cell]
        start = self._members.offsets[:-1][cell]
        drawn = _hash(self.seed, user[:, None], as_of[:, None], neighbour)
        place = (drawn % np.maximum(size, 1).astype(np.uint64)).astype(np.int64)
        for _ in range(3):  # two users at most are to be stepped over
            found = self._members.values[start + place]
            taken = (found == user[:, None]) | (found == neighbour)
            place = np.where(taken, (place + 1) % size, place)
        return np.where(taken | (neighbour == NO_ROW), NO_ROW, found)


def _hash(seed: int, *parts: IntArray) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Well mixed 64 bits of the seed and the parts (the finaliser of splitmix64, once a part)."""
    with np.errstate(over="ignore"):
        mixed: Any = np.uint64(seed)
        for part in parts:
            mixed = mixed + np.asarray(part).astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
            mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            mixed = mixed ^ (mixed >> np.uint64(31))
    return np.asarray(mixed, dtype=np.uint64)
