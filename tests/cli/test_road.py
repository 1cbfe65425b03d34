"""Every command of the road, one after the other, on a small world."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from sargraph.pipeline import commands, models

TINY = ("--set", "dim=8", "--set", "num_epochs=1")
TINY_FIT = [
    "--set", "fit.num_epochs=1", "--set", "model.max_rec=5", "--set", "model.max_search=5",
    "--set", "model.id_dim=8", "--set", "model.dim=8", "--set", "num_contrast=16",
]  # fmt: skip


@pytest.fixture(scope="module")
def road(world, tmp_path_factory):
    return tmp_path_factory.mktemp("road")


RUN = """
name = "tiny"
[simulate]
num_users = 40
num_days = 6
[ingest]
recipe = "synthetic"
[train.config]
dim = 8
num_epochs = 1
[fit]
inits = []
[evaluate]
max_requests = 20
validation_requests = 50
"""
EXPECTED = """
events = "other"
seeds = [0]
[[figures]]
task = "search"
model = "nobody"
candidates = "1+99"
metric = "NDCG@10"
value = 0.5
tolerance = 0.01
"""


def done(result):
    assert result.status == 0, result.err
    return result.out


def test_simulate_writes_the_five_files_and_their_truth(command, tmp_path):
    out = done(command("simulate", tmp_path / "logs", "--users", 20, "--days", 3))
    assert "logs in" in out
    names = {p.name for p in (tmp_path / "logs").iterdir()}
    assert {"rec_inter.csv", "src_inter.csv", "user_features.csv", "item_features.csv",
            "social_network.csv", "truth"} <= names  # fmt: skip


def test_ingest_and_build_say_what_they_made(command, world, tmp_path):
    out = done(command("ingest", "synthetic", "--source", world / "logs", "--out", tmp_path / "e"))
    assert "search: click" in out and "simulated texts" in out
    out = done(command("build", tmp_path / "e", "--out", tmp_path / "g", "--json"))
    verbs = {row["edge_type"] for row in json.loads(out)["rows"]}
    assert any("clicked" in verb for verb in verbs) and any("found" in verb for verb in verbs)


def test_the_road_from_graph_to_report(command, world, road):
    events, graph = world / "events", world / "graph"
    done(command("train", graph, "--events", events, "--out", road / "emb", *TINY))
    done(command("virtualise", graph, road / "emb", "--out", road / "virtual", "-k", 2))
    done(command("export", road / "emb", "--to", "npy", "--out", road / "tables"))
    done(command("fit", events, "--init", road / "emb", "--out", road / "model", *TINY_FIT))
    out = done(command("evaluate", road / "model", events, "--out", road / "report"))
    assert "popularity" in out and "NDCG@10" in out and "protocol" in out
    for name in ("emb", "virtual", "model", "report"):
        assert done(command("describe", road / name))
    assert (road / "report" / "report.html").is_file()
    out = done(command("evaluate", road / "emb", events, "--out", road / "other", "--json"))
    assert {row["model"] for row in json.loads(out)["figures"]} >= {"uditsr", "popularity"}


def test_explain_edge_reads_a_virtual_query_in_words(command, world, road):
    from sargraph.graph.graph import CLICKED, Graph

    graph = Graph.load(road / "virtual")
    edge = graph.edges[CLICKED]
    user = graph.vocabularies["user"].ids[edge.from_row[0]]
    item = graph.vocabularies["item"].ids[edge.to_row[0]]
    out = done(command("explain-edge", road / "virtual", user, item, "--json"))
    found = json.loads(out)["rows"][0]
    assert found["queries"] and found["terms"] and -1 <= found["confidence"] <= 1


def test_similar_shows_neighbours_and_on_request_the_evidence(command, world):
    plain = json.loads(done(command("similar", world / "users", 1, "-k", 3, "--json")))
    assert len(plain["rows"]) == 3
    assert plain["rows"][0]["similarity"] >= plain["rows"][1]["similarity"]
    best = plain["rows"][0]
    evidence = [*best["shared_items"], *best["shared_terms"], *best["shared_categories"]]
    assert sum(entry["share"] for entry in evidence) == pytest.approx(1)
    explained = done(command("similar", world / "users", 1, "--explain"))
    assert "shared items" in explained and "%" in explained
    assert "shared items" not in done(command("similar", world / "users", 1))
    fast = json.loads(done(command("similar", world / "users", 1, "-k", 3, "--fast", "--json")))
    assert fast["rows"] == plain["rows"]  # 60 users: every list is all head


def test_similar_takes_a_history_that_the_index_never_saw(command, world, tmp_path):
    shared = json.loads(done(command("similar", world / "users", 1, "-k", 1, "--json")))["rows"][0]
    item = shared["shared_items"][0]
    (tmp_path / "history.csv").write_text(f"item_id,query\n{item['id']},\nno-such-item,\n")
    given = ("similar", world / "users", "--history", tmp_path / "history.csv", "--json")
    found = json.loads(done(command(*given)))
    assert found["num_unknown"] == 1 and "1 entries" in found["title"]
    assert all(row["shared_items"][0]["name"] == item["name"] for row in found["rows"])
    assert shared["user_id"] in {row["user_id"] for row in json.loads(
        done(command(*given, "-k", 60)))["rows"]}  # fmt: skip


def test_index_takes_settings_and_all_events(command, world, tmp_path):
    made = ["index", world / "events", "--out", tmp_path / "users", "--json"]
    searches = json.loads(done(command(*made, "--set", "profile.source=search")))["rows"]
    everything = json.loads(done(command(*made, "--everything")))["rows"]
    entries = {row["field"]: row["entries"] for row in everything}
    assert entries["item"] > next(r["entries"] for r in searches if r["field"] == "item") > 0


def test_run_walks_the_road_of_a_file_and_compares_with_what_was_expected(command, tmp_path):
    (tmp_path / "run.toml").write_text(RUN)
    (tmp_path / "expected.toml").write_text(EXPECTED)
    out = done(command("run", tmp_path / "run.toml", "--out", tmp_path / "runs"))
    assert "training" in out and "not those the expected figures were measured on" in out
    assert "missing: search, nobody" in out
    assert (tmp_path / "runs" / "tiny" / "report.html").is_file()
    again = command("run", tmp_path / "run.toml", "--out", tmp_path / "runs", "--json")
    assert set(json.loads(done(again))["seconds"].values()) == {0.0}


def test_doctor_names_versions_and_data(command):
    found = json.loads(done(command("doctor", "--json")))
    assert found["torch"] and found["cores"] >= 1 and "data_folder" in found


def test_resume_goes_on_from_the_checkpoint(command, world, tmp_path):
    graph = world / "graph"
    done(
        command("train", graph, "--out", tmp_path / "a", "--set", "dim=8", "--set", "num_epochs=2")
    )
    done(command("train", graph, "--out", tmp_path / "b", *TINY))
    done(command("train", graph, "--out", tmp_path / "b", "--resume",
                 "--set", "dim=8", "--set", "num_epochs=2"))  # fmt: skip
    whole, resumed = ((tmp_path / name / "tables.safetensors").read_bytes() for name in ("a", "b"))
    assert whole == resumed


def test_simulate_knows_named_worlds_and_says_how_far_kuaisar_is(command, tmp_path):
    arguments = ["--preset", "kuaisar", "--users", 120, "--format", "parquet", "--json"]
    found = json.loads(done(command("simulate", tmp_path / "logs", *arguments)))
    assert found["num_users"] == 120
    assert 0 < found["points_from_the_twelve_published_overlaps"] < 50


@pytest.mark.parametrize("as_json", [False, True])
def test_a_world_too_small_to_compare_has_its_summary(command, tmp_path, as_json):
    arguments = ["--preset", "kuaisar", "--users", 3, "--days", 1, "--seed", 1]
    result = command("simulate", tmp_path / "logs", *arguments, *(["--json"] if as_json else []))
    out = done(result)
    if as_json:
        found = json.loads(out)
        assert found["num_users"] == 3
        assert found["points_from_the_twelve_published_overlaps"] is None
    else:
        last = " ".join(out.splitlines()[-1].split())
        assert last == "points from the twelve published overlaps -"


def test_the_summary_says_why_the_distance_was_not_measured(tmp_path, caplog):
    from sargraph.pipeline.commands import simulate_world

    simulate_world(tmp_path / "logs", 3, 1, 1, "kuaisar")
    assert "could not be measured" in caplog.text and "src_inter.csv" in caplog.text


def test_describe_of_a_simulation_says_its_seed(command, tmp_path):
    done(command("simulate", tmp_path / "logs", "--users", 20, "--days", 2, "--seed", 41))
    rows = json.loads(done(command("describe", tmp_path / "logs", "--json")))["rows"]
    assert [row["value"] for row in rows if row["setting"] == "seed"] == ["41"]


@pytest.mark.parametrize("option", ["--html", "--markdown"])
@pytest.mark.parametrize("target", ["", ".", "/proc/x.html", "file/card"])
def test_describe_refuses_a_file_that_cannot_be_written(
    command, world, tmp_path, monkeypatch, option, target
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    result = command("describe", world / "graph", option, target)
    assert result.status == 2, result.err
    assert result.err.startswith("error: cannot write '") and result.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_describe_replaces_a_card_and_makes_its_folder(command, world, tmp_path):
    page = tmp_path / "new" / "card.html"
    for _ in range(2):
        done(command("describe", world / "graph", "--html", page))
    assert page.read_text(encoding="utf-8").count("<html") == 1


def test_describe_writes_a_card(command, world, tmp_path):
    page, text = tmp_path / "card.html", tmp_path / "card.md"
    done(command("describe", world / "events", "--html", page, "--markdown", text))
    assert "What it can decide" in text.read_text(encoding="utf-8")
    assert "What it can decide" in page.read_text(encoding="utf-8")


def test_commands_on_logs_load_no_network():
    code = "import sys, sargraph.pipeline.commands as c; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_seed_of_a_model_does_not_move_the_split(command, world, tmp_path, monkeypatch):
    """Held-out listens are drawn: by another seed, half of them would be edges of the graph."""
    seeds = []
    for module in (commands, models):
        real = module.split_events
        monkeypatch.setattr(
            module,
            "split_events",
            lambda *a, f=real, **k: seeds.append(k.get("seed", 0)) or f(*a, **k),
        )
    made = ["train", world / "graph", "--out", tmp_path / "e", "--events", world / "events"]
    done(command(*made, *TINY, "--seed", 5))
    judged = ["evaluate", tmp_path / "e", world / "events", "--out", tmp_path / "r", "--seed", 7]
    done(command(*judged))
    done(command("build", world / "events", "--out", tmp_path / "g"))
    assert seeds == [0, 0, 0]
