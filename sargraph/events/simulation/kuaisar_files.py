"""A simulated log as KuaiSAR's five files, plus readable terms and titles."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from sargraph.core.rng import make_rng
from sargraph.core.types import NO_ROW, BoolArray, IntArray
from sargraph.events.simulation.columns import Column, Decimal, Repeated, id_lists
from sargraph.events.simulation.recommending import Batches
from sargraph.events.simulation.searching import Searches
from sargraph.events.simulation.settings import BEIJING_MS
from sargraph.events.simulation.timeline import Timeline
from sargraph.events.simulation.topics import GROUP_OF_TOPIC, GROUPS, TOPICS
from sargraph.events.simulation.world import World

UNFILED = 0.02
"""Share of items without category, and of items without upload time."""

TURNS_TO_SEARCH = 0.3
"""Share of planned searches opened from the batch before, though not about any of its items."""


def recommendation_columns(
    world: World, timeline: Timeline, batches: Batches, seed: int
) -> Mapping[str, Column]:
    """The rows of `rec_inter`; all items of a batch carry its one distribution time."""
    rng = make_rng(seed, "plays", *world.labels)
    row, column = np.nonzero(batches.shown != NO_ROW)
    item, clicked = batches.shown[row, column], batches.clicked[row, column]
    duration = make_durations(world)[item]
    watched = np.where(clicked, rng.lognormal(-0.3, 0.6, len(row)), rng.exponential(0.06, len(row)))
    liked, followed, forwarded = (clicked & (rng.random(len(row)) < p) for p in (0.06, 0.01, 0.008))
    opened, related = _searches_opened(world, timeline, batches, rng)
    return {
        "user_id": batches.user[row] + world.first_user + 1,
        "item_id": world.items.ids[item],
        "playing_time": Decimal(np.round(duration * watched).astype(np.int64)),
        "duration_ms": Decimal(duration),
        "time": Repeated(_beijing(batches.time), row),
        "timestamp": Decimal(batches.time[row]),
        "click": clicked,
        "forward": forwarded,
        "like": liked,
        "follow": followed,
        "search": opened[row, column],
        "search_item_related": related[row, column],
    }


def search_columns(world: World, searches: Searches) -> Mapping[str, Column]:
    """The rows of `src_inter`, one per item found."""
    row, column = np.nonzero(searches.shown != NO_ROW)
    return {
        "user_id": searches.user[row] + world.first_user + 1,
        "search_session_id": searches.number[row],
        "search_session_time": Repeated(_beijing(searches.time), row),
        "search_session_timestamp": searches.time[row],
        "keyword": Repeated(id_lists(searches.terms), row),
        "search_source": "USER_INPUT",
        "item_id": world.items.ids[searches.shown[row, column]],
        "click_cnt": searches.clicked[row, column],
        "item_type": "VIDEO",
    }


def _beijing(time: IntArray) -> pa.Array:
    """Beijing clock times of ms since 1970 UTC."""
    return pa.array(time + BEIJING_MS).cast(pa.timestamp("ms"))


def make_durations(world: World) -> IntArray:
    """Length of each item in ms, int64 [items]."""
    # Longer in-depth items: the style sets the scale, the id a fixed share around it.
    scale = 20_000 + 6_000 * world.items.style
    length = np.round(scale * (0.5 + (world.items.ids * 37 % 101) / 101.0))
    return np.asarray(length, dtype=np.int64)


def _searches_opened(
    world: World, timeline: Timeline, batches: Batches, rng: np.random.Generator
) -> tuple[BoolArray, BoolArray]:
    """Which shown items a search was opened from, and where it was about the item."""
    rows = np.flatnonzero(batches.opened != NO_ROW)
    opened = np.zeros(batches.shown.shape, dtype=np.bool_)
    opened[rows, batches.opened[rows]] = True
    related = opened.copy() if world.config.r2s_effect else np.zeros_like(opened)
    after = np.append(timeline.is_search[1:] & ~timeline.starts[1:], False)[batches.step]
    turning = after & (batches.opened == NO_ROW) & (batches.shown[:, 0] != NO_ROW)
    turning &= rng.random(len(turning)) < TURNS_TO_SEARCH
    opened[np.flatnonzero(turning), 0] = True
    return opened, related


def user_columns(
    communities: IntArray, searches: IntArray, batches: IntArray, alike: bool, seed: int
) -> Mapping[str, Column]:
    """The rows of `user_features`, from the numbers of searches and batches of all users.

    Where users are `alike` in nothing, no feature tells of their community.
    """
    rng = make_rng(seed, "features")
    n = len(communities)
    known = rng.random(n) < (0.8 if alike else 0.0)
    return {
        "user_id": np.arange(n) + 1,
        "search_active_level": _levels(searches),
        "rec_active_level": _levels(batches),
        "onehot_feat1": rng.integers(3, size=n),
        "onehot_feat2": np.where(known, communities % 8, rng.integers(8, size=n)),
    }


def _levels(counts: IntArray) -> IntArray:
    """Quarter of the users that each count falls into, 0 (least active) to 3."""
    return np.searchsorted(np.quantile(counts, [0.25, 0.5, 0.75]), counts, side="left")


def follow_columns(world: World, seed: int) -> Mapping[str, Column]:
    """The rows of `social_network`: a third of the users follow one to eight others.

    Most of these are of their own community, unless users are not similar.
    """
    rng = make_rng(seed, "follows", *world.labels)
    community = world.users.community - world.users.community.min()
    members = [np.flatnonzero(community == c) for c in range(community.max() + 1)]
    followers = np.flatnonzero(rng.random(len(community)) < 1 / 3)
    close = 0.8 if world.config.similar_users else 0.0
    lists = []
    for user in followers.tolist():
        many = int(rng.integers(1, 9))
        near = rng.choice(members[community[user]], size=many)
        far = rng.integers(len(community), size=many)
        friends = np.where(rng.random(many) < close, near, far)
        lists.append(np.unique(friends[friends != user]) + world.first_user + 1)
    return {
        "user_id": followers + world.first_user + 1,
        "user_follow_id": pa.array(lists, pa.list_(pa.int64())),
    }


def item_columns(world: World, seed: int) -> Mapping[str, Column]:
    """The rows of `item_features`."""
    rng = make_rng(seed, "filing")
    order = np.argsort(world.items.ids)
    n = len(order)
    topic = np.where(
        rng.random(n) < world.config.category_noise,
        rng.integers(world.config.num_topics, size=n),
        world.items.topic[order],
    )
    topic[rng.random(n) < UNFILED] = NO_ROW
    day = np.datetime64(world.config.start) - rng.integers(1, 366, size=n)
    day[rng.random(n) < UNFILED] = np.datetime64("1970-01-01")
    return {
        "item_id": world.items.ids[order],
        "caption": id_lists(world.items.terms[order]),
        "author_id": world.items.author[order],
        "item_type": "NORMAL",
        "upload_time": pa.array(day),
        "upload_type": "LongImport",
        **_category_columns(topic),
    }


def _category_columns(topic: IntArray) -> dict[str, Column]:
    """Four levels of id, name and English name; group and topic fill two, the rest is missing."""
    group = np.where(topic == NO_ROW, NO_ROW, np.array(GROUP_OF_TOPIC)[topic])
    nothing = np.full(len(topic), NO_ROW)
    columns: dict[str, Column] = {}
    levels = {"first": (group, GROUPS), "second": (topic, TOPICS)}
    for level in ("first", "second", "third", "fourth"):
        rows, names = levels.get(level, (nothing, ()))
        place = np.where(rows == NO_ROW, len(names), rows)
        columns[f"{level}_level_category_id"] = rows + 1
        columns[f"{level}_level_category_name"] = Repeated(pa.array([*names, "空"]), place)
        columns[f"{level}_level_category_name_en"] = Repeated(pa.array([*names, "empty"]), place)
    return columns


def term_columns(world: World) -> Mapping[str, Column]:
    """The rows of `terms`: the word behind each term id."""
    words = world.vocabulary
    return {"term_id": np.arange(len(words)) + 1, "text": pa.array(words)}


def title_columns(world: World) -> Mapping[str, Column]:
    """The rows of `titles`: each item's title in words."""
    order = np.argsort(world.items.ids)
    words = world.vocabulary
    titles = [
        " ".join(words[term] for term in row if term != NO_ROW)
        for row in world.items.terms[order].tolist()
    ]
    return {"item_id": world.items.ids[order], "title": pa.array(titles)}
