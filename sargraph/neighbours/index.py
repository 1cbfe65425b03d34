"""`UserIndex`: the profiles of all users, ready to answer "who is like this user?"."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from sargraph.core.artifact import read_manifest, writing
from sargraph.core.config import Config, parse_config
from sargraph.core.errors import BadInputError
from sargraph.core.progress import progress
from sargraph.core.ranked import Ranked
from sargraph.core.table import read_columns, write_columns
from sargraph.core.types import NO_ROW, NO_TIME, BoolArray, IntArray
from sargraph.events.events import Events
from sargraph.events.split import Split
from sargraph.events.vocabulary import Vocabulary
from sargraph.graph.graph import EdgeTable
from sargraph.neighbours.neighbours import Neighbour, Neighbours, contributions, name_shared
from sargraph.neighbours.profile import FIELDS, ProfileConfig, profiles
from sargraph.neighbours.similarity import Comparer, SimilarityConfig, unit_rows


class IndexConfig(Config):
    """How users are profiled and compared."""

    profile: ProfileConfig = ProfileConfig()
    """How much an event counts in a profile."""
    similarity: SimilarityConfig = SimilarityConfig()
    """How two profiles are compared."""


@dataclass(frozen=True)
class UserIndex:
    """Unit profiles of all users at one time, with the vocabularies that name them.

    `units` maps "item" and "term" to CSR arrays of rows of length 1 (or empty), float64. Only
    events before `as_of` are in them. `parents` maps roles to content hashes.
    """

    units: dict[str, csr_array]
    vocabularies: dict[str, Vocabulary]
    config: IndexConfig
    as_of: int
    name: str = "events"
    parents: dict[str, str] = field(default_factory=dict)
    content_hash: str = ""

    @cached_property
    def comparer(self) -> Comparer:
        """Compares users; made once."""
        return Comparer(self.units, self.config.similarity)

    @property
    def users(self) -> Vocabulary:
        """The user vocabulary."""
        return self.vocabularies["user"]

    def __len__(self) -> int:
        return len(self.users)

    def similar(self, user_id: str, k: int = 10) -> Neighbours:
        """The k most similar users with the items and terms they share.

        A user without a profile, or who shares nothing, has no neighbours and a reason. Raises
        UnknownIdError for an id that the events do not know, BadInputError for k below 1.
        """
        user = self.users.row(user_id)
        ranked, num_duplicates = self.search(np.array([user]), k)
        found = tuple(self._neighbour(user, *pair) for pair in ranked.valid(0))
        reason = "" if found else self._why_none(user, int(num_duplicates[0]))
        return Neighbours(self.users.ids[user], found, int(num_duplicates[0]), reason)

    def search(self, users: IntArray, k: int) -> tuple[Ranked, IntArray]:
        """The k most similar users of each user row, and the duplicates left out, int64 [users].

        Exact; ties go to the lower row. Raises BadInputError for k below 1.
        """
        if k < 1:
            raise BadInputError(f"got k = {k}, expected at least 1")
        return self.comparer.search(np.asarray(users, dtype=np.int64), k)

    def all_neighbours(self, k: int = 50) -> Ranked:
        """The k most similar users of every user, in blocks; memory O(users x k + one block)."""
        users = np.arange(len(self), dtype=np.int64)
        blocks = list(self.comparer.blocks(users))
        parts = [self.search(users[b], k)[0] for b in progress(blocks, "finding neighbours")]
        empty = Ranked(np.empty((0, k), np.int64), np.empty((0, k), np.float32))
        parts = parts or [empty]
        return Ranked(
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.scores for part in parts]),
        )

    def edges(self, k: int = 10) -> EdgeTable:
        """Background edges from each user to the k most similar, weighted by similarity.

        Give them to `build_graph` as `extra_edges={SIMILAR_TO: index.edges()}`.
        """
        ranked = self.all_neighbours(k)
        place = ranked.rows != NO_ROW
        return EdgeTable.of(np.nonzero(place)[0], ranked.rows[place], weight=ranked.scores[place])

    def describe(self) -> pd.DataFrame:
        """One line per field: users with a profile, entries, mean and maximum entries per user."""
        lines = []
        for kind, unit in self.units.items():
            sizes = np.diff(unit.indptr)
            has = sizes[sizes > 0]
            mean = float(has.mean()) if len(has) else 0.0
            lines.append((kind, len(has), unit.nnz, mean, int(sizes.max(initial=0))))
        return pd.DataFrame(lines, columns=["field", "users", "entries", "mean", "max"])

    def save(self, path: Path | str) -> UserIndex:
        """Write the artefact; returns the index with its content hash."""
        about = {"name": self.name, "as_of": self.as_of, "index": self.config.model_dump()}
        with writing(path, "index", config=about, parents=self.parents) as folder:
            for kind, vocabulary in self.vocabularies.items():
                vocabulary.save(folder / f"{kind}.parquet")
            for kind, unit in self.units.items():
                user = np.repeat(np.arange(len(self)), np.diff(unit.indptr))
                columns = {"user": user, kind: unit.indices.astype(np.int64), "weight": unit.data}
                write_columns(folder / f"profile_{kind}.parquet", columns)
        return replace(self, content_hash=read_manifest(path, verify=False).content_hash)

    @classmethod
    def load(cls, path: Path | str) -> UserIndex:
        """Read and check the artefact. Raises ArtifactError."""
        manifest = read_manifest(path, "index")
        folder = Path(path)
        kinds = ("user", *FIELDS)
        vocabularies = {k: Vocabulary.load(folder / f"{k}.parquet") for k in kinds}
        units = {}
        for kind in FIELDS:
            columns: Any = read_columns(folder / f"profile_{kind}.parquet")
            cells = (columns["weight"], (columns["user"], columns[kind]))
            shape = (len(vocabularies["user"]), len(vocabularies[kind]))
            units[kind] = csr_array(cells, shape=shape)
        return cls(
            units=units,
            vocabularies=vocabularies,
            config=parse_config(IndexConfig, manifest.config["index"], str(folder)),
            as_of=manifest.config["as_of"],
            name=manifest.config["name"],
            parents=manifest.parents,
            content_hash=manifest.content_hash,
        )

    def _neighbour(self, user: int, other: int, similarity: float) -> Neighbour:
        factor = self.comparer.factor(user, other)
        added = {f: contributions(self.units[f], user, other, factor[f]) for f in FIELDS}
        cosine = float(sum(values.sum() for _, values in added.values()))
        items, terms = (name_shared(*added[f], self.vocabularies[f], cosine) for f in FIELDS)
        ids, names = self.users.ids, self.users.names
        return Neighbour(ids[other], names[other], similarity, cosine, items, terms)

    def _why_none(self, user: int, num_duplicates: int) -> str:
        if not self.comparer.has_field[user].any():
            return "this user chose no item and searched for nothing in the events of the index"
        if num_duplicates:
            return f"all {num_duplicates} users who share something with this one are duplicates"
        return "no other user shares an item or a query term with this one"


def build_index(
    events: Events,
    split: Split | BoolArray | None = None,
    *,
    as_of: int | None = None,
    config: IndexConfig | None = None,
) -> UserIndex:
    """Profile all users from the training events before `as_of` (all events without a split).

    `split` may be a mask bool [n] of the events that may be used. `as_of` is by default the
    validation cut, or just after the last event used where there is no common cut.
    Cost: one sort of the events.
    """
    config = config or IndexConfig()
    mask = split.is_train if isinstance(split, Split) else split
    if mask is None:
        mask = np.ones(len(events), dtype=np.bool_)
    if as_of is None:
        as_of = _default_as_of(events, mask, split)
    fields = profiles(events, mask, as_of, config.profile)
    return UserIndex(
        units={kind: unit_rows(profile) for kind, profile in fields.items()},
        vocabularies={kind: events.vocabularies[kind] for kind in ("user", *FIELDS)},
        config=config,
        as_of=as_of,
        name=events.name,
        parents={"events": events.content_hash} if events.content_hash else {},
    )


def similar_users(
    events: Events,
    user_id: str,
    k: int = 10,
    *,
    split: Split | BoolArray | None = None,
    as_of: int | None = None,
    config: IndexConfig | None = None,
) -> Neighbours:
    """The k users most like one user; for many questions build an index once."""
    return build_index(events, split, as_of=as_of, config=config).similar(user_id, k)


def _default_as_of(events: Events, mask: BoolArray, split: object) -> int:
    if isinstance(split, Split) and split.cut_valid != NO_TIME:
        return split.cut_valid
    timed = events.time[mask & events.is_timed]
    return int(timed.max()) + 1 if len(timed) else NO_TIME
