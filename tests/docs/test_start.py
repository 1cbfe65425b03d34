"""The start page: its files are written, its commands run, and what it says comes true."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sargraph.cli import main

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "start.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)


@dataclass
class Walk:
    """The folder a reader ends up with, and what each command printed."""

    folder: Path
    printed: dict[str, str] = field(default_factory=dict)


def _write_named_files(folder: Path) -> None:
    for language, text in BLOCKS:
        if language in ("python", "toml"):
            name = text.splitlines()[0].removeprefix("# ")
            (folder / name).write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """Every command of the page, in its order, in one folder."""
    found = Walk(tmp_path_factory.mktemp("start"))
    _write_named_files(found.folder)
    lines = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines()]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(found.folder)
        for line in lines:
            program, *arguments = shlex.split(line)
            if program == "python":
                subprocess.run([sys.executable, *arguments], check=True)
            else:
                patch.setattr(sys, "argv", [program, *arguments])
                found.printed[arguments[0]] = _run(line)
    return found


def _run(line: str) -> str:
    """What the command prints; it must end well."""
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            main()
    except SystemExit as stop:
        assert not stop.code, line
    return out.getvalue()


def test_the_page_walks_the_whole_road(walk: Walk) -> None:
    road = ["ingest", "describe", "build", "train", "virtualise", "export", "fit", "evaluate"]
    assert list(walk.printed) == [*road, "index", "similar"]
    made = ["events", "graph", "embeddings", "virtual", "model", "report", "users"]
    assert all((walk.folder / name / "manifest.json").is_file() for name in made)
    assert list((walk.folder / "tables").rglob("*.parquet"))


def test_the_lines_shown_are_those_of_the_files(walk: Walk) -> None:
    heads = [text for language, text in BLOCKS if language == "csv"]
    for name, head in zip(("searches", "shown"), heads, strict=True):
        text = (walk.folder / "my_logs" / f"{name}.csv").read_text(encoding="utf-8")
        assert text.replace("\r\n", "\n").startswith(head)


def test_the_bad_rows_are_where_the_page_says(walk: Walk) -> None:
    events = walk.folder / "events"
    report = json.loads((events / "report.json").read_text(encoding="utf-8"))
    reasons = report["quarantined_by_reason"]
    assert sum(reasons.values()) == 3 and f"{sum(reasons.values())} rows are in quarantine" in PAGE
    assert all(f"`{reason}`" in PAGE for reason in reasons)
    assert report["rows"] == report["used"] + report["merged"] + report["filtered"] + 3
    assert len(pq.read_table(events / "quarantine.parquet")) == 3
    named = re.findall(r"`events/([\w.]+)`", PAGE)
    assert len(named) == 4 and all((events / name).is_file() for name in named)


def test_what_the_commands_print_is_what_the_page_promises(walk: Walk) -> None:
    assert "transition S2R" in walk.printed["describe"]
    assert "identifiable" in walk.printed["describe"]
    assert "popularity" in walk.printed["evaluate"]
    assert "protocol" in walk.printed["evaluate"]
    assert (walk.folder / "report" / "report.html").is_file()


def test_the_neighbours_of_a_customer_share_its_taste(walk: Walk) -> None:
    lines = [line for line in walk.printed["similar"].splitlines() if re.search(r"\bc\d+\b", line)]
    neighbours = [int(re.search(r"\bc(\d+)\b", line)[1]) for line in lines if "similar" not in line]
    assert len(neighbours) == 3
    assert all(user % 8 == 0 for user in neighbours)
    assert walk.printed["similar"].count("boots-") >= 3
