"""Bad input: exit status 2 and one clear line, never a traceback."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from sargraph.core.artifact import MANIFEST
from sargraph.events.events import Events


def refused(result, *words):
    assert result.status == 2, (result.out, result.err)
    assert result.err.count("\n") == 1, result.err
    for word in words:
        assert word in result.err, result.err


@pytest.fixture
def logs(world, tmp_path):
    shutil.copytree(world / "logs", tmp_path / "logs")
    return tmp_path / "logs"


@pytest.fixture
def ingesting(command, logs, tmp_path):
    return lambda: command("ingest", "synthetic", "--source", logs, "--out", tmp_path / "out")


def test_missing_column(ingesting, logs):
    file = logs / "rec_inter.csv"
    file.write_text(file.read_text().replace("item_id", "itemid", 1))
    refused(ingesting(), "item_id", "rec_inter.csv")


def test_unknown_recipe_key(command, world, tmp_path):
    recipe = tmp_path / "mine.toml"
    recipe.write_text('name = "mine"\ntime_knid = "ms"\n')
    result = command("ingest", recipe, "--source", world / "logs", "--out", tmp_path / "out")
    refused(result, "time_knid", "time_kind")


def test_unknown_recipe(command, world, tmp_path):
    result = command("ingest", "kuaisra", "--source", world / "logs", "--out", tmp_path / "out")
    refused(result, "kuaisra", "kuaisar")


def test_empty_file(ingesting, logs):
    (logs / "rec_inter.csv").write_text("")
    refused(ingesting(), "rec_inter.csv", "empty")


def test_bytes_that_are_not_utf8(ingesting, logs):
    with (logs / "titles.csv").open("ab") as file:
        file.write(b"99999999,caf\xe9\n")
    refused(ingesting(), "titles.csv", "encoding")


@pytest.mark.parametrize(("factor", "unit"), [(0.001, "s"), (1000, "us")])
def test_a_wrong_time_unit(ingesting, logs, factor, unit):
    import pandas as pd

    frame = pd.read_csv(logs / "rec_inter.csv")
    frame["timestamp"] = (frame["timestamp"] * factor).astype("int64")
    frame.to_csv(logs / "rec_inter.csv", index=False)
    refused(ingesting(), "timestamp", f"'{unit}'")


def test_a_folder_that_is_no_artefact(command, tmp_path):
    refused(command("build", tmp_path, "--out", tmp_path / "g"), "not an artefact")


def test_an_artefact_of_another_kind(command, world, tmp_path):
    result = command("build", world / "graph", "--out", tmp_path / "g")
    refused(result, "holds 'graph', expected 'events'")


def test_an_artefact_of_another_version(command, world, tmp_path):
    shutil.copytree(world / "events", tmp_path / "e")
    about = json.loads((tmp_path / "e" / MANIFEST).read_text())
    (tmp_path / "e" / MANIFEST).write_text(json.dumps({**about, "format_version": 99}))
    refused(command("build", tmp_path / "e", "--out", tmp_path / "g"), "version 99")


def test_an_artefact_whose_hash_does_not_fit(command, world, tmp_path):
    shutil.copytree(world / "events", tmp_path / "e")
    with (tmp_path / "e" / "user.parquet").open("ab") as file:
        file.write(b"x")
    refused(command("build", tmp_path / "e", "--out", tmp_path / "g"), "hash")


def test_events_that_the_graph_or_the_model_was_not_made_from(command, world, tmp_path):
    """Rows of other events mean other users: what is judged by them is nothing."""
    events = Events.load(world / "events")
    other = tmp_path / "other"
    replace(events, columns={**events.columns, "time": events.time - 1}).save(other)
    epoch = ["--set", "num_epochs=1", "--set", "dim=8"]
    train = ["train", world / "graph", "--out", tmp_path / "e", *epoch]
    refused(command(*train, "--events", other), "other events")
    assert command(*train).status == 0
    judge = ["evaluate", tmp_path / "e", other, "--out", tmp_path / "report"]
    refused(command(*judge), "other events")


def test_an_unknown_user(command, world):
    refused(command("similar", world / "users", "nobody"), "unknown id 'nobody'")
    refused(command("similar", world / "users"), "USER_ID or --history FILE")
    refused(command("similar", world / "users", "--history", world / "none.csv"), "none.csv")


def test_an_unknown_model(command, world, tmp_path):
    result = command("train", world / "graph", "--model", "uditrs", "--out", tmp_path / "e")
    refused(result, "uditsr")


def test_an_unknown_setting(command, world, tmp_path):
    result = command("train", world / "graph", "--out", tmp_path / "e", "--set", "num_epoch=3")
    refused(result, "num_epoch", "num_epochs")


def test_an_unknown_export_format(command, world, tmp_path):
    result = command("export", tmp_path / "none", "--to", "npy", "--out", tmp_path / "x")
    refused(result, "no such folder")


def test_a_missing_run_file(command, tmp_path):
    refused(command("run", tmp_path / "none.toml"), "none.toml")


def test_an_unknown_key_in_a_run_file(command, tmp_path):
    (tmp_path / "run.toml").write_text('name = "x"\n[ingest]\nrecipee = "lastfm"\n')
    refused(command("run", tmp_path / "run.toml"), "recipee", "recipe")


def test_wrong_arguments(command):
    assert command("similar").status == 2
    assert command("no-such-command").status == 2


def test_text_in_a_log_is_never_evaluated(ingesting, logs, tmp_path):
    trap = tmp_path / "trap"
    file = logs / "src_inter.csv"
    text = file.read_text().splitlines()
    cells = text[1].split('"')
    cells[1] = f"[__import__('os').mkdir('{trap}')]"
    file.write_text("\n".join([text[0], '"'.join(cells), *text[2:]]) + "\n")
    assert ingesting().status == 0
    assert not trap.exists()
