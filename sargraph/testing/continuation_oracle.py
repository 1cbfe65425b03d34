"""Plain loops for continuations: profiles, similar users, and what they chose next."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from sargraph.core.ranked import Ranked
from sargraph.core.types import NO_ROW, NO_TIME, BoolArray, IntArray
from sargraph.events.events import Events
from sargraph.events.searches import search_numbers
from sargraph.neighbours.index_config import IndexConfig
from sargraph.neighbours.profile import DEFAULT_HALF_LIFE, MS_PER_DAY, ProfileConfig

Sums = dict[int, float]
"""Entry -> weight, of one user and field."""


@dataclass(frozen=True)
class PlainIndex:
    """Stands in for an index of users: every user against every probe, one pair at a time."""

    users: dict[str, list[Sums]]
    config: IndexConfig

    @classmethod
    def build(
        cls, events: Events, mask: BoolArray, *, as_of: int, config: IndexConfig
    ) -> PlainIndex:
        """The un-normalised profiles of all users from the masked events before `as_of`."""
        used = [n for n in range(len(events)) if mask[n] and events.time[n] < as_of]
        users: dict[str, list[Sums]] = {"item": [], "term": []}
        for user in range(len(events.users)):
            own = [n for n in used if events.user[n] == user]
            found = profile_sums(events, own, as_of, config.profile)
            for kind, sums in found.items():
                users[kind].append(sums)
        return cls(users, config)

    def search_profiles(
        self, sums: dict[str, csr_array], k: int, *, excluded: IntArray | None = None
    ) -> tuple[Ranked, IntArray]:
        """The k most similar users of each probe, and how many duplicates were left out."""
        num_probes = sums["item"].shape[0]
        rows = np.full((num_probes, k), NO_ROW, dtype=np.int64)
        scores = np.full((num_probes, k), -np.inf, dtype=np.float32)
        copies = np.zeros(num_probes, dtype=np.int64)
        for probe in range(num_probes):
            mine = {kind: _row(matrix, probe) for kind, matrix in sums.items()}
            pairs = []
            for user in range(len(self.users["item"])):
                if excluded is not None and user == excluded[probe]:
                    continue
                similarity, is_copy = self._compare(mine, user)
                copies[probe] += is_copy
                if similarity > 0 and not is_copy:
                    pairs.append((-similarity, user))
            for rank, (score, user) in enumerate(sorted(pairs)[:k]):
                rows[probe, rank], scores[probe, rank] = user, -score
        return Ranked(rows, scores), copies

    def _compare(self, mine: dict[str, Sums], user: int) -> tuple[float, bool]:
        """(similarity, is a duplicate) of a probe and a user."""
        settings = self.config.similarity
        shares = {"item": settings.item_share, "term": settings.term_share}
        total = cosine = 0.0
        common = union = 0
        for kind, share in shares.items():
            theirs, own = self.users[kind][user], mine[kind]
            if theirs or own:
                total += share
                cosine += share * self._cosine(kind, own, theirs)
            common += len(set(own) & set(theirs))
            union += len(set(own) | set(theirs))
        if not common:
            return 0.0, False
        similarity = cosine / total * common / (common + settings.shrinkage)
        return similarity, common / union > settings.max_jaccard

    def _cosine(self, kind: str, own: Sums, theirs: Sums) -> float:
        entries = set(own) | set(theirs)
        idf = {x: self._idf(kind, x) for x in entries}
        product = sum(own.get(x, 0) * theirs.get(x, 0) * idf[x] ** 2 for x in entries)
        lengths = [
            math.sqrt(sum((side.get(x, 0) * idf[x]) ** 2 for x in entries))
            for side in (own, theirs)
        ]
        return product / (lengths[0] * lengths[1]) if all(lengths) else 0.0

    def _idf(self, kind: str, entry: int) -> float:
        df = sum(entry in sums for sums in self.users[kind])
        return math.log(1 + len(self.users[kind]) / max(df, 1))


def profile_sums(
    events: Events, rows: list[int], as_of: int, config: ProfileConfig
) -> dict[str, Sums]:
    """Σ ω·2^(-age / h) over items and over terms of the given events of one user."""
    items: Sums = defaultdict(float)
    terms: Sums = defaultdict(float)
    number, searched = search_numbers(events), set()
    for n in rows:
        click = config.search_weight if events.is_search[n] else config.click_weight
        weight = click if events.is_positive[n] else config.impression_weight
        if events.item[n] != NO_ROW and weight > 0:
            items[int(events.item[n])] += weight * _faded(events, n, as_of, config.item_half_life)
        if number[n] != NO_ROW and number[n] not in searched and config.search_weight > 0:
            searched.add(number[n])
            for term in set(events.query_terms[int(events.query[n])].tolist()):
                terms[term] += config.search_weight * _faded(
                    events, n, as_of, config.term_half_life
                )
    return {"item": dict(items), "term": dict(terms)}


def plain_continuation(own: list[int], theirs: list[int], max_events: int) -> list[tuple[int, int]]:
    """(item, step) of what a neighbour chose, given both lists of items, oldest first."""
    match = len(theirs)
    for item in reversed(own):
        if item in theirs:
            match = max(place for place, other in enumerate(theirs) if other == item)
            break
    after = [(theirs[place], place - match) for place in range(match + 1, len(theirs))]
    before = [(theirs[place], place - match) for place in range(match - 1, -1, -1)]
    return (after + before)[:max_events]


def own_rows(events: Events, visible: BoolArray, user: int, as_of: int, event: int) -> list[int]:
    """Event rows of a user's own history strictly before a request."""
    return [
        n for n in range(len(events))
        if visible[n] and events.user[n] == user and n != event
        and (events.time[n] < as_of or events.time[n] == NO_TIME < as_of)
    ]  # fmt: skip


def _faded(events: Events, row: int, as_of: int, half_life: float | None) -> float:
    unit = MS_PER_DAY if events.time_kind == "ms" else 1
    period = unit * (half_life or DEFAULT_HALF_LIFE[events.time_kind])
    if events.time[row] == NO_TIME:
        return 1.0
    return float(2.0 ** (-(as_of - int(events.time[row])) / period))


def _row(matrix: csr_array, row: int) -> Sums:
    mine = slice(matrix.indptr[row], matrix.indptr[row + 1])
    pairs = zip(matrix.indices[mine].tolist(), matrix.data[mine].tolist(), strict=True)
    return {entry: value for entry, value in pairs if value}
