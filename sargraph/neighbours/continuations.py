"""Continuations: what the users most like a request's user chose after the point they share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal, Protocol

import numpy as np
from pydantic import Field, model_validator
from scipy.sparse import csr_array

from sargraph.core.config import Config
from sargraph.core.progress import progress
from sargraph.core.ranked import Ranked
from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, NO_TIME, Array, BoolArray, IntArray
from sargraph.events.events import Events
from sargraph.neighbours.build import build_index
from sargraph.neighbours.continuation_kernels import read_continuations
from sargraph.neighbours.index_config import ORDERED, IndexConfig
from sargraph.neighbours.probes import ALWAYS, ProbeReader, Probes
from sargraph.neighbours.profile import ProfileConfig, require_events, used_events
from sargraph.neighbours.random_neighbours import RandomNeighbours

NUM_SLICES = 10
"""Indices over the training period of a log with a shared clock."""
BLOCK = 4096
"""Requests read at once; bounds the memory of their probes."""


class ContinuationConfig(Config):
    """Whose choices are read for a request, and how many."""

    neighbours: Literal["similar", "random", "own"] = "similar"
    """Similar users; or, as controls, random users matched with them, or the user's own events."""
    by: Literal["both", "search", "recommend"] = "both"
    """The events that similarity is taken from: of both sources, searches or the feed alone."""
    k: int = Field(default=10, ge=1)
    """Neighbours of a request."""
    max_events: int = Field(default=10, ge=1, le=100)
    """Most choices of each neighbour."""
    index: IndexConfig = IndexConfig()
    """How users are profiled and compared, by items and terms (categories are not read)."""
    seed: int = 0
    """Draws the random neighbours."""

    @model_validator(mode="after")
    def _is_by_profiles_alone(self) -> ContinuationConfig:
        """An index knows the order of its own users' choices, not that of a request."""
        if self.index.measure in ORDERED:
            raise ValueError(
                f"got index.measure '{self.index.measure}'; neighbours of a request are found by "
                "what it shares with them, so use cosine or jaccard"
            )
        if self.by != "both" and self.index.profile.source not in ("both", self.by):
            raise ValueError(f"got by '{self.by}' and another index.profile.source; give one")
        return self

    @property
    def profile(self) -> ProfileConfig:
        """What counts in the profiles of users and in those of requests."""
        if self.by == "both":
            return self.index.profile
        return self.index.profile.model_copy(update={"source": self.by})


