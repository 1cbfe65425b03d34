"""Neighbours by soft alignment: users who chose like items, even where they share none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array

from sargraph.core.config import Config
from sargraph.core.errors import BadInputError
from sargraph.core.progress import progress
from sargraph.core.ranked import Ranked
from sargraph.core.rng import make_rng
from sargraph.core.types import NO_ROW, NO_TIME, Array, BoolArray, DoubleArray, FloatArray, IntArray
from sargraph.embedding.embeddings import Embeddings
from sargraph.events.events import Events
from sargraph.neighbours.alignment import soft_alignment, unit_vectors
from sargraph.neighbours.measures import Sequences, places_of
from sargraph.neighbours.profile import ProfileConfig, decay, require_events, used_events
from sargraph.neighbours.vectors import check_mask, checked_rows, vector_neighbours

BLOCK = 256
"""Users whose candidates are held at once."""
DECIMALS = 6
"""Alignments are sums of float32 products: what differs by less is a tie."""


class SoftConfig(Config):
    """Which choices are aligned, how, and with how many candidates."""

    profile: ProfileConfig = ProfileConfig()
    """Which choices count and how much (ω); impressions and terms are not read."""
    max_events: int = Field(default=50, ge=1)
    """Latest choices of a user that are aligned."""
    rank_half_life: float = Field(default=10.0, gt=0)
    """Ranks apart after which a pair of like items counts half."""
    symmetric: bool = False
    """Mean of both directions; false = how well the neighbour covers the user."""
    num_candidates: int = Field(default=500, ge=1)
    """Best users by the cosine of mean vectors that are aligned."""


@dataclass(frozen=True, eq=False)
class SoftIndex:
    """The latest choices of all users as of a time, with the vectors of the items.

    `choices`: items of each user, oldest first; `weights` float64 [all choices] their ω; `units`
    float32 [items, dim] of length 1 or 0; `means` float32 [users, dim], the mean vectors.
    """

    choices: Sequences
    weights: DoubleArray
    units: FloatArray
    means: FloatArray
    config: SoftConfig
    as_of: int

    def __len__(self) -> int:
        return len(self.choices)

    @property
    def findable(self) -> IntArray:
        """Users who chose an item that has a vector, int64, ascending."""
        has_vector = np.asarray(self.units.any(axis=1))[self.choices.items]
        return np.unique(self._user_of_choice[has_vector])

    def search(self, users: IntArray, k: int, *, exact: bool = False) -> Ranked:
        """The k users v with the largest soft alignment SA(u, v) of each u, best first.

        The `num_candidates` users with the largest cosine of mean vectors are aligned, with
        `exact` all of them. Alignments are rounded to 6 decimals, ties go to the lower row. No user
        finds itself; whoever chose no item with a vector finds nobody and is not found. Raises
        BadInputError for k below 1 and rows that are not there. Cost: O(n · users · dim) and, for
        each user, Σ over candidates of |u| |v| dim; nothing of size users x users is held.
        """
        if k < 1:
            raise BadInputError(f"got k = {k}, expected at least 1")
        users = checked_rows("users", users, len(self))
        rows = np.full((len(users), k), NO_ROW, dtype=np.int64)
        scores = np.full((len(users), k), -np.inf, dtype=np.float32)
        for start in progress(range(0, len(users), BLOCK), "aligning users"):
            block = users[start : start + BLOCK]
            for place, others in enumerate(self._candidates(block, k, exact), start):
                aligned = self._aligned(int(users[place]), others)
                order = np.lexsort((others, -aligned))[:k]
                rows[place, : len(order)] = others[order]
                scores[place, : len(order)] = aligned[order]
        return Ranked(rows, scores)

    def recall(self, k: int = 10, *, num_probes: int = 100, seed: int = 0) -> float:
        """Recall@k of the candidates against an exact search, of users drawn by the seed.

        `mean over u of |{v found: SA(u, v) >= SA of the exact k-th}| / min(k, users there are)`;
        1 where there is nobody to be found. Raises BadInputError for k or `num_probes` below 1.
        Cost: that of `num_probes` exact searches.
        """
        if num_probes < 1:
            raise BadInputError(f"got num_probes = {num_probes}, expected at least 1")
        drawn = make_rng(seed, "soft recall").permutation(self.findable)[:num_probes]
        exact = self.search(np.sort(drawn), k, exact=True)
        found = self.search(np.sort(drawn), k)
        num_there = (exact.rows != NO_ROW).sum(axis=1)
        if not num_there.any():
            return 1.0
        last = np.take_along_axis(exact.scores, np.maximum(num_there - 1, 0)[:, None], axis=1)
        # The last decimal depends on which users were aligned in one block.
        is_hit = (found.rows != NO_ROW) & (found.scores >= last - 2 * 10.0**-DECIMALS)
        return float((is_hit.sum(axis=1) / np.maximum(num_there, 1)).mean())

    @property
    def _user_of_choice(self) -> IntArray:
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.choices.offsets))

    def _candidates(self, users: IntArray, k: int, exact: bool) -> list[IntArray]:
        """Who is aligned with each of the users."""
        if exact:
            everyone = self.findable
            is_there = np.isin(users, everyone)
            return [
                everyone[(everyone != user) & there]
                for user, there in zip(users, is_there, strict=True)
            ]
        found = vector_neighbours(self.means, users, max(k, self.config.num_candidates)).rows
        return [row[row != NO_ROW] for row in found]

    def _aligned(self, user: int, others: IntArray) -> DoubleArray:
        own = slice(self.choices.offsets[user], self.choices.offsets[user + 1])
        found = soft_alignment(
            self.choices.items[own], self.weights[own], self.choices, others, self.units,
            half_life=self.config.rank_half_life, symmetric=self.config.symmetric,
            candidate_weights=self.weights,
        )  # fmt: skip
        return np.round(found, DECIMALS)


def build_soft_index(
    events: Events,
    vectors: Embeddings | Array,
    mask: BoolArray,
    as_of: int,
    config: SoftConfig | None = None,
) -> SoftIndex:
    """Make the latest choices of all users before `as_of` ready to be aligned.

    `m_u = Σ_n ω_n E_n / Σ_n ω_n` over the latest `max_events` masked choices n of u, with
    `ω_n = ω_type · 2^(-(T - τ_n) / h)` as in a profile over items (`profiles`) without its idf, and
    E the item vectors, of length 1. `vectors`: embeddings, whose items are matched by id, or float
    [items, dim] row for row as `events.items`; an item without one has a vector of zeros. They must
    come from the same training events. `mask` bool [events], such as `split.is_train`.
    Raises BadInputError for other shapes or values that are not finite, DataError as `profiles`.
    Cost: some passes over the events, and one product of choices by dim.
    """
    check_mask(events, mask)
    config = config or SoftConfig()
    units = unit_vectors(item_table(events, vectors))
    choices, weights = _recent_choices(events, mask, as_of, config)
    cells = (weights, choices.items, choices.offsets)
    by_item = csr_array(cells, shape=(len(events.users), len(events.items)))
    # The sum has the direction of the mean, and only directions are compared.
    means = unit_vectors(by_item @ units.astype(np.float64))
    return SoftIndex(choices, weights, units, means, config, as_of)


def item_table(events: Events, vectors: Embeddings | Array) -> Array:
    """One vector per item of the events, [items, dim]; zeros where an embedding knows no such id.

    Raises BadInputError where a table has another number of rows, or the embeddings no item table.
    """
    num_items = len(events.items)
    if isinstance(vectors, Embeddings):
        table = vectors.vectors("item")
        row = events.items.match(vectors.vocabularies["item"])
        if num_items and np.all(row == NO_ROW):
            got = f"embeddings of {len(table)} items, none of which is in these events"
            raise BadInputError(f"got {got}, expected those of the same log")
        found = np.zeros((num_items, table.shape[1]), dtype=np.float32)
        found[row != NO_ROW] = table[row[row != NO_ROW]]
        return found
    given = np.asarray(vectors)
    if given.ndim != 2 or len(given) != num_items:
        got = f"vectors {list(given.shape)}"
        raise BadInputError(f"got {got}, expected [{num_items}, dim], one for each item")
    return given


def _recent_choices(
    events: Events, mask: BoolArray, as_of: int, config: SoftConfig
) -> tuple[Sequences, DoubleArray]:
    """The latest choices of every user, oldest first, and ω of each."""
    settings = config.profile
    require_events(events, mask, as_of, settings)
    rows = np.flatnonzero(used_events(events, mask, as_of, settings) & events.is_positive)
    kind = np.where(events.is_search[rows], settings.search_weight, settings.click_weight)
    rows, kind = rows[kind > 0], kind[kind > 0]
    sizes = np.bincount(events.user[rows], minlength=len(events.users))
    ends = np.cumsum(sizes)
    kept = np.minimum(sizes, config.max_events)
    bounds = np.stack([ends - kept, ends], axis=1).reshape(-1)
    # The rows of a user stand together, so every second stretch of these is a user's latest.
    places, _ = places_of(np.r_[0, bounds], 1 + 2 * np.arange(len(kept)))
    rows, kind = rows[places], kind[places]
    weights = kind * decay(events, rows, as_of, settings.item_half_life)
    offsets = np.r_[0, np.cumsum(kept)].astype(np.int64)
    nobody_has_a_time = np.full(len(kept), NO_TIME, dtype=np.int64)
    return Sequences(offsets, events.item[rows].astype(np.int32), nobody_has_a_time), weights
