"""`UserIndex`: the profiles of all users, ready to answer "who is like this user?"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from sargraph.core.errors import BadInputError, UnknownIdError
from sargraph.core.progress import progress
from sargraph.core.ragged import Ragged
from sargraph.core.ranked import Ranked
from sargraph.core.types import NO_ROW, DoubleArray, IntArray
from sargraph.events.events import Events
from sargraph.events.schema import TimeKind
from sargraph.events.vocabulary import Vocabulary
from sargraph.graph.graph import EdgeTable
from sargraph.neighbours.evidence import neighbour_of
from sargraph.neighbours.history import ad_hoc
from sargraph.neighbours.index_config import ORDERED, IndexConfig
from sargraph.neighbours.index_files import load_index, save_index
from sargraph.neighbours.neighbours import Neighbours
from sargraph.neighbours.part import Part, merged
from sargraph.neighbours.postings import Found
from sargraph.neighbours.profile import FIELDS
from sargraph.neighbours.profiled import Profiled, profiled
from sargraph.neighbours.rerank import is_reranked, reranked
from sargraph.neighbours.updates import with_users, without_users

BLOCK = 1024
"""Users whose neighbours are searched for between two signs of progress."""


@dataclass(frozen=True, eq=False)
class UserIndex:
    """Users at one time, in inverted lists, with the vocabularies that name them.

    `parts` hold the users; all but the first were added later. `idfs` float64 [width] by field,
    as they were when the index was built; `item_categories`: those of each item. Only events
    before `as_of` are in it. `counts` tells what became of users and entries that came later;
    `parents` maps roles to content hashes. An index never changes: `add` and `remove` give
    another one that shares the old lists.
    """

    parts: tuple[Part, ...]
    idfs: dict[str, DoubleArray]
    vocabularies: dict[str, Vocabulary]
    config: IndexConfig
    as_of: int
    item_categories: Ragged | None = None
    time_kind: TimeKind = "ms"
    name: str = "events"
    counts: dict[str, int] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    content_hash: str = ""

    @property
    def users(self) -> Vocabulary:
        """The user vocabulary; those who were removed are still named in it."""
        return self.vocabularies["user"]

    def __len__(self) -> int:
        return len(self.users)

    @property
    def num_bytes(self) -> int:
        """Memory of the packed profiles and inverted lists."""
        return sum(part.postings.num_bytes for part in self.parts)

    def similar(self, user_id: str, k: int = 10, *, exact: bool | None = None) -> Neighbours:
        """The k most similar users with the items, terms and more that they share.

        A user without a profile, or who shares nothing, has no neighbours and a reason. Raises
        UnknownIdError for an id that is not in the index, BadInputError for k below 1.
        """
        user = self.users.row(user_id)
        if self._home[user] == NO_ROW:
            raise UnknownIdError(f"user '{user_id}' was removed from the index; add it again")
        probe = self.profiled(np.array([user]))
        found = self.find(probe, k, excluded=np.array([user]), exact=exact)
        return self._explained(self.users.ids[user], probe, found)

    def similar_to(
        self, history: Events | pd.DataFrame, k: int = 10, *, exact: bool | None = None
    ) -> Neighbours:
        """The k users most like someone whom the index need not know.

        `history`: events of one user, or a table with a row per event and the columns `item_id`,
        `query` (words), `time` (as in the log) and `source` ("search" or "recommend"), of which
        one of the first two must be there. What the index does not know counts in `num_unknown`.
        Nobody is left out: a user of the index may be found by the own history. Raises
        BadInputError for other columns and values, and for events of several users.
        """
        probe, num_unknown = ad_hoc(history, self)
        found = self.find(probe, k, exact=exact)
        return replace(self._explained("", probe, found), num_unknown=num_unknown)

    def search(
        self, users: IntArray, k: int, *, exact: bool | None = None
    ) -> tuple[Ranked, IntArray]:
        """The k most similar users of each user row, and the duplicates left out, int64 [users].

        Ties go to the lower row. Of the duplicates those at least as similar as the last
        neighbour are counted, and some of the others. `exact` overrules the configuration. Raises
        BadInputError for k below 1 and UnknownIdError for users who are not in the index.
        """
        users = np.asarray(users, dtype=np.int64)
        found = self.find(self.profiled(users), k, excluded=users, exact=exact)
        return _ranked(found), found.num_duplicates

    def search_profiles(
        self,
        sums: Mapping[str, csr_array],
        k: int,
        *,
        excluded: IntArray | None = None,
        exact: bool | None = None,
    ) -> tuple[Ranked, IntArray]:
        """As `search`, for sums of one's own (see `profile_sums`), [n, width] by field.

        The index multiplies them by its own idf. `excluded` int64 [n]: a user row that each must
        not find, -1 = none. Sums without "category" are compared by items and terms. Raises
        BadInputError also for sums of another width than the index has, and for a measure of
        order, which sums do not tell.
        """
        if self.config.measure in ORDERED:
            raise BadInputError(
                f"got profiles for the measure '{self.config.measure}', which reads the order of "
                "choices; expected cosine or jaccard, or users of the index"
            )
        for kind, part in sums.items():
            if part.shape[1] != len(self.idfs[kind]):
                got = f"sums over {part.shape[1]} of field '{kind}'"
                raise BadInputError(f"got {got}, expected {len(self.idfs[kind])} as in the index")
        probes = profiled(sums, self.idfs, self.config)
        found = self.find(probes, k, excluded=excluded, exact=exact)
        return _ranked(found), found.num_duplicates

    def find(
        self,
        probes: Profiled,
        k: int,
        *,
        excluded: IntArray | None = None,
        exact: bool | None = None,
    ) -> Found:
        """The k best users of the whole index for each probe. Raises BadInputError for k below 1.

        Exact, unless `exact` or the configuration says otherwise: then the heaviest postings of
        each entry are read. For another measure, or with categories, the `num_reranked` best of
        the whole index are put in order anew. Nothing of size users x users is held.
        """
        if k < 1:
            raise BadInputError(f"got k = {k}, expected at least 1")
        nobody = np.full(len(probes), NO_ROW, dtype=np.int64)
        excluded = nobody if excluded is None else excluded
        is_exact = self.config.exact if exact is None else exact
        has_more = is_reranked(self.config, probes)
        count = max(k, min(self.config.num_reranked, len(self))) if has_more else k
        found = merged(
            [part.search(probes, excluded, count, self.config, is_exact) for part in self.parts],
            count,
        )
        return self._reranked(found, probes, k) if has_more else found

    def profiled(self, users: IntArray) -> Profiled:
        """The profiles of some user rows. Raises UnknownIdError for users who were removed."""
        home = self._home[users]
        if np.any(home == NO_ROW):
            gone = self.users.ids[int(users[np.argmin(home)])]
            raise UnknownIdError(f"user '{gone}' was removed from the index; add it again")
        if len(self.parts) == 1:
            return self.parts[0].profiled.take(self.parts[0].places(users))
        order = np.argsort(home, kind="stable")
        pieces = [
            part.profiled.take(part.places(users[home == number]))
            for number, part in enumerate(self.parts)
        ]
        return Profiled.joined(pieces).take(np.argsort(order))

    def all_neighbours(self, k: int = 50, *, exact: bool | None = None) -> Ranked:
        """The k most similar users of every user, in blocks; memory O(users x k + one block).

        Users who were removed have none.
        """
        rows = np.full((len(self), k), NO_ROW, dtype=np.int64)
        scores = np.full((len(self), k), -np.inf, dtype=np.float32)
        users = np.flatnonzero(self._home != NO_ROW)
        starts = range(0, len(users), BLOCK)
        for start in progress(list(starts), "finding neighbours"):
            block = users[start : start + BLOCK]
            ranked, _ = self.search(block, k, exact=exact)
            rows[block], scores[block] = ranked.rows, ranked.scores
        return Ranked(rows, scores)

    def edges(self, k: int = 10) -> EdgeTable:
        """Background edges from each user to the k most similar, weighted by similarity.

        Give them to `build_graph` as `extra_edges={SIMILAR_TO: index.edges()}`.
        """
        ranked = self.all_neighbours(k)
        place = ranked.rows != NO_ROW
        return EdgeTable.of(np.nonzero(place)[0], ranked.rows[place], weight=ranked.scores[place])

    def add(self, events: Events) -> UserIndex:
        """An index with the users of `events` as well; those it has are replaced.

        All events given are read, so give whole histories. Items, terms and categories that the
        index does not know stand in no profile and are counted. Cost: that of the new users; no
        other list is touched until more than 8 parts have gathered.
        """
        return with_users(self, events)

    def remove(self, user_ids: list[str]) -> UserIndex:
        """An index that finds none of these users. Raises UnknownIdError. Cost: O(users)."""
        return without_users(self, user_ids)

    def describe(self) -> pd.DataFrame:
        """One line per field: users with a profile, entries, mean and maximum entries per user."""
        everyone = self.profiled(np.flatnonzero(self._home != NO_ROW))
        user = np.repeat(np.arange(len(everyone)), np.diff(everyone.rows.offsets))
        is_term = everyone.rows.entries >= len(self.vocabularies["item"])
        lines = []
        for bit, kind in enumerate(FIELDS):
            sizes = np.bincount(user[is_term == bool(bit)], minlength=len(everyone))
            lines.append(_line(kind, sizes))
        if everyone.categories is not None:
            lines.append(_line("category", np.diff(everyone.categories.offsets)))
        return pd.DataFrame(lines, columns=["field", "users", "entries", "mean", "max"])

    def save(self, path: Path | str) -> UserIndex:
        """Write the artefact; returns the index with its content hash."""
        return replace(self, content_hash=save_index(self, Path(path)))

    @classmethod
    def load(cls, path: Path | str) -> UserIndex:
        """Read and check the artefact; arrays stay on disk until read. Raises ArtifactError."""
        return cls(**load_index(Path(path)))

    @cached_property
    def _home(self) -> IntArray:
        """The part in which each user lives, int64 [users]; -1 = removed."""
        home = np.full(len(self), NO_ROW, dtype=np.int64)
        for number, part in enumerate(self.parts):
            home[part.users[part.alive]] = number
        return home

    def _reranked(self, found: Found, probes: Profiled, k: int) -> Found:
        """The k best of the users found, in the order of the measure, whichever part they are in.

        Only these are unpacked, so that what a question costs does not grow with the index.
        """
        users = np.unique(found.user[found.user != NO_ROW])
        places = np.where(found.user == NO_ROW, NO_ROW, np.searchsorted(users, found.user))
        among = Found(places, found.similarity, found.num_duplicates)
        best = reranked(among, probes, self.profiled(users), self.config).first(k)
        rows = np.full(best.user.shape, NO_ROW, dtype=np.int64)
        rows[best.user != NO_ROW] = users[best.user[best.user != NO_ROW]]
        return Found(rows, best.similarity, best.num_duplicates)

    def _explained(self, user_id: str, probe: Profiled, found: Found) -> Neighbours:
        pairs = _ranked(found).valid(0)
        others = self.profiled(np.array([user for user, _ in pairs], dtype=np.int64))
        neighbours = tuple(
            neighbour_of(self, probe, others.take(np.array([place])), *pair)
            for place, pair in enumerate(pairs)
        )
        num_duplicates = int(found.num_duplicates[0])
        reason = "" if pairs else _why_none(probe, num_duplicates, self.config)
        return Neighbours(user_id, neighbours, num_duplicates, reason)


def _ranked(found: Found) -> Ranked:
    return Ranked(found.user, found.similarity.astype(np.float32))


def _line(kind: str, sizes: IntArray) -> tuple[str, int, int, float, int]:
    has = sizes[sizes > 0]
    mean = float(has.mean()) if len(has) else 0.0
    return kind, len(has), int(sizes.sum()), mean, int(sizes.max(initial=0))


def _why_none(probe: Profiled, num_duplicates: int, config: IndexConfig) -> str:
    if not probe.fields[0] and config.profile.transition != "any":
        return f"nothing this user did followed by {config.profile.transition} in the events read"
    if not probe.fields[0]:
        return "this user chose no item and searched for nothing in the events of the index"
    if num_duplicates:
        return f"all {num_duplicates} users who share something with this one are duplicates"
    shared = "one of the latest choices" if config.measure == "stan" else "an item or a query term"
    return f"no other user shares {shared} with this one"