@dataclass(frozen=True)
class Continuations:
    """What the k neighbours of n requests chose, `tokens` choices of each at most.

    `neighbour` int32 [n, k] user rows, -1 = none; `similarity` float32 [n, k], 0 for none. `item`
    int32 [n, k, tokens], -1 = padding; `step` int8, the distance from the last choice that the
    neighbour shares with the request (1 = the next choice, below 0 = before it, or before the end
    where no choice is shared). `activity` int32 [n]: own choices before the request (500 at most);
    `user` int32 [n]: whose request it is.
    """

    neighbour: Array
    similarity: Array
    item: Array
    step: Array
    activity: Array
    user: Array

    def __len__(self) -> int:
        return len(self.neighbour)

    def take(self, rows: IntArray) -> Continuations:
        """Those of the given requests, in the given order."""
        return Continuations(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def put(self, rows: IntArray, part: Continuations) -> None:
        """Write the continuations of some requests into these."""
        for field in fields(self):
            getattr(self, field.name)[rows] = getattr(part, field.name)

    @classmethod
    def empty(cls, num_requests: int, k: int, tokens: int) -> Continuations:
        """Requests without neighbours."""
        return cls(
            np.full((num_requests, k), NO_ROW, dtype=np.int32),
            np.zeros((num_requests, k), dtype=np.float32),
            np.full((num_requests, k, tokens), NO_ROW, dtype=np.int32),
            np.zeros((num_requests, k, tokens), dtype=np.int8),
            np.zeros(num_requests, dtype=np.int32),
            np.full(num_requests, NO_ROW, dtype=np.int32),
        )


class ProfileIndex(Protocol):
    """An index of users that takes ad-hoc profiles as probes."""

    def search_profiles(
        self, sums: dict[str, csr_array], k: int, *, excluded: IntArray | None = None
    ) -> tuple[Ranked, IntArray]:
        """The k most similar users of each probe, without the `excluded` one [n] (-1 = none)."""
        ...


class ContinuationReader:
    """Reads continuations for requests of `events`.

    A request is compared by its user's own history strictly before it (see `ProbeReader`; `visible`
    and `drop_target` as there), never by a stored profile, which would hold what is asked. Of
    others only `train` events are read, bool [events] (training events that may be seen). In a log
    with a shared clock neighbours are sought in the latest of the `slices` that is not after the
    request: rising times int64 [slices], each with an index of what was before it; and only their
    choices strictly before the request are read. In other logs, whose places in time cannot be
    compared between users, all training events of others may be used; of the user's own later ones
    there only the idf knows, which counts who has an item. Never are the user's own choices read.

    Cost: an index per slice, made when first needed and kept; a search per request.
    """

    def __init__(
        self,
        events: Events,
        train: BoolArray,
        visible: BoolArray,
        config: ContinuationConfig,
        *,
        drop_target: bool = False,
        slices: IntArray | None = None,
        index_of: Callable[..., ProfileIndex] = build_index,
    ) -> None:
        self.events, self.train, self.config = events, train, config
        self.slices = default_slices(events, train) if slices is None else slices
        self._has_clock = events.time_kind == "ms"
        require_events(events, train, ALWAYS, config.profile)
        self._used = used_events(events, train, ALWAYS, config.profile)
        self._probes = ProbeReader(events, visible, config.profile, drop_target=drop_target)
        rows = np.flatnonzero(train & events.is_positive)
        self._user, self._item, self._time = (
            column[rows] for column in (events.user, events.item, events.time)
        )
        self._starts = np.searchsorted(self._user, np.arange(len(events.users) + 1))
        self._index_of = index_of
        self._indices: dict[int, ProfileIndex] = {}
        self._random: dict[int, RandomNeighbours] = {}

    def read(self, requests: Requests) -> Continuations:
        """The continuations of each request, best neighbour first."""
        found = Continuations.empty(len(requests), self.config.k, self.config.max_events)
        blocks = list(self._blocks(requests))
        for place, rows in progress(blocks, "reading neighbours") if len(blocks) > 1 else blocks:
            found.put(rows, self._read(requests.take(rows), place))
        return found

    def _blocks(self, requests: Requests) -> Iterator[tuple[int, IntArray]]:
        """(slice, requests) in the order of slices, so that one index after the other is used."""
        place = np.zeros(len(requests), dtype=np.int64)
        if self._has_clock:
            place = np.searchsorted(self.slices, requests.as_of, side="right") - 1
        for one in np.unique(place):
            rows = np.flatnonzero(place == one)
            for start in range(0, len(rows), BLOCK):
                yield int(one), rows[start : start + BLOCK]

    def _read(self, requests: Requests, place: int) -> Continuations:
        probes = self._probes.read(requests)
        found = Continuations.empty(len(requests), self.config.k, self.config.max_events)
        found.activity[:], found.user[:] = probes.items.lengths, requests.user
        if self.config.neighbours == "own":
            _fill_with_own(found, requests, probes)
        elif place >= 0 and len(self.slices):
            self._find(found, requests, probes, place)
            self._continue(found, requests, probes)
        return found

    def _find(self, found: Continuations, requests: Requests, probes: Probes, place: int) -> None:
        """The neighbours of each request and their similarity."""
        index = self._index(place)
        if index is None:
            return
        ranked, _ = index.search_profiles(probes.sums, self.config.k, excluded=requests.user)
        rows = ranked.rows
        if self.config.neighbours == "random":
            rows = self._matched(place).replace(requests.user, requests.as_of, rows)
        found.neighbour[:] = rows
        found.similarity[:] = np.where(rows != NO_ROW, ranked.scores, 0.0)

    def _continue(self, found: Continuations, requests: Requests, probes: Probes) -> None:
        """What the neighbours chose after what they share with the request."""
        size = len(self.events.items)
        latest = np.full(len(requests), ALWAYS, dtype=np.int64)
        before = requests.as_of if self._has_clock else latest
        scratch: tuple[Any, Any] = (np.full(size, NO_ROW), np.zeros(size, dtype=np.int64))
        read_continuations(
            probes.items.offsets, probes.items.values, found.neighbour, before,
            self._starts, self._item, self._time, *scratch, found.item, found.step,
        )  # fmt: skip

    def _index(self, place: int) -> ProfileIndex | None:
        """The index of a slice; None where nothing had happened before it."""
        as_of = int(self.slices[place])
        if place not in self._indices and (self._used & (self.events.time < as_of)).any():
            self._indices[place] = self._index_of(
                self.events, self._used, as_of=as_of, config=self.config.index
            )
        return self._indices.get(place)

    def _matched(self, place: int) -> RandomNeighbours:
        if place not in self._random:
            known = self._time < self.slices[place]
            users = len(self.events.users)
            self._random[place] = RandomNeighbours(
                self._user[known], self._item[known], users, self.config.seed
            )
        return self._random[place]


def default_slices(events: Events, train: BoolArray) -> IntArray:
    """Times that cut the training events into ten parts of like size, int64, rising.

    The first is the earliest time (before it are untimed events alone), the last comes just after
    the last event. A log without a shared clock has that one alone.
    """
    times = np.sort(events.time[train & events.is_timed])
    if events.time_kind != "ms" or not len(times):
        last = int(times[-1]) + 1 if len(times) else NO_TIME + 1
        return np.array([last], dtype=np.int64)
    places = np.arange(NUM_SLICES) * len(times) // NUM_SLICES
    return np.unique(np.r_[times[places], times[-1] + 1]).astype(np.int64)


def _fill_with_own(found: Continuations, requests: Requests, probes: Probes) -> None:
    """The user's own latest choices in place of neighbours', latest first; steps count back."""
    n, k, tokens = found.item.shape
    latest = probes.items.to_padded(k * tokens, keep="last")
    length = np.minimum(probes.items.lengths, k * tokens)[:, None]
    back = length - 1 - np.arange(k * tokens)
    own = np.where(back >= 0, np.take_along_axis(latest, np.maximum(back, 0), axis=1), NO_ROW)
    found.item[:] = own.reshape(n, k, tokens)
    has_token = found.item[:, :, 0] != NO_ROW
    found.neighbour[:] = np.where(has_token, requests.user[:, None], NO_ROW)
    found.similarity[:] = has_token
    found.step[:] = np.where(found.item != NO_ROW, -1 - np.arange(tokens, dtype=np.int8), 0)
