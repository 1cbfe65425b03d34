"""Experiments: their files are sound, and one tiny cell of each runs on the real data."""

from __future__ import annotations

from pathlib import Path

import pytest

from sargraph.core.config import parse_config, read_toml
from sargraph.pipeline.config import read_run
from sargraph.pipeline.expected import Expected
from sargraph.pipeline.grid.config import is_grid, read_grid
from sargraph.pipeline.grid.kinds import kind_of
from sargraph.pipeline.run import run

CONFIGS = sorted(Path(__file__).parents[2].glob("experiments/*/config.toml"))
FOLDERS = [path.parent for path in CONFIGS if not is_grid(read_toml(path))]
GRIDS = [path.parent for path in CONFIGS if is_grid(read_toml(path))]
MEASURED = [folder for folder in (*FOLDERS, *GRIDS) if (folder / "expected.toml").is_file()]
TINY = (
    "train.config.num_epochs=1", "train.config.dim=8", "fit.inits=[]",
    "evaluate.max_requests=0", "evaluate.validation_requests=50",
)  # fmt: skip


def test_every_run_was_measured():
    assert set(FOLDERS) <= set(MEASURED)


@pytest.mark.parametrize("folder", GRIDS, ids=lambda p: p.name)
def test_a_grid_is_sound(folder):
    config = read_grid(folder / "config.toml")
    assert config.name == folder.name and config.question
    assert all(kind_of(part.model) for part in config.models.values())


@pytest.mark.parametrize("folder", MEASURED, ids=lambda p: p.name)
def test_an_experiment_has_a_question_an_answer_and_figures(folder):
    assert read_toml(folder / "config.toml")["name"] == folder.name
    expected = parse_config(Expected, read_toml(folder / "expected.toml"), "expected")
    assert expected.figures and all(f.tolerance > 0 for f in expected.figures)
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "## Question" in text and "## Answer" in text and "sargraph run" in text


def test_a_tiny_cell_of_the_road_runs_on_lastfm(data_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("SARGRAPH_DATA", str(data_dir))
    folder = next(f for f in FOLDERS if f.name == "main_road_lastfm")
    outcome = run(read_run(folder / "config.toml", TINY), tmp_path, beside=folder)
    frame = outcome.report.frame
    rows = frame[(frame["metric"] == "NDCG@10") & (frame["slice"] == "all")]
    search = rows[rows["task"] == "search"].set_index("model")["value"]
    assert search["p(item | term)"] > search["popularity"] > 0
    assert any("order unknown" in line for line in outcome.remarks)
    assert len(outcome.tables["virtual queries"]) == 10
    assert outcome.tables["similar users"]["user"].nunique() == 3
