"""`simulate`: raw logs in KuaiSAR's format from a planted world, with the truth beside them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sargraph.core.artifact import writing
from sargraph.core.errors import ConfigError, nearest
from sargraph.core.progress import progress
from sargraph.core.types import NO_ROW, IntArray
from sargraph.events.simulation import kuaisar_files as files
from sargraph.events.simulation import truth
from sargraph.events.simulation.columns import Column
from sargraph.events.simulation.recommending import Batches, calibrate, live_recommendations
from sargraph.events.simulation.searching import Searches, search_all
from sargraph.events.simulation.settings import SimulateConfig
from sargraph.events.simulation.sinks import FORMATS, Format, LogFiles
from sargraph.events.simulation.timeline import Timeline, draw_timeline
from sargraph.events.simulation.world import Items, World, plant_world

__all__ = ["SimulateConfig", "SimulationSummary", "simulate"]


@dataclass(frozen=True)
class SimulationSummary:
    """What was written: where, how many rows, and how many planted transitions."""

    path: Path
    num_users: int
    num_items: int
    num_terms: int
    batches: int = 0
    recommended: int = 0
    recommended_clicked: int = 0
    searches: int = 0
    searches_without_click: int = 0
    found: int = 0
    found_clicked: int = 0
    s2r_transitions: int = 0
    r2s_transitions: int = 0

    @property
    def recommendation_click_rate(self) -> float:
        """Clicks per recommended item."""
        return self.recommended_clicked / max(self.recommended, 1)

    @property
    def search_click_rate(self) -> float:
        """Clicks per found item."""
        return self.found_clicked / max(self.found, 1)


@dataclass(frozen=True)
class _Shard:
    """All that the users of one shard did."""

    world: World
    timeline: Timeline
    batches: Batches
    searches: Searches


def simulate(
    out: Path | str,
    config: SimulateConfig | None = None,
    *,
    preset: str | None = None,
    format: Format = "csv",
    seed: int = 0,
) -> SimulationSummary:
    """Write the raw logs of a simulated platform into the folder `out`.

    The world is `config`, or the one that `SimulateConfig.preset` knows as `preset`.
    `format` "csv" gives KuaiSAR's five CSV files, `terms.csv` and `titles.csv` for readable names
    (recipe `synthetic`); "parquet" the same columns with native types, the two logs as folders of
    one part per shard (recipe `synthetic_parquet`). `truth/` holds `user_intents`,
    `communities`, `items`, `seasons`, `demands`, `transitions` (Parquet) and `settings.json`.
    Each source has a demand of its own (a Markov chain over sub-topics), so that what a user
    searches tells of later recommendations only through the S2R effect, and the other way round
    only through the R2S effect, beyond the inherent intents both share.
    The same config and seed give the same bytes; a shard does not depend on the others. Raises
    ConfigError (too few items, unknown preset or format), ArtifactError (`out` is a folder of
    something else). Cost: O(impressions), some 2 us each; memory O(impressions of a shard).
    """
    config = _chosen(config, preset)
    if format not in FORMATS:
        raise ConfigError(f"unknown format '{format}'; {nearest(format, FORMATS)}")
    settings = config.model_dump(mode="json")
    first = plant_world(config, seed)
    with writing(out, "simulation", config=settings, seed=seed) as folder:
        (folder / "truth").mkdir()
        with LogFiles(folder, format) as logs:
            counts = _write_shards(logs, config, first.items, seed)
            for name, columns in _of_all_shards(first, seed).items():
                logs.write(name, columns)
        text = json.dumps({"seed": seed, **settings}, indent=2, sort_keys=True)
        (folder / "truth" / "settings.json").write_text(text + "\n", encoding="utf-8")
    return SimulationSummary(
        Path(out), config.num_users, len(first.items), len(first.vocabulary), **counts
    )


def _chosen(config: SimulateConfig | None, preset: str | None) -> SimulateConfig:
    if config is not None and preset is not None:
        raise ConfigError(f"got a config and preset '{preset}', expected one of them")
    return config or SimulateConfig.preset(preset or "planted")


def _of_all_shards(world: World, seed: int) -> dict[str, Mapping[str, Column]]:
    """The files that do not depend on what users did."""
    return {
        "item_features": files.item_columns(world, seed),
        "terms": files.term_columns(world),
        "titles": files.title_columns(world),
        "truth/items": truth.true_item_columns(world),
        "truth/seasons": truth.season_columns(world),
    }


def _write_shards(logs: LogFiles, config: SimulateConfig, items: Items, seed: int) -> Counter[str]:
    """Live and write shard by shard; the features need the activity of all users."""
    counts: Counter[str] = Counter()
    activity: list[tuple[IntArray, IntArray, IntArray]] = []
    intercept = None
    for number in progress(range(config.num_shards), "simulating"):
        world = plant_world(config, seed, number, items)
        timeline = draw_timeline(world, seed)
        if intercept is None:
            intercept = calibrate(world, timeline, seed)
        batches = live_recommendations(world, timeline, seed, intercept)
        shard = _Shard(world, timeline, batches, search_all(world, timeline, batches, seed))
        counts.update(_write_shard(logs, shard, seed))
        activity.append(_activity(shard))
    communities, searches, shown = (np.concatenate(part) for part in zip(*activity, strict=True))
    features = files.user_columns(communities, searches, shown, config.similar_users, seed)
    logs.write("user_features", features)
    return counts


def _activity(shard: _Shard) -> tuple[IntArray, IntArray, IntArray]:
    """Community, number of searches and number of batches of each user."""
    n = len(shard.world.users)
    searches = np.bincount(shard.searches.user, minlength=n)
    return shard.world.users.community, searches, np.bincount(shard.batches.user, minlength=n)


def _write_shard(logs: LogFiles, shard: _Shard, seed: int) -> dict[str, int]:
    """Add a shard to the files; returns its counts."""
    world, batches, searches = shard.world, shard.batches, shard.searches
    shown = files.recommendation_columns(world, shard.timeline, batches, seed)
    transitions = truth.transition_columns(world, batches, searches)
    logs.write("rec_inter", shown, part=world.shard)
    logs.write("src_inter", files.search_columns(world, searches), part=world.shard)
    logs.write("social_network", files.follow_columns(world, seed))
    logs.write("truth/user_intents", truth.intent_columns(world))
    logs.write("truth/communities", truth.community_columns(world))
    logs.write("truth/demands", truth.demand_columns(world, batches, searches))
    logs.write("truth/transitions", transitions)
    s2r, r2s = truth.count_transitions(transitions)
    return {
        "batches": len(batches.user),
        "recommended": int((batches.shown != NO_ROW).sum()),
        "recommended_clicked": int(batches.clicked.sum()),
        "searches": len(searches.user),
        "searches_without_click": int((~searches.clicked.any(axis=1)).sum()),
        "found": int((searches.shown != NO_ROW).sum()),
        "found_clicked": int(searches.clicked.sum()),
        "s2r_transitions": s2r,
        "r2s_transitions": r2s,
    }
