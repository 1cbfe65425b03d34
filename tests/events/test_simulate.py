"""The simulator: files in KuaiSAR's shape, planted effects that can be switched off."""

from __future__ import annotations

import csv
import datetime
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from sargraph.core.artifact import read_manifest
from sargraph.core.errors import ArtifactError
from sargraph.core.table import read_columns
from sargraph.events.simulate import SimulateConfig, SimulationSummary, simulate

SMALL = SimulateConfig.preset("tiny")

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


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> SimulationSummary:
    return simulate(tmp_path_factory.mktemp("simulated") / "logs", SMALL, seed=7)


def rows_of(summary: SimulationSummary, name: str) -> list[dict[str, str]]:
    with (summary.path / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


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


@pytest.mark.parametrize(
    ("preset", "causes"),
    [("planted", {"own", "search", "explored", "click"}), ("no_r2s", {"own", "search", "explored"}),
     ("no_s2r", {"own", "explored", "click"}), ("no_transitions", {"own", "explored"})],
)  # fmt: skip
def test_a_mechanism_that_is_off_causes_no_demand(
    preset: str, causes: set[str], tmp_path: Path
) -> None:
    world = simulate(tmp_path / "logs", SimulateConfig.preset(preset, num_users=100), seed=1)
    demands = read_columns(world.path / "truth" / "demands.parquet")
    assert set(demands["cause"]) == causes


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


def test_a_tiny_world_works(tmp_path: Path) -> None:
    tiny = SimulateConfig(num_users=2, num_days=1, num_items=48, num_topics=4)
    for seed in range(5):
        summary = simulate(tmp_path / str(seed), tiny, seed=seed)
        assert len(rows_of(summary, "rec_inter.csv")) == summary.recommended
