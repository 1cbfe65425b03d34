"""Effects from logs alone: found where they were planted, absent where they were switched off."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest

from sargraph.events.effects import EFFECTS, measure_effects
from sargraph.events.events import Events
from sargraph.events.ingest import ingest
from sargraph.events.simulate import SimulateConfig, simulate

NULLED = {
    "no_s2r": ("s2r",),
    "no_r2s": ("r2s",),
    "no_demand_changes": ("search demand change", "recommend demand change"),
    "no_query_about_items": ("query about items",),
    "no_similar_users": ("similar neighbours",),
}
"""Which effects each null world switches off."""

NUM_USERS = 900


@cache
def events_of(preset: str) -> Events:
    with TemporaryDirectory() as folder:
        config = SimulateConfig.preset(preset, num_users=NUM_USERS)
        simulate(Path(folder) / "logs", config, seed=3)
        return ingest("synthetic", Path(folder) / "logs")


@cache
def effects_of(preset: str) -> pd.DataFrame:
    return measure_effects(events_of(preset), seed=3).set_index("effect")


def test_a_planted_world_shows_every_effect() -> None:
    table = effects_of("planted")
    assert tuple(table.index) == EFFECTS
    assert table["found"].all() and (table["value"] > table["high"]).all()
    assert (table["pairs"] >= table["users"]).all() and (table["users"] > 200).all()


@pytest.mark.parametrize("world", NULLED)
def test_a_null_world_hides_its_effect_and_keeps_the_others(world: str) -> None:
    table = effects_of(world)
    for effect, row in table.iterrows():
        if effect in NULLED[world]:
            assert not row["found"] and row["value"] <= row["high"], effect
        else:
            assert row["found"] and row["value"] > row["high"], effect


@pytest.mark.parametrize("world", ["power_decay", "category_noise"])
def test_a_mis_specified_world_still_shows_every_effect(world: str) -> None:
    assert effects_of(world)["found"].all()


def test_the_same_seed_gives_the_same_table_and_another_nearly_so() -> None:
    events = events_of("no_s2r")
    first, again = measure_effects(events, seed=3), measure_effects(events, seed=3)
    pd.testing.assert_frame_equal(first, again)
    other = measure_effects(events, seed=4)
    assert not first.equals(other)
    assert (first["null_mean"] - other["null_mean"]).abs().max() < 0.01


def test_without_categories_only_the_wording_is_measured() -> None:
    bare = replace(events_of("no_s2r"), categories=None)
    table = measure_effects(bare).set_index("effect")
    assert table["value"].isna().tolist() == [True] * 5 + [False]
    assert table["found"].tolist() == [False] * 5 + [True]
    assert (table["pairs"][:5] == 0).all()


def test_an_order_without_clock_times_says_nothing_about_windows() -> None:
    ordinal = replace(events_of("no_s2r"), time_kind="ordinal")
    assert measure_effects(ordinal)["value"].notna().sum() == 1


def test_shuffled_searches_show_nothing_of_the_search_log() -> None:
    """Every search gets other users' items and queries, so that no mechanism is left in it."""
    events = events_of("no_s2r")
    rows = np.flatnonzero(events.is_search)
    found = 0
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(rows)
        columns = dict(events.columns)
        for name in ("item", "query"):
            columns[name] = columns[name].copy()
            columns[name][rows] = columns[name][order]
        table = measure_effects(replace(events, columns=columns)).set_index("effect")
        found += int(table.loc[["s2r", "r2s", "search demand change"], "found"].sum())
        assert table.loc["recommend demand change", "found"]
    assert found <= 1  # of nine, at one in a hundred each


@pytest.mark.parametrize("kept", ["is_search", "is_recommend", "first event"])
def test_half_a_log_or_next_to_none_is_measured_as_far_as_it_goes(kept: str) -> None:
    events = events_of("no_s2r")
    half = np.array([0]) if kept == "first event" else getattr(events, kept)
    table = measure_effects(events.select(half)).set_index("effect")
    assert tuple(table.index) == EFFECTS
    measured = {
        "is_search": {"search demand change", "similar neighbours", "query about items"},
        "is_recommend": {"recommend demand change", "similar neighbours"},
        "first event": set(),
    }
    assert set(table.index[table["found"]]) == measured[kept]
    assert set(table.index[table["pairs"] > 0]) == measured[kept]
