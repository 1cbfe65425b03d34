"""Building a `UserIndex` from events, and the short way to the users most like one user."""

from __future__ import annotations

import numpy as np

from sargraph.core.types import NO_TIME, BoolArray
from sargraph.events.events import Events
from sargraph.events.split import Split
from sargraph.neighbours.index import UserIndex
from sargraph.neighbours.index_config import IndexConfig
from sargraph.neighbours.neighbours import Neighbours
from sargraph.neighbours.part import make_part
from sargraph.neighbours.profile import FIELDS, idf, profile_sums, require_events
from sargraph.neighbours.updates import whole_profiles


def build_index(
    events: Events,
    split: Split | BoolArray | None = None,
    *,
    as_of: int | None = None,
    config: IndexConfig | None = None,
) -> UserIndex:
    """Index all users by their training events before `as_of` (all events without a split).

    `split` may be a mask bool [n] of the events that may be used. `as_of` is by default the
    validation cut, or just after the last event used where there is no common cut.
    Raises DataError for a transition that the log does not have.
    Cost: one sort of the events and some passes over the profiles.
    """
    config = config or IndexConfig()
    mask = split.is_train if isinstance(split, Split) else split
    if mask is None:
        mask = np.ones(len(events), dtype=np.bool_)
    if as_of is None:
        as_of = _default_as_of(events, mask, split)
    require_events(events, mask, as_of, config.profile)
    sums = profile_sums(events, mask, as_of, config.profile)
    idfs = {field: idf(part) for field, part in sums.items()}
    found = whole_profiles(events, mask, as_of, config, sums, idfs)
    users = np.arange(len(events.users), dtype=np.int64)
    num_entries = sum(len(idfs[field]) for field in FIELDS)
    vocabularies = {kind: events.vocabularies[kind] for kind in ("user", *FIELDS)}
    if events.categories is not None:
        vocabularies["category"] = events.categories.vocabulary
    return UserIndex(
        parts=(make_part(found, users, num_entries, config),),
        idfs=idfs,
        vocabularies=vocabularies,
        config=config,
        as_of=as_of,
        item_categories=events.categories.of_item if events.categories else None,
        time_kind=events.time_kind,
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
