"""The simulator: files in KuaiSAR's shape, planted effects that can be switched off."""

from __future__ import annotations

import csv
import datetime
import json
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from sargraph.core.artifact import read_manifest
from sargraph.core.errors import ArtifactError
from sargraph.core.table import read_columns
from sargraph.core.types import NO_TIME
from sargraph.events.simulate import SimulateConfig, SimulationSummary, simulate
from sargraph.events.simulation.recommending import Batches, live_recommendations
from sargraph.events.simulation.searching import Searches, search_all
from sargraph.events.simulation.timeline import HOUR_MS, draw_timeline
from sargraph.events.simulation.world import World, plant_world

SMALL = SimulateConfig(num_users=150, num_days=10, num_items=600, num_topics=8)
LARGER = SimulateConfig(num_users=400, num_days=20, num_items=1500, num_topics=12)

HEADERS = {
    "rec_inter.csv": "user_id,item_id,playing_time,duration_ms,time,timestamp,click,forward,like,"
    "follow,search,search_item_related",
    "src_inter.csv": "user_id,search_session_id,search_session_time,search_session_timestamp,"
    "keyword,search_source,item_id,click_cnt,item_type",
    "social_network.csv": "user_id,user_follow_id",
    "user_features.csv": "user_id,search_active_level,rec_active_level,onehot_feat1,onehot_feat2",
    "item_features.csv": "item_id,caption,author_id,item_type,upload_time,upload_type,"
    + ",".join(
        f"{level}_level_category_{field}"
        for level in ("first", "second", "third", "fourth")
        for field in ("id", "name", "name_en")
    ),
    "terms.csv": "term_id,text",
    "titles.csv": "item_id,title",
}

Run = tuple[World, Batches, Searches]


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> SimulationSummary:
    return simulate(tmp_path_factory.mktemp("simulated") / "logs", SMALL, seed=7)


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


def test_headers_are_those_documented(summary: SimulationSummary) -> None:
    for name, header in HEADERS.items():
        with (summary.path / name).open(encoding="utf-8") as file:
            assert file.readline().rstrip("\n") == header
    assert {path.name for path in summary.path.glob("*.csv")} == set(HEADERS)


def test_counts_of_the_summary_are_those_of_the_files(summary: SimulationSummary) -> None:
    rec, src = rows_of(summary, "rec_inter.csv"), rows_of(summary, "src_inter.csv")
    assert len(rec) == summary.recommended and len(src) == summary.found
    assert sum(row["click"] == "1" for row in rec) == summary.recommended_clicked
    assert sum(row["click_cnt"] == "1" for row in src) == summary.found_clicked
    assert len({(row["user_id"], row["search_session_id"]) for row in src}) == summary.searches
    assert len(rows_of(summary, "user_features.csv")) == summary.num_users == 150
    assert len(rows_of(summary, "item_features.csv")) == summary.num_items == 600
    assert len(rows_of(summary, "terms.csv")) == summary.num_terms == 8 * 12 + 48 + 16


def test_recommendation_rows_parse(summary: SimulationSummary) -> None:
    start, end = SMALL.start_ms, SMALL.end_ms
    beijing = datetime.timezone(datetime.timedelta(hours=8))
    batches: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows_of(summary, "rec_inter.csv"):
        assert row["timestamp"].endswith(".0") and row["duration_ms"].endswith(".0")
        time = int(float(row["timestamp"]))
        assert start <= time < end
        clock = datetime.datetime.fromtimestamp(time / 1000, beijing)
        assert row["time"] == clock.strftime("%Y-%m-%d %H:%M:%S")
        assert float(row["playing_time"]) >= 0 < float(row["duration_ms"])
        assert row["search"] == "1" or row["search_item_related"] == "0"
        batches[row["user_id"], row["timestamp"]].append(row["item_id"])
    sizes = [len(items) for items in batches.values()]
    assert len(sizes) == summary.batches and max(sizes) <= 8 and np.mean(sizes) > 4
    assert all(len(items) == len(set(items)) for items in batches.values())


