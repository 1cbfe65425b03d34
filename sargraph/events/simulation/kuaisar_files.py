"""Write a simulated log as KuaiSAR's five CSV files, plus readable terms and titles."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from sargraph.core.rng import make_rng
from sargraph.core.types import NO_ROW, Array, BoolArray, DoubleArray, IntArray
from sargraph.events.simulation.recommending import Batches
from sargraph.events.simulation.searching import Searches
from sargraph.events.simulation.timeline import Timeline
from sargraph.events.simulation.topics import GROUP_OF_TOPIC, GROUPS, TOPICS
from sargraph.events.simulation.world import BEIJING_MS, World

UNFILED = 0.02
"""Share of items without category, and of items without upload time."""

TURNS_TO_SEARCH = 0.3
"""Share of planned searches opened from the batch before, though not about any of its items."""


def write_kuaisar(
    folder: Path,
    world: World,
    timeline: Timeline,
    batches: Batches,
    searches: Searches,
    seed: int,
) -> None:
    """Write the log into `folder`: header names and value formats are those of KuaiSAR.

    Times are Beijing time; all items of a batch carry its one distribution time. Cost: O(rows).
    """
    _write_recommendations(folder, world, timeline, batches, make_rng(seed, "plays"))
    _write_searches(folder, world, searches)
    _write_users(folder, world, batches, searches, make_rng(seed, "features"))
    _write_social(folder, world, make_rng(seed, "follows"))
    _write_items(folder, world, make_rng(seed, "filing"))
    _write_names(folder, world)


def _write_csv(path: Path, columns: Mapping[str, Sequence[str]]) -> None:
    """Write ready-made cells; a cell with a comma must come with its quotes."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(",".join(columns) + "\n")
        file.writelines(",".join(row) + "\n" for row in zip(*columns.values(), strict=True))


def _cells(values: Array) -> list[str]:
    """Integers and floats as Python writes them: 7, 7.0."""
    return [str(value) for value in values.tolist()]


def _flags(values: BoolArray) -> list[str]:
    return _cells(values.astype(np.int64))


def _beijing(time: IntArray, rows: IntArray) -> list[str]:
    """Beijing clock time of `time[rows]` as KuaiSAR writes it: 2023-05-22 15:53:20."""
    clock = (time + BEIJING_MS).astype("datetime64[ms]")
    texts = [text.replace("T", " ") for text in np.datetime_as_string(clock, unit="s").tolist()]
    return [texts[row] for row in rows.tolist()]


def _id_lists(rows: IntArray) -> list[str]:
    """Rows of a padded matrix as quoted JSON lists of ids (row + 1)."""
    return [_quoted([value + 1 for value in row if value != NO_ROW]) for row in rows.tolist()]


def _quoted(ids: Iterable[int]) -> str:
    return f'"{json.dumps(list(ids))}"'


def _write_recommendations(
    folder: Path, world: World, timeline: Timeline, batches: Batches, rng: np.random.Generator
) -> None:
    row, column = np.nonzero(batches.shown != NO_ROW)
    item, clicked = batches.shown[row, column], batches.clicked[row, column]
    duration = make_durations(world)[item]
    watched = np.where(clicked, rng.lognormal(-0.3, 0.6, len(row)), rng.exponential(0.06, len(row)))
    liked, followed, forwarded = (clicked & (rng.random(len(row)) < p) for p in (0.06, 0.01, 0.008))
    opened, related = _searches_opened(world, timeline, batches, rng)
    columns = {
        "user_id": _cells(batches.user[row] + 1),
        "item_id": _cells(world.items.ids[item]),
        "playing_time": _cells(np.round(duration * watched)),
        "duration_ms": _cells(duration),
        "time": _beijing(batches.time, row),
        "timestamp": _cells(batches.time[row].astype(np.float64)),
        "click": _flags(clicked),
        "forward": _flags(forwarded),
        "like": _flags(liked),
        "follow": _flags(followed),
        "search": _flags(opened[row, column]),
        "search_item_related": _flags(related[row, column]),
    }
    _write_csv(folder / "rec_inter.csv", columns)


def make_durations(world: World) -> DoubleArray:
    """Length of each item in ms, whole milliseconds, float64 [items]."""
    # Longer in-depth items: the style sets the scale, the id a fixed share around it.
    scale = 20_000 + 6_000 * world.items.style
    return np.asarray(np.round(scale * (0.5 + (world.items.ids * 37 % 101) / 101.0)))


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


