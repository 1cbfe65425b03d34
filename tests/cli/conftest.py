"""One small world walked by commands once, for all tests of the command line."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from sargraph.cli import main


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str


@pytest.fixture
def command(monkeypatch, capsys):
    """Run one command in this process; returns its exit status and what it printed."""

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["sargraph", *map(str, arguments)])
        status = 0
        try:
            main()
        except SystemExit as stop:
            status = int(stop.code or 0)
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    """A folder with logs, events, graph and index of 60 users over 8 days."""
    from sargraph.events.events import Events
    from sargraph.events.ingest import ingest
    from sargraph.pipeline import commands

    folder = tmp_path_factory.mktemp("world")
    commands.simulate_world(folder / "logs", 60, 8, seed=1)
    ingest("synthetic", folder / "logs", folder / "events")
    assert len(Events.load(folder / "events")) > 1000
    commands.build_from(folder / "events", folder / "graph", False)
    commands.index_from(folder / "events", folder / "users")
    return folder
