"""The planted world: what was planted can be found, and is gone where it was switched off."""

from __future__ import annotations

import csv
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from sargraph.core.table import read_columns
from sargraph.core.types import NO_TIME
from sargraph.events.simulate import SimulateConfig, SimulationSummary, simulate
from sargraph.events.simulation.recommending import Batches, live_recommendations
from sargraph.events.simulation.searching import Searches, search_all
from sargraph.events.simulation.timeline import HOUR_MS, draw_timeline
from sargraph.events.simulation.world import World, plant_world

SMALL = SimulateConfig.preset("tiny")
LARGER = SimulateConfig.preset("small")

Run = tuple[World, Batches, Searches]


def rows_of(summary: SimulationSummary, name: str) -> list[dict[str, str]]:
    with (summary.path / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@cache
def run(seed: int = 5, **changes: object) -> Run:
    world = plant_world(LARGER.model_copy(update=changes), seed)
    timeline = draw_timeline(world, seed)
    batches = live_recommendations(world, timeline, seed)
    return world, batches, search_all(world, timeline, batches, seed)


def clicks_by_user(world: World, batches: Batches) -> dict[int, list[tuple[int, int]]]:
    """(time, topic) of every recommended click of each user."""
    clicks: dict[int, list[tuple[int, int]]] = defaultdict(list)
    row, column = np.nonzero(batches.clicked)
    topic = world.items.topic[batches.shown[row, column]]
    for user, time, t in zip(batches.user[row], batches.time[row], topic, strict=True):
        clicks[int(user)].append((int(time), int(t)))
    return clicks


def topic_share(result: Run, low_hours: float, high_hours: float) -> float:
    """Share of clicks on the searched topic among clicks `low..high` hours after a search."""
    world, batches, searches = result
    clicks, hits = clicks_by_user(world, batches), []
    for user, time, word in zip(searches.user, searches.time, searches.word, strict=True):
        for clicked, topic in clicks[int(user)]:
            if low_hours * HOUR_MS < clicked - time <= high_hours * HOUR_MS:
                hits.append(topic == word // 12)
    return float(np.mean(hits))


def test_click_rates() -> None:
    _, batches, searches = run()
    shown = batches.shown >= 0
    assert 0.45 < batches.clicked.sum() / shown.sum() < 0.55
    assert 0.1 < searches.clicked.sum() / (searches.shown >= 0).sum() < 0.12
    assert 0.37 < 1 - searches.clicked.any(axis=1).mean() < 0.43
    assert not (batches.clicked & ~shown).any()


def test_popularity_has_a_long_tail() -> None:
    world, batches, _ = run()
    counts = np.sort(np.bincount(batches.shown[batches.shown >= 0], minlength=len(world.items)))
    assert counts[-len(counts) // 10 :].sum() > 0.25 * counts.sum()


def test_an_item_is_not_recommended_again_soon() -> None:
    _, batches, _ = run()
    repeats = total = 0
    for user in range(100):
        shown = batches.shown[batches.user == user]
        items = shown[shown >= 0][:150]  # a tenth of the catalogue
        repeats, total = repeats + len(items) - len(np.unique(items)), total + len(items)
    assert repeats <= 0.01 * total
    assert (batches.shown[:, 0] >= 0).all()


def test_clicks_follow_inherent_intents() -> None:
    world, batches, _ = run()
    row, column = np.nonzero(batches.shown >= 0)
    topic = world.items.topic[batches.shown[row, column]]
    share = world.topic_shares[batches.user[row], topic]
    clicked = batches.clicked[row, column]
    assert clicked[share > 0.2].mean() > clicked[share < 0.05].mean() + 0.2


def test_s2r_raises_the_searched_topic_after_a_search() -> None:
    result = run(r2s_effect=False)
    before = topic_share(result, -6, 0)
    assert topic_share(result, 0, 1) > before + 0.15
    assert topic_share(result, 0, 1) > topic_share(result, 3, 24) + 0.1


def test_without_s2r_a_search_changes_nothing() -> None:
    result = run(s2r_effect=False, r2s_effect=False)
    assert (result[1].searched_at == NO_TIME).all()
    assert abs(topic_share(result, 0, 6) - topic_share(result, -6, 0)) < 0.03


@pytest.mark.parametrize("decay", ["exponential", "power"])
def test_the_pull_of_a_search_decays_as_configured(decay: str) -> None:
    _, batches, searches = run(s2r_decay=decay)
    latest: dict[int, list[int]] = defaultdict(list)
    for user, time in zip(searches.user, searches.time, strict=True):
        latest[int(user)].append(int(time))
    followed: dict[int, list[tuple[bool, float]]] = defaultdict(list)
    for user, time, cause in zip(batches.user, batches.time, batches.searched_at, strict=True):
        earlier = [t for t in latest[int(user)] if t < time]
        assert cause == NO_TIME or cause == max(earlier)
        if earlier:
            halvings = (time - max(earlier)) / (6 * HOUR_MS)
            pull = 0.5**halvings if decay == "exponential" else 1 / (1 + halvings)
            followed[min(int(halvings * 2), 8)].append((cause != NO_TIME, 0.85 * pull))
    for pairs in followed.values():
        seen, expected = np.mean(np.array(pairs, dtype=float), axis=0)
        assert abs(seen - expected) < 3.5 * np.sqrt(0.25 / len(pairs))


def test_r2s_lets_a_click_open_a_search_about_the_item() -> None:
    world, batches, searches = run()
    opened = np.flatnonzero(searches.batch >= 0)
    assert len(opened) > 300
    batch = searches.batch[opened]
    column = batches.opened[batch]
    assert batches.clicked[batch, column].all()
    item = batches.shown[batch, column]
    assert (world.items.word[item] == searches.word[opened]).all()
    delay = searches.time[opened] - batches.time[batch]
    assert delay.min() > 0 and delay.max() < 10 * 60_000


def test_without_r2s_neither_when_nor_what_depends_on_a_click() -> None:
    world, batches, searches = run(s2r_effect=False, r2s_effect=False)
    opened = np.flatnonzero(searches.batch >= 0)
    with_effect = run()[2]
    assert len(opened) == pytest.approx((with_effect.batch >= 0).sum(), rel=0.15)
    batch = searches.batch[opened]
    clicked = batches.clicked[batch, batches.opened[batch]]
    assert abs(clicked.mean() - 0.5) < 0.08
    item = batches.shown[batch, batches.opened[batch]]
    about = world.items.topic[item] == searches.word[opened] // 12
    own = world.topic_shares[searches.user[opened], world.items.topic[item]].mean()
    assert abs(about.mean() - (0.7 * own + 0.3 / 12)) < 0.06


def test_without_r2s_the_files_mark_no_related_search(tmp_path: Path) -> None:
    changed = SMALL.model_copy(update={"r2s_effect": False})
    summary = simulate(tmp_path / "null", changed, seed=7)
    rec = rows_of(summary, "rec_inter.csv")
    assert sum(row["search"] == "1" for row in rec) > 20
    assert all(row["search_item_related"] == "0" for row in rec)
    assert summary.r2s_transitions == 0


def test_query_words_name_what_is_found_and_clicked() -> None:
    world, _, searches = run()
    row, column = np.nonzero(searches.clicked)
    topic = world.items.topic[searches.shown[row, column]]
    assert (topic == searches.terms[row, 0] // 12).mean() > 0.8


def test_without_query_about_items_words_say_nothing() -> None:
    world, _, searches = run(query_about_items=False)
    row, column = np.nonzero(searches.clicked)
    topic = world.items.topic[searches.shown[row, column]]
    assert abs((topic == searches.terms[row, 0] // 12).mean() - 1 / 12) < 0.03
    assert (topic == searches.word[row] // 12).mean() > 0.8


def test_category_noise_files_items_wrongly(tmp_path: Path) -> None:
    changed = SMALL.model_copy(update={"category_noise": 0.5})
    summary = simulate(tmp_path / "noisy", changed, seed=7)
    truth = read_columns(summary.path / "truth" / "items.parquet")
    topic = dict(zip(truth["item_id"], truth["topic"], strict=True))
    right = [
        row["second_level_category_name_en"] == topic[int(row["item_id"])]
        for row in rows_of(summary, "item_features.csv")
    ]
    assert 0.45 < np.mean(right) < 0.65


SWITCHES = (
    "s2r_effect", "r2s_effect", "demand_changes", "query_about_items", "similar_users",
)  # fmt: skip


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_switch_leaves_when_and_how_much_people_act(switch: str) -> None:
    """A null world differs in its mechanism, not in activity, click rates or lengths of lists."""
    (world, batches, searches), (planted, *lived) = run(**{switch: False}), run()
    with_it, without_it = (draw_timeline(w, 5) for w in (planted, world))
    assert (with_it.time == without_it.time).all() and (with_it.user == without_it.user).all()
    assert (with_it.is_search == without_it.is_search).all()
    assert (world.items.terms == planted.items.terms).all()
    assert (world.users.activity == planted.users.activity).all()
    for one, other in zip((batches, searches), lived, strict=True):
        shown, before = one.shown >= 0, other.shown >= 0
        assert shown.sum() == pytest.approx(before.sum(), rel=0.05)
        rate, rate_before = one.clicked.sum() / shown.sum(), other.clicked.sum() / before.sum()
        assert rate == pytest.approx(rate_before, abs=0.02)


def test_query_words_change_nothing_but_themselves() -> None:
    (_, batches, searches), (_, lived, found) = run(query_about_items=False), run()
    for name in ("shown", "clicked", "opened", "searched_at"):
        assert (getattr(batches, name) == getattr(lived, name)).all()
    for name in ("user", "time", "word", "batch"):
        assert (getattr(searches, name) == getattr(found, name)).all()
    assert (searches.terms[:, 0] != found.terms[:, 0]).mean() > 0.9
