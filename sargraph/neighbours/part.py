"""`Part`: users of an index that were added together, with their inverted lists."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sargraph.core.types import NO_ROW, BoolArray, IntArray
from sargraph.neighbours.index_config import IndexConfig
from sargraph.neighbours.postings import Found, Postings, build_postings
from sargraph.neighbours.profiled import Profiled


@dataclass(frozen=True, eq=False)
class Part:
    """Some users of an index.

    `users` int64 [n], ascending, the row of each in the index's vocabulary; `alive` bool [n],
    False for who was removed or replaced since.
    """

    profiled: Profiled
    postings: Postings
    users: IntArray
    alive: BoolArray

    def __len__(self) -> int:
        return len(self.users)

    def places(self, users: IntArray) -> IntArray:
        """Where each user stands in this part, int64 [n]; -1 = not, or no longer."""
        if not len(self.users):
            return np.full(len(users), NO_ROW, dtype=np.int64)
        at = np.minimum(np.searchsorted(self.users, users), len(self.users) - 1)
        is_here = (self.users[at] == users) & self.alive[at]
        return np.where(is_here, at, NO_ROW)

    def without(self, users: IntArray) -> Part:
        """The part with these users gone; lists are shared, so the cost is one copy of `alive`."""
        places = self.places(users)
        alive = np.array(self.alive)
        alive[places[places != NO_ROW]] = False
        return replace(self, alive=alive)

    def search(
        self, probes: Profiled, excluded: IntArray, k: int, config: IndexConfig, exact: bool
    ) -> Found:
        """The k best users of this part by items and terms, as rows of the vocabulary.

        `excluded` int64 [n], a row of the vocabulary that a probe must not find, or -1.
        """
        if not len(self):
            nobody = np.full((len(probes), 0), NO_ROW, dtype=np.int64)
            return Found(nobody, np.empty(nobody.shape), np.zeros(len(probes), dtype=np.int64))
        found = self.postings.search(
            probes.rows, probes.fields, self.places(excluded), min(k, len(self)),
            config.similarity, alive=self.alive, num_rescored=0 if exact else config.num_rescored,
        )  # fmt: skip
        user = np.where(found.user == NO_ROW, NO_ROW, self.users[found.user])
        return Found(user, found.similarity, found.num_duplicates)


def make_part(found: Profiled, users: IntArray, num_entries: int, config: IndexConfig) -> Part:
    """Invert the profiles of some users."""
    head_size = config.head_size or default_head_size(len(users))
    postings = build_postings(found.rows, found.fields, num_entries, head_size)
    return Part(found, postings, users, np.ones(len(users), dtype=np.bool_))


def default_head_size(num_users: int) -> int:
    """√users, at least 100: recall@50 is then over .95 on the profiles of the benchmark."""
    return max(100, round(num_users**0.5))


def merged(found: list[Found], k: int) -> Found:
    """The k best of several parts for each probe, best first, ties by row."""
    user = np.concatenate([each.user for each in found], axis=1)
    similarity = np.concatenate([each.similarity for each in found], axis=1)
    order = np.lexsort((user, -similarity), axis=1)[:, :k]
    best = np.take_along_axis(user, order, 1), np.take_along_axis(similarity, order, 1)
    missing = max(k - best[0].shape[1], 0)
    pad = ((0, 0), (0, missing))
    return Found(
        np.pad(best[0], pad, constant_values=NO_ROW),
        np.pad(best[1], pad, constant_values=-np.inf),
        np.sum([each.num_duplicates for each in found], axis=0),
    )
