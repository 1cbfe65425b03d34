"""Users who come to an index and go from it, without a rebuild."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from sargraph.core.errors import BadInputError
from sargraph.core.types import NO_ROW, NO_TIME, BoolArray, DoubleArray, IntArray
from sargraph.events.events import Events
from sargraph.events.vocabulary import Vocabulary
from sargraph.neighbours.index_config import IndexConfig
from sargraph.neighbours.measures import Sequences, places_of
from sargraph.neighbours.part import Part, make_part
from sargraph.neighbours.profile import FIELDS, profile_sums
from sargraph.neighbours.profiled import (
    Profiled,
    profiled,
    sequences_of,
    transition_shares,
)

if TYPE_CHECKING:
    from sargraph.neighbours.index import UserIndex

log = logging.getLogger("sargraph")
MAX_PARTS = 8
"""With more parts than this the later ones become one."""


def whole_profiles(
    events: Events,
    mask: BoolArray,
    as_of: int,
    config: IndexConfig,
    sums: Mapping[str, csr_array],
    idfs: Mapping[str, DoubleArray],
) -> Profiled:
    """All that an index keeps of the users of `events`, whose rows are those of the index."""
    found = profiled(sums, idfs, config, sequences_of(events, mask, as_of, config))
    items = np.arange(len(events.items))
    shares = transition_shares(events, mask, as_of, config, found.rows, items)
    return replace(found, transitions=shares)


def from_outside(index: UserIndex, events: Events) -> tuple[Profiled, int]:
    """Users of other events as the index compares them, and how many entries it does not know.

    All events are read. The rows are those of `events.users`; items, terms and categories are
    matched by id. Entries of the profile that the index does not know are left out. Raises
    BadInputError for another kind of time.
    """
    if events.time_kind != index.time_kind:
        raise BadInputError(
            f"got events whose time is '{events.time_kind}', expected '{index.time_kind}' as in "
            "the index; ingest them with the recipe of its log"
        )
    # Beside events without a time the others must be as old as they are to the index.
    mask, as_of = np.ones(len(events), dtype=np.bool_), max(after_last(events), index.as_of)
    sums = profile_sums(events, mask, as_of, index.config.profile)
    sequences = sequences_of(events, mask, as_of, index.config)
    here = {"item": events.items, "term": events.terms}
    if events.categories is not None:
        here["category"] = events.categories.vocabulary
    known = {field: here[field].match(index.vocabularies[field]) for field in index.idfs
             if field in here}  # fmt: skip
    num_unknown = sum(int(np.sum(known[field][sums[field].indices] == NO_ROW)) for field in known)
    matched = {
        field: _matched(sums.get(field), known.get(field), len(events.users), len(idf))
        for field, idf in index.idfs.items()
    }
    found = profiled(matched, index.idfs, index.config, _known_only(sequences, known["item"]))
    shares = transition_shares(events, mask, as_of, index.config, found.rows, known["item"])
    return replace(found, transitions=shares), num_unknown


def with_users(index: UserIndex, events: Events) -> UserIndex:
    """See `UserIndex.add`."""
    active = np.unique(events.user)
    ids = [events.users.ids[user] for user in active]
    old = index.users.rows(ids)
    is_new = old == NO_ROW
    rows = np.where(is_new, len(index) + np.cumsum(is_new) - 1, old)
    found, num_unknown = from_outside(index, events)
    order = np.argsort(rows)
    parts = [part.without(old) for part in index.parts]
    if len(active):
        added = found.take(active[order])
        parts.append(make_part(added, rows[order], _width(index), index.config))
    new_ids = [id_ for id_, new in zip(ids, is_new, strict=True) if new]
    names = [events.users.names[user] for user in active[is_new]]
    users = Vocabulary([*index.users.ids, *new_ids], [*index.users.names, *names])
    counts = {"users_added": int(is_new.sum()), "users_replaced": int((~is_new).sum()),
              "unknown_entries": num_unknown}  # fmt: skip
    log.info("%d users added, %d replaced; %d entries of theirs are not in the index",
             *counts.values())  # fmt: skip
    return replace(
        index,
        parts=_gathered(tuple(parts), index),
        vocabularies={**index.vocabularies, "user": users},
        counts={name: index.counts.get(name, 0) + count for name, count in counts.items()},
        content_hash="",
    )


def without_users(index: UserIndex, user_ids: list[str]) -> UserIndex:
    """See `UserIndex.remove`."""
    rows = np.array([index.users.row(id_) for id_ in user_ids], dtype=np.int64)
    parts = tuple(part.without(rows) for part in index.parts)
    return replace(index, parts=parts, content_hash="")


def after_last(events: Events) -> int:
    """A time after all events, NO_TIME where none has a time."""
    timed = events.time[events.is_timed]
    return int(timed.max()) + 1 if len(timed) else NO_TIME


def _gathered(parts: tuple[Part, ...], index: UserIndex) -> tuple[Part, ...]:
    """The parts, with those that came later made one where they are many."""
    if len(parts) <= MAX_PARTS:
        return parts
    later = parts[1:]
    users = np.concatenate([part.users[part.alive] for part in later])
    joined = Profiled.joined([p.profiled.take(np.flatnonzero(p.alive)) for p in later])
    order = np.argsort(users)
    return parts[0], make_part(joined.take(order), users[order], _width(index), index.config)


def _width(index: UserIndex) -> int:
    return sum(len(index.idfs[field]) for field in FIELDS)


def _matched(
    sums: csr_array | None, known: IntArray | None, num_users: int, width: int
) -> csr_array:
    """The sums with the columns of the index; unknown columns are left out."""
    if sums is None or known is None:
        return csr_array((num_users, width), dtype=np.float64)
    columns = known[sums.indices]
    kept = columns != NO_ROW
    row = np.repeat(np.arange(num_users), np.diff(sums.indptr))
    cells = (sums.data[kept], (row[kept], columns[kept]))
    return csr_array(cells, shape=(num_users, width)).sorted_indices()


def _known_only(sequences: Sequences | None, known: IntArray) -> Sequences | None:
    """The sequences with the items of the index; others are left out."""
    if sequences is None:
        return None
    items = known[sequences.items]
    _, offsets = places_of(sequences.offsets, np.arange(len(sequences)))
    row = np.repeat(np.arange(len(sequences)), np.diff(offsets))
    kept = items != NO_ROW
    lengths = np.bincount(row[kept], minlength=len(sequences))
    ends = np.r_[0, np.cumsum(lengths)].astype(np.int64)
    return Sequences(ends, items[kept].astype(np.int32), sequences.last_time)
