"""Seasonal demand: what was planted moves the demands, and nothing moves where it is off."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from sargraph.core.types import DoubleArray, IntArray
from sargraph.events.simulate import SimulateConfig, simulate
from sargraph.events.simulation.seasons import PERIODS, Seasons, turns
from sargraph.events.simulation.timeline import Timeline, draw_timeline
from sargraph.events.simulation.topics import SUBTOPICS_PER_TOPIC
from sargraph.events.simulation.world import World, plant_world

TOPICS = 8
CONFIG = SimulateConfig(
    num_users=1500,
    num_days=28,
    num_items=600,
    num_topics=TOPICS,
    persistence=0,
    steps_per_session=1,
    similar_users=False,
    season_strength=0.8,
)
"""Every user wants every topic alike, and every step draws its demand afresh."""


def live(seasonal: bool) -> tuple[World, Timeline]:
    world = plant_world(CONFIG.model_copy(update={"seasonal_demand": seasonal}), seed=4)
    return world, draw_timeline(world, seed=4)


def expected_shares(seasons: Seasons, time: IntArray) -> DoubleArray:
    """Share of each topic at each time, from the formula in the docstring, one by one."""
    weights = np.zeros((len(time), TOPICS))
    for row, t in enumerate(time.tolist()):
        local = datetime.datetime.fromtimestamp(t / 1000, datetime.UTC)
        local += datetime.timedelta(hours=8)
        day = (local - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)).total_seconds()
        gone = (
            (local.hour + local.minute / 60 + local.second / 3600) / 24,
            local.weekday() / 7,
            day / 86400 / 365.25,
        )
        for topic in range(TOPICS):
            angles = 2 * np.pi * (np.array(gone) - seasons.peak[topic])
            weights[row, topic] = np.exp(0.8 * np.cos(angles).sum())
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("source", ["search_demand", "recommend_demand"])
def test_demands_follow_the_planted_seasons(source: str) -> None:
    world, timeline = live(seasonal=True)
    own = timeline.is_search if source == "search_demand" else ~timeline.is_search
    rows = np.flatnonzero(own)[::3]  # at the steps of the other source nothing is drawn
    topic = getattr(timeline, source)[rows] // SUBTOPICS_PER_TOPIC
    expected = expected_shares(world.seasons, timeline.time[rows])
    seen = np.eye(TOPICS)[topic]
    hour = (timeline.time[rows] // 3_600_000 + 8) % 24
    for h in range(24):
        here = hour == h
        error = np.sqrt((expected[here] * (1 - expected[here])).sum(axis=0)) / here.sum()
        gap = np.abs(seen[here].mean(axis=0) - expected[here].mean(axis=0))
        assert (gap < 4.5 * error + 1e-9).all()
    # Far from what it would be without seasons: a gain in log-likelihood per demand.
    own = np.log(expected[np.arange(len(topic)), topic]).mean()
    assert own > -np.log(TOPICS) + 0.3


def test_off_means_that_no_topic_has_a_time() -> None:
    world, timeline = live(seasonal=False)
    topic = timeline.search_demand // SUBTOPICS_PER_TOPIC
    assert (world.seasons.chance(topic, timeline.time) == 1).all()
    hour = (timeline.time // 3_600_000 + 8) % 24
    for h in range(24):
        share = np.bincount(topic[hour == h], minlength=TOPICS) / (hour == h).sum()
        assert np.abs(share - 1 / TOPICS).max() < 4.5 * np.sqrt(0.11 / (hour == h).sum())


def test_turns_count_beijing_days_weeks_and_years() -> None:
    monday = CONFIG.start_ms  # 22 May 2023, midnight in Beijing
    hour, weekday = (turns(np.array([monday, monday + 86_400_000 // 4]), p) % 1 for p in (0, 1))
    assert hour.tolist() == [0.0, 0.25]
    assert np.abs(weekday - np.round(weekday)).max() < 1e-9  # still Monday at six
    sunday = turns(np.array([monday - 1]), 1) % 1
    assert sunday[0] == pytest.approx(6 / 7)


def test_switching_seasons_on_leaves_the_times_and_sources_of_steps(tmp_path: Path) -> None:
    (_, off), (_, on) = live(False), live(True)
    assert (off.time == on.time).all() and (off.is_search == on.is_search).all()
    assert (off.search_demand != on.search_demand).mean() > 0.5


def test_the_truth_says_when_topics_peak(tmp_path: Path) -> None:
    simulate(tmp_path / "on", preset="tiny", seed=2)
    config = SimulateConfig.preset("tiny", seasonal_demand=True)
    simulate(tmp_path / "seasonal", config, seed=2)
    off, on = (
        pq.read_table(tmp_path / name / "truth" / "seasons.parquet").to_pandas()
        for name in ("on", "seasonal")
    )
    assert set(off["strength"]) == {0.0} and set(on["strength"]) == {0.5}
    assert on.groupby("topic")["period"].apply(list).tolist() == [list(PERIODS)] * 8
    largest = on.groupby("period")["peak"].max()
    assert largest["hour"] < 24 and largest["weekday"] < 7 < largest["season"] < 366
    peak = plant_world(config, 2).seasons.peak
    assert on["peak"].tolist() == pytest.approx((peak * [24, 7, 365.25]).ravel().tolist())
