"""`simulate`: raw logs in KuaiSAR's format from a planted world, with the truth beside them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sargraph.core.artifact import writing
from sargraph.core.table import write_columns
from sargraph.core.types import NO_ROW, NO_TIME, Array, IntArray
from sargraph.events.simulation.kuaisar_files import write_kuaisar
from sargraph.events.simulation.recommending import Batches, live_recommendations
from sargraph.events.simulation.searching import Searches, search_all
from sargraph.events.simulation.timeline import draw_timeline
from sargraph.events.simulation.topics import SUBTOPICS_PER_TOPIC, TOPICS, WORDS_PER_SUBTOPIC
from sargraph.events.simulation.world import SimulateConfig, World, plant_world

__all__ = ["SimulateConfig", "SimulationSummary", "simulate"]


@dataclass(frozen=True)
class SimulationSummary:
    """What was written: where, how many rows, and how many planted transitions."""

    path: Path
    num_users: int
    num_items: int
    num_terms: int
    batches: int
    recommended: int
    recommended_clicked: int
    searches: int
    searches_without_click: int
    found: int
    found_clicked: int
    s2r_transitions: int
    r2s_transitions: int

    @property
    def recommendation_click_rate(self) -> float:
        """Clicks per recommended item."""
        return self.recommended_clicked / max(self.recommended, 1)

    @property
    def search_click_rate(self) -> float:
        """Clicks per found item."""
        return self.found_clicked / max(self.found, 1)


def simulate(
    out: Path | str, config: SimulateConfig | None = None, *, seed: int = 0
) -> SimulationSummary:
    """Write the raw logs of a simulated platform into the folder `out`.

    KuaiSAR's five CSV files, `terms.csv` and `titles.csv` for readable names, and `truth/`:
    `user_intents`, `communities`, `items`, `demands`, `transitions` (Parquet) and
    `settings.json`. Each source has a demand of its own (a Markov chain over sub-topics), so that
    what a user searches tells of later recommendations only through the S2R effect, and the
    other way round only through the R2S effect, beyond the inherent intents both share.
    The same config and seed give the same bytes. Raises ConfigError (too few items),
    ArtifactError (`out` is a folder of something else). Cost: O(impressions).
    """
    config = config or SimulateConfig()
    world = plant_world(config, seed)
    timeline = draw_timeline(world, seed)
    batches = live_recommendations(world, timeline, seed)
    searches = search_all(world, timeline, batches, seed)
    settings = config.model_dump(mode="json")
    with writing(out, "simulation", config=settings, seed=seed) as folder:
        write_kuaisar(folder, world, timeline, batches, searches, seed)
        transitions = _transitions(world, batches, searches)
        _write_truth(folder / "truth", world, batches, searches, transitions)
        text = json.dumps({"seed": seed, **settings}, indent=2, sort_keys=True)
        (folder / "truth" / "settings.json").write_text(text + "\n", encoding="utf-8")
    return _summary(Path(out), world, batches, searches, transitions)


def _write_truth(
    folder: Path,
    world: World,
    batches: Batches,
    searches: Searches,
    transitions: dict[str, Array],
) -> None:
    folder.mkdir()
    shares = world.topic_shares
    user, topic = np.nonzero(shares > 0)
    intents: dict[str, Array] = {
        "user_id": user + 1,
        "topic": _topic_names(topic),
        "share": shares[user, topic],
    }
    items: dict[str, Array] = {
        "item_id": world.items.ids,
        "topic": _topic_names(world.items.topic),
        "subtopic": world.items.subtopic,
        "quality": world.items.quality,
    }
    members = {"user_id": np.arange(len(world.users)) + 1, "community": world.users.community}
    write_columns(folder / "user_intents.parquet", intents)
    write_columns(folder / "communities.parquet", members)
    write_columns(folder / "items.parquet", items)
    write_columns(folder / "demands.parquet", _demands(batches, searches))
    write_columns(folder / "transitions.parquet", transitions)


def _topic_names(topic: IntArray) -> Array:
    return np.array(TOPICS, dtype=object)[topic]


def _demands(batches: Batches, searches: Searches) -> dict[str, Array]:
    """The demand behind every batch and every search, by user and time.

    `cause`: own (from the inherent intents or carried on), explored (a search from outside them),
    search (a batch that followed a search), click (a search opened from an item).
    """
    sources = ["recommend"] * len(batches.user) + ["search"] * len(searches.user)
    followed = np.where(batches.searched_at != NO_TIME, "search", "own")
    planned = np.where(searches.explored, "explored", "own")
    caused = np.where(searches.batch != NO_ROW, "click", planned)
    user = np.concatenate([batches.user, searches.user])
    time = np.concatenate([batches.time, searches.time])
    subtopic = np.concatenate([batches.demand, searches.word // WORDS_PER_SUBTOPIC])
    cause = np.concatenate([followed, caused]).astype(object)
    order = np.lexsort((time, user))
    return {
        "user_id": user[order] + 1,
        "time": time[order],
        "source": np.array(sources, dtype=object)[order],
        "topic": _topic_names(subtopic[order] // SUBTOPICS_PER_TOPIC),
        "subtopic": subtopic[order],
        "cause": cause[order],
    }


def _transitions(world: World, batches: Batches, searches: Searches) -> dict[str, Array]:
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
    numbers = _session_number(searches, batches.user[row], batches.searched_at[row])
    return {
        "kind": np.array(["S2R"] * len(row) + ["R2S"] * len(search), dtype=object),
        "user_id": np.concatenate([batches.user[row], searches.user[search]]) + 1,
        "from_time": np.concatenate([batches.searched_at[row], batches.time[batch]]),
        "to_time": np.concatenate([batches.time[row], searches.time[search]]),
        "item_id": world.items.ids[np.concatenate([item, opener])],
        "search_session_id": np.concatenate([numbers, searches.number[search]]),
        "topic": _topic_names(world.items.topic[np.concatenate([item, opener])]),
    }


def _session_number(searches: Searches, user: IntArray, time: IntArray) -> IntArray:
    """The number of the search that a user made at a time."""
    first = int(searches.time.min()) if len(searches.time) else 0
    # One sortable key for (user, time); times are small once the first is taken off.
    span = int(searches.time.max()) - first + 1 if len(searches.time) else 1
    place = np.searchsorted(
        searches.user * span + searches.time - first, user * span + time - first
    )
    return searches.number[place]


def _summary(
    path: Path,
    world: World,
    batches: Batches,
    searches: Searches,
    transitions: dict[str, Array],
) -> SimulationSummary:
    return SimulationSummary(
        path=path,
        num_users=len(world.users),
        num_items=len(world.items),
        num_terms=len(world.vocabulary),
        batches=len(batches.user),
        recommended=int((batches.shown != NO_ROW).sum()),
        recommended_clicked=int(batches.clicked.sum()),
        searches=len(searches.user),
        searches_without_click=int((~searches.clicked.any(axis=1)).sum()),
        found=int((searches.shown != NO_ROW).sum()),
        found_clicked=int(searches.clicked.sum()),
        s2r_transitions=int((transitions["kind"] == "S2R").sum()),
        r2s_transitions=int((transitions["kind"] == "R2S").sum()),
    )
