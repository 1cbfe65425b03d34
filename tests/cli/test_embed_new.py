"""New ids by command: placed, judged, taken up by the next training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sargraph.core.artifact import read_manifest
from sargraph.embedding.embeddings import Embeddings
from sargraph.events.events import Events
from sargraph.events.split import split_events
from sargraph.pipeline import commands
from sargraph.testing.newcomers import KNOWN, SIZES, before_the_newcomers, newcomer_world

TINY = ("--set", "dim=8", "--set", "num_epochs=2", "--set", "batch_size=512")


@pytest.fixture(scope="module")
def platform(tmp_path_factory) -> Path:
    """Events before and after newcomers, with graphs and embeddings of the former."""
    from sargraph.pipeline.models import train_embeddings

    folder = tmp_path_factory.mktemp("platform")
    world = newcomer_world()
    before_the_newcomers(world).save(folder / "old")
    world.save(folder / "new")
    commands.build_from(folder / "old", folder / "old-graph", True)
    commands.build_from(folder / "new", folder / "new-graph", False)
    settings = [TINY[1], TINY[3], TINY[5]]
    train_embeddings(folder / "old-graph", folder / "e", "uditsr", None, 0, settings, False)
    return folder


def done(result):
    assert result.status == 0, result.err
    return result.out


def test_new_ids_are_placed_counted_and_judged(command, platform, tmp_path):
    arguments = ["embed-new", platform / "e", platform / "new", "--out", tmp_path / "p"]
    rows = {row["kind"]: row for row in json.loads(done(command(*arguments, "--json")))["rows"]}
    assert list(rows["user"]) == ["kind", "hot", "warm", "cold"]
    for kind in ("user", "item"):
        assert rows[kind]["hot"] == KNOWN[kind]
        assert sum(rows[kind][state] for state in ("hot", "warm", "cold")) == SIZES[kind]
    events = Events.load(platform / "new")
    placed = Embeddings.load(tmp_path / "p")
    expected = Embeddings.load(platform / "e").embed_new(events, split=split_events(events))
    np.testing.assert_array_equal(placed.tables["user"], expected.tables["user"])
    assert read_manifest(tmp_path / "p").parents["embeddings"]
    report = ["evaluate", tmp_path / "p", platform / "new", "--out", tmp_path / "r"]
    assert "uditsr" in done(command(*report))
    assert "warm" in done(command(*arguments, "--all-events"))
    result = command(*report)
    assert result.status == 2 and "another split" in result.err


def test_the_time_of_embed_new_is_an_argument(command, platform, tmp_path):
    made = []
    for number, more in enumerate((["--as-of", 10], ["--as-of", 12])):
        out = tmp_path / str(number)
        done(command("embed-new", platform / "e", platform / "new", "--out", out, *more))
        made.append(Embeddings.load(out).report["embed_new"])
    assert made[0]["events_read"] < made[1]["events_read"]
    assert made[0]["user"]["cold"] > made[1]["user"]["cold"]


def test_a_training_starts_from_older_embeddings(command, platform, tmp_path):
    train = ["train", platform / "new-graph", *TINY, "--out"]
    done(command(*train, tmp_path / "warm", "--start", platform / "e"))
    done(command(*train, tmp_path / "cold"))
    warm, cold = (Embeddings.load(tmp_path / name) for name in ("warm", "cold"))
    assert warm.report["rows_from_start"]["user"] == KNOWN["user"]
    assert warm.parents["start"] == Embeddings.load(platform / "e").content_hash
    assert warm.history[0]["loss"] < cold.history[0]["loss"]


def test_what_does_not_fit_is_one_line(command, platform, tmp_path):
    out = ("--out", tmp_path / "o")
    for arguments, message in (
        (["embed-new", platform / "old", platform / "new", *out], "expected 'embeddings'"),
        (["embed-new", platform / "e", platform / "old-graph", *out], "expected 'events'"),
        (["train", platform / "new-graph", *out, "--start", platform / "old"], "'embeddings'"),
        (["train", platform / "new-graph", *out, "--model", "bpr", "--start", platform / "e"],
         "start of model 'uditsr', expected 'bpr'"),
        (["evaluate", platform / "e", platform / "new", *out], "from other events"),
    ):  # fmt: skip
        result = command(*arguments)
        assert result.status == 2 and message in result.err, result.err
        assert result.err.count("\n") == 1
    assert not (tmp_path / "o").exists()
