"""The truth behind a simulated log, as columns: intents, demands, transitions, seasons."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from sargraph.core.types import NO_ROW, NO_TIME, BoolArray, IntArray
from sargraph.events.simulation.columns import Column, Repeated
from sargraph.events.simulation.recommending import Batches
from sargraph.events.simulation.searching import Searches
from sargraph.events.simulation.seasons import PERIODS
from sargraph.events.simulation.topics import SUBTOPICS_PER_TOPIC, TOPICS, WORDS_PER_SUBTOPIC
from sargraph.events.simulation.world import World

CAUSES = ("own", "search", "explored", "click")
S2R, R2S = "S2R", "R2S"


def intent_columns(world: World) -> Mapping[str, Column]:
    """The inherent intents of the shard's users by topic."""
    shares = world.topic_shares
    user, topic = np.nonzero(shares > 0)
    return {
        "user_id": user + world.first_user + 1,
        "topic": _topics(topic),
        "share": shares[user, topic],
    }


def community_columns(world: World) -> Mapping[str, Column]:
    """The community of each of the shard's users."""
    community = world.users.community
    return {"user_id": np.arange(len(community)) + world.first_user + 1, "community": community}


def true_item_columns(world: World) -> Mapping[str, Column]:
    """What each item is about, however it is filed, and its quality."""
    return {
        "item_id": world.items.ids,
        "topic": _topics(world.items.topic),
        "subtopic": world.items.subtopic,
        "quality": world.items.quality,
    }


def season_columns(world: World) -> Mapping[str, Column]:
    """When each topic is wanted most: hour of the day, day after Monday, day of the year.

    A fresh demand is weighed by exp(strength x sum of cos(2 pi (time - peak) / period)).
    """
    topics, periods = world.seasons.peak.shape
    length = np.array([24.0, 7.0, 365.25])
    return {
        "topic": _topics(np.repeat(np.arange(topics), periods)),
        "period": Repeated(pa.array(list(PERIODS)), np.tile(np.arange(periods), topics)),
        "peak": (world.seasons.peak * length).ravel(),
        "strength": np.full(topics * periods, world.seasons.strength),
    }


def demand_columns(world: World, batches: Batches, searches: Searches) -> Mapping[str, Column]:
    """The demand behind every batch and every search, by user and time.

    `cause`: own (from the inherent intents or carried on), explored (a search from outside them),
    search (a batch that followed a search), click (a search opened from an item and about it).
    """
    is_search = np.repeat([False, True], [len(batches.user), len(searches.user)])
    followed = (batches.searched_at != NO_TIME).astype(np.int64)
    # Without R2S a search opened from an item is about what its user wanted anyway.
    opened = (searches.batch != NO_ROW) & world.config.r2s_effect
    caused = np.where(opened, 3, 2 * searches.explored)
    user = np.concatenate([batches.user, searches.user])
    time = np.concatenate([batches.time, searches.time])
    subtopic = np.concatenate([batches.demand, searches.word // WORDS_PER_SUBTOPIC])
    cause = np.concatenate([followed, caused])
    order = np.lexsort((time, user))
    return {
        "user_id": user[order] + world.first_user + 1,
        "time": time[order],
        "source": Repeated(pa.array(["recommend", "search"]), is_search[order].astype(np.int64)),
        "topic": _topics(subtopic[order] // SUBTOPICS_PER_TOPIC),
        "subtopic": subtopic[order],
        "cause": Repeated(pa.array(CAUSES), cause[order]),
    }


def transition_columns(world: World, batches: Batches, searches: Searches) -> Mapping[str, Column]:
    """Every planted transition: S2R ends in a clicked item, R2S starts from one.

    S2R: a clicked item of the searched topic in a batch that followed a search. R2S: a clicked
    item and the search about it. `search_session_id` counts the searches of a user.
    """
    row, column = np.nonzero(batches.clicked & (batches.searched_at != NO_TIME)[:, None])
    item = batches.shown[row, column]
    wanted = world.items.topic[item] == batches.demand[row] // SUBTOPICS_PER_TOPIC
    row, item = row[wanted], item[wanted]
    search = np.flatnonzero(searches.batch != NO_ROW)
    if not world.config.r2s_effect:
        search = search[:0]
    batch = searches.batch[search]
    opener = batches.shown[batch, batches.opened[batch]]
    items = np.concatenate([item, opener])
    numbers = _session_number(searches, batches.user[row], batches.searched_at[row])
    kind = np.repeat([0, 1], [len(row), len(search)])
    user = np.concatenate([batches.user[row], searches.user[search]])
    return {
        "kind": Repeated(pa.array([S2R, R2S]), kind),
        "user_id": user + world.first_user + 1,
        "from_time": np.concatenate([batches.searched_at[row], batches.time[batch]]),
        "to_time": np.concatenate([batches.time[row], searches.time[search]]),
        "item_id": world.items.ids[items],
        "search_session_id": np.concatenate([numbers, searches.number[search]]),
        "topic": _topics(world.items.topic[items]),
    }


def count_transitions(columns: Mapping[str, Column]) -> tuple[int, int]:
    """Number of S2R and of R2S transitions in `transition_columns`."""
    kind = columns["kind"]
    assert isinstance(kind, Repeated)
    is_r2s: BoolArray = kind.rows == 1
    return int((~is_r2s).sum()), int(is_r2s.sum())


def _topics(topic: IntArray) -> Repeated:
    return Repeated(pa.array(TOPICS), topic)


def _session_number(searches: Searches, user: IntArray, time: IntArray) -> IntArray:
    """The number of the search that a user made at a time."""
    first = int(searches.time.min()) if len(searches.time) else 0
    # One sortable key for (user, time); times are small once the first is taken off.
    span = int(searches.time.max()) - first + 1 if len(searches.time) else 1
    place = np.searchsorted(
        searches.user * span + searches.time - first, user * span + time - first
    )
    return searches.number[place]