def _write_searches(folder: Path, world: World, searches: Searches) -> None:
    row, column = np.nonzero(searches.shown != NO_ROW)
    keywords = _id_lists(searches.terms)
    columns = {
        "user_id": _cells(searches.user[row] + 1),
        "search_session_id": _cells(searches.number[row]),
        "search_session_time": _beijing(searches.time, row),
        "search_session_timestamp": _cells(searches.time[row]),
        "keyword": [keywords[r] for r in row.tolist()],
        "search_source": ["USER_INPUT"] * len(row),
        "item_id": _cells(world.items.ids[searches.shown[row, column]]),
        "click_cnt": _flags(searches.clicked[row, column]),
        "item_type": ["VIDEO"] * len(row),
    }
    _write_csv(folder / "src_inter.csv", columns)


def _write_users(
    folder: Path, world: World, batches: Batches, searches: Searches, rng: np.random.Generator
) -> None:
    n = len(world.users)
    known = rng.random(n) < (0.8 if world.config.similar_users else 0.0)
    columns = {
        "user_id": _cells(np.arange(n) + 1),
        "search_active_level": _cells(_levels(np.bincount(searches.user, minlength=n))),
        "rec_active_level": _cells(_levels(np.bincount(batches.user, minlength=n))),
        "onehot_feat1": _cells(rng.integers(3, size=n)),
        "onehot_feat2": _cells(np.where(known, world.users.community % 8, rng.integers(8, size=n))),
    }
    _write_csv(folder / "user_features.csv", columns)


def _levels(counts: IntArray) -> IntArray:
    """Quarter of the users that each count falls into, 0 (least active) to 3."""
    return np.searchsorted(np.quantile(counts, [0.25, 0.5, 0.75]), counts, side="left")


def _write_social(folder: Path, world: World, rng: np.random.Generator) -> None:
    """A third of the users follow one to eight others, mostly of their own community."""
    community = world.users.community
    members = [np.flatnonzero(community == c) for c in range(community.max() + 1)]
    followers = np.flatnonzero(rng.random(len(community)) < 1 / 3)
    close = 0.8 if world.config.similar_users else 0.0
    lists = []
    for user in followers.tolist():
        many = int(rng.integers(1, 9))
        near = rng.choice(members[community[user]], size=many)
        far = rng.integers(len(community), size=many)
        friends = np.where(rng.random(many) < close, near, far)
        lists.append(_quoted((np.unique(friends[friends != user]) + 1).tolist()))
    columns = {"user_id": _cells(followers + 1), "user_follow_id": lists}
    _write_csv(folder / "social_network.csv", columns)


def _write_items(folder: Path, world: World, rng: np.random.Generator) -> None:
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
    columns = {
        "item_id": _cells(world.items.ids[order]),
        "caption": _id_lists(world.items.terms[order]),
        "author_id": _cells(world.items.author[order]),
        "item_type": ["NORMAL"] * n,
        "upload_time": np.datetime_as_string(day).tolist(),
        "upload_type": ["LongImport"] * n,
        **_category_columns(topic),
    }
    _write_csv(folder / "item_features.csv", columns)


def _category_columns(topic: IntArray) -> dict[str, list[str]]:
    """Four levels of id, name and English name; group and topic fill two, the rest is missing."""
    group = np.where(topic == NO_ROW, NO_ROW, np.array(GROUP_OF_TOPIC)[topic])
    nothing = np.full(len(topic), NO_ROW)
    columns: dict[str, list[str]] = {}
    levels = {"first": (group, GROUPS), "second": (topic, TOPICS)}
    for level in ("first", "second", "third", "fourth"):
        rows, names = levels.get(level, (nothing, ()))
        texts = [*names, "empty"]  # row -1 is the last one
        columns[f"{level}_level_category_id"] = _cells(rows + 1)
        columns[f"{level}_level_category_name"] = [
            texts[row] if row != NO_ROW else "空" for row in rows.tolist()
        ]
        columns[f"{level}_level_category_name_en"] = [texts[row] for row in rows.tolist()]
    return columns


def _write_names(folder: Path, world: World) -> None:
    order = np.argsort(world.items.ids)
    words = world.vocabulary
    titles = [
        " ".join(words[term] for term in row if term != NO_ROW)
        for row in world.items.terms[order].tolist()
    ]
    terms = {"term_id": _cells(np.arange(len(words)) + 1), "text": words}
    _write_csv(folder / "terms.csv", terms)
    _write_csv(folder / "titles.csv", {"item_id": _cells(world.items.ids[order]), "title": titles})
