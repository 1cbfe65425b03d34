"""A process killed while it writes leaves no half artefact, and the one before stays whole."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sargraph.events.events import Events
from sargraph.graph.graph import Graph

KILLED = """
import os, signal, sys
from sargraph.core import artifact
from sargraph.events.events import Events
from sargraph.events.ingest import ingest
from sargraph.graph.build import build_graph
step, what, source, out = sys.argv[1:]
setattr(artifact, step, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
if what == "ingest":
    ingest("synthetic", source, out, seed=1)
else:
    build_graph(Events.load(source)).save(out, config={"other": True})
"""
STEPS = ["_describe_folder", "_sync", "_move_into_place"]
"""Before the manifest, before the files are safe on disk, before the folder gets its name."""

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")


def _killed(step: str, what: str, source: Path, out: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, step, what, source, out], check=False)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("step", STEPS)
def test_kill_9_in_ingest_leaves_nothing_and_the_next_one_works(
    step: str, world: Path, tmp_path: Path, command
) -> None:
    _killed(step, "ingest", world / "logs", tmp_path / "events")
    assert not (tmp_path / "events").exists()
    again = command("ingest", "synthetic", "--source", world / "logs", "--out", tmp_path / "events")
    assert again.status == 0
    assert len(Events.load(tmp_path / "events")) == len(Events.load(world / "events"))


@pytest.mark.parametrize("step", STEPS)
def test_kill_9_in_build_keeps_the_graph_that_was_there(
    step: str, world: Path, tmp_path: Path
) -> None:
    shutil.copytree(world / "graph", tmp_path / "graph")
    before = Graph.load(tmp_path / "graph").content_hash
    _killed(step, "build", world / "events", tmp_path / "graph")
    assert Graph.load(tmp_path / "graph").content_hash == before