def test_search_rows_parse(summary: SimulationSummary) -> None:
    num_words = 8 * 12
    sessions: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for row in rows_of(summary, "src_inter.csv"):
        assert SMALL.start_ms <= int(row["search_session_timestamp"]) < SMALL.end_ms
        sessions[row["user_id"], row["search_session_id"]].append(row)
    for rows in sessions.values():
        terms = json.loads(rows[0]["keyword"])
        assert 1 <= len(terms) <= 3 and len(set(terms)) == len(terms)
        assert all(1 <= term <= num_words for term in terms)
        assert len({(term - 1) // 12 for term in terms}) == 1
        assert len({(r["keyword"], r["search_session_timestamp"]) for r in rows}) == 1
        assert len(rows) <= 8 and len({r["item_id"] for r in rows}) == len(rows)
    assert 5.5 < summary.found / summary.searches < 7


def test_items_are_readable(summary: SimulationSummary) -> None:
    texts = {int(row["term_id"]): row["text"] for row in rows_of(summary, "terms.csv")}
    titles = {row["item_id"]: row["title"] for row in rows_of(summary, "titles.csv")}
    missing = 0
    for row in rows_of(summary, "item_features.csv"):
        words = titles[row["item_id"]].split()
        assert [texts[term] for term in json.loads(row["caption"])] == words
        assert 3 <= len(words) <= 5
        assert (row["third_level_category_id"], row["third_level_category_name"]) == ("0", "空")
        missing += row["second_level_category_id"] == "0"
        datetime.date.fromisoformat(row["upload_time"])
    assert 0 < missing < 40


def test_follow_lists_name_other_users(summary: SimulationSummary) -> None:
    members = read_columns(summary.path / "truth" / "communities.parquet")
    community = dict(zip(members["user_id"], members["community"], strict=True))
    close = []
    for row in rows_of(summary, "social_network.csv"):
        friends = json.loads(row["user_follow_id"])
        assert int(row["user_id"]) not in friends
        close += [community[friend] == community[int(row["user_id"])] for friend in friends]
    assert np.mean(close) > 0.6


def test_truth_fits_the_logs(summary: SimulationSummary) -> None:
    truth = summary.path / "truth"
    intents = read_columns(truth / "user_intents.parquet")
    total = np.bincount(intents["user_id"], weights=intents["share"])[1:]
    assert np.allclose(total, 1.0)
    demands = read_columns(truth / "demands.parquet")
    assert (demands["source"] == "search").sum() == summary.searches
    assert (demands["source"] == "recommend").sum() == summary.batches
    settings = json.loads((truth / "settings.json").read_text())
    assert settings["seed"] == 7 and settings["num_users"] == 150
    assert read_manifest(summary.path, "simulation").seed == 7


def test_transitions_of_the_truth_are_rows_of_the_logs(summary: SimulationSummary) -> None:
    truth = read_columns(summary.path / "truth" / "transitions.parquet")
    rec = {
        (int(r["user_id"]), int(float(r["timestamp"])), int(r["item_id"])): r
        for r in rows_of(summary, "rec_inter.csv")
    }
    sessions = {
        (int(r["user_id"]), int(r["search_session_id"])): int(r["search_session_timestamp"])
        for r in rows_of(summary, "src_inter.csv")
    }
    assert np.less(truth["from_time"], truth["to_time"]).all()
    for row in range(len(truth["kind"])):
        is_s2r = truth["kind"][row] == "S2R"
        shown_at, searched_at = truth["to_time"][row], truth["from_time"][row]
        if not is_s2r:
            shown_at, searched_at = searched_at, shown_at
        user = truth["user_id"][row]
        item = rec[user, shown_at, truth["item_id"][row]]
        assert item["click"] == "1"
        assert is_s2r or item["search_item_related"] == "1"
        assert sessions[user, truth["search_session_id"][row]] == searched_at
    assert (truth["kind"] == "S2R").sum() == summary.s2r_transitions > 50
    assert (truth["kind"] == "R2S").sum() == summary.r2s_transitions > 20


def test_the_same_seed_gives_the_same_bytes(summary: SimulationSummary, tmp_path: Path) -> None:
    again = simulate(tmp_path / "again", SMALL, seed=7)
    other = simulate(tmp_path / "other", SMALL, seed=8)
    first, second, third = (read_manifest(s.path) for s in (summary, again, other))
    assert first.files == second.files
    assert first.files["rec_inter.csv"] != third.files["rec_inter.csv"]


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ArtifactError, match="not an artefact"):
        simulate(tmp_path, SMALL)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


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


def test_a_tiny_world_works(tmp_path: Path) -> None:
    tiny = SimulateConfig(num_users=2, num_days=1, num_items=48, num_topics=4)
    for seed in range(5):
        summary = simulate(tmp_path / str(seed), tiny, seed=seed)
        assert len(rows_of(summary, "rec_inter.csv")) == summary.recommended
