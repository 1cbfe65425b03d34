"""`sargraph run` with a grid: its plan, its cells in a folder of one's choice, its errors."""

from __future__ import annotations

import json

import pytest

from sargraph.testing.grids import TINY, grid_toml


@pytest.fixture
def config(tmp_path):
    models = {name: TINY["models"][name] for name in ("popularity", "term_match")}
    path = tmp_path / "grid.toml"
    path.write_text(grid_toml({**TINY, "models": models}), encoding="utf-8")
    return path


def test_a_plan_then_a_run_then_everything_is_there(command, config, tmp_path):
    folders = ["--out", tmp_path / "runs", "--cells", tmp_path / "store"]
    planned = command("run", config, *folders, "--plan", "--json")
    rows = json.loads(planned.out)["rows"]
    assert [(row["model"], row["is there"]) for row in rows] == [
        ("popularity", "no"), ("term_match", "no"),
    ]  # fmt: skip
    assert not (tmp_path / "runs").exists() and not list((tmp_path / "store").glob("cell-*"))
    done = command("run", config, *folders)
    assert done.status == 0, done.err
    assert "world, search (simulated), 1+20" in done.out and "report:" in done.out
    assert (tmp_path / "runs" / "tiny" / "report.html").is_file()
    again = json.loads(command("run", config, *folders, "--json").out)
    assert [cell["new"] for cell in again["cells"]] == [False, False]
    cell = next((tmp_path / "store").glob("cell-*"))
    assert "cell" in command("describe", cell).out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "budget.max_cells=1"], "expected at most 1"),
        (["--set", "models.popularity.model=populrity"], "did you mean 'popularity'"),
        (["--set", "protocls=1"], "did you mean 'protocols'"),
    ],
)
def test_errors_are_one_line_and_status_2(command, config, tmp_path, arguments, message):
    result = command("run", config, "--out", tmp_path / "runs", *arguments)
    assert result.status == 2 and message in result.err


def test_a_run_has_no_plan(command, tmp_path):
    (tmp_path / "run.toml").write_text('name = "x"\n[ingest]\nrecipe = "lastfm"\n')
    result = command("run", tmp_path / "run.toml", "--plan")
    assert result.status == 2 and "expected a grid" in result.err
