"""`sargraph compare`: two reports on the screen, for machines, and refused in one line."""

from __future__ import annotations

import json

import pytest

from sargraph.evaluation.baselines import Popularity, TermLexical
from sargraph.events.events import Events
from sargraph.events.split import split_events
from sargraph.pipeline.config import EvaluateStage
from sargraph.pipeline.judge import evaluate


@pytest.fixture(scope="module")
def reports(world, tmp_path_factory):
    """One run with a scorer, and one with another under the same name."""
    events = Events.load(world / "events")
    split = split_events(events)
    folder = tmp_path_factory.mktemp("reports")
    settings = EvaluateStage(max_requests=0, min_requests=5, min_users=2)
    for name, scorer in (
        ("one", TermLexical(events, split.is_train)),
        ("two", Popularity(events, split.is_train, "search")),
    ):
        scorer.name = "ours"
        evaluate(scorer, events, split, settings=settings).save(folder / name)
    return folder


def test_two_reports_on_the_screen(command, reports):
    found = command("compare", reports / "one", reports / "two", "--model", "ours")
    assert found.status == 0, found.err
    for part in ("search, 1+99", "ours", "detectable", "all", "verdict"):
        assert part in found.out


def test_two_reports_for_machines(command, reports, caplog):
    found = command("compare", reports / "one", reports / "two", "--json")
    assert found.status == 0, found.err
    rows = json.loads(found.out)["rows"]
    assert {row["model"] for row in rows} == {"ours"}
    whole = next(row for row in rows if row["task"] == "search" and row["slice"] == "all")
    assert whole["low"] <= whole["difference"] <= whole["high"]
    assert whole["verdict"] in ("shown", "refuted", "cannot tell")
    assert "ranked alike in both runs: popularity" in caplog.text


def test_what_cannot_be_compared_is_one_line(command, reports, world):
    found = command("compare", reports / "one", reports / "two", "--model", "theirs")
    assert found.status == 2
    assert "no results of 'theirs'" in found.err
    other = command("compare", reports / "one", world / "events")
    assert other.status == 2
    assert "expected 'report'" in other.err
