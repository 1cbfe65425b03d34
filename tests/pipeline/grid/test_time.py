"""Time is no part of a cell's key: what it cut short goes on, and so does all that rests on it."""

from __future__ import annotations

import copy

import pytest

from sargraph.pipeline.grid.run import run_grid
from sargraph.testing.grids import TINY, UNISAR, tiny_grid

SHORT, LONG = {"cell_minutes": 1e-4}, {"cell_minutes": 1.0}


def started(how: str, budget: dict):
    """UniSAR started from UDITSR."""
    uditsr = {**TINY["models"]["uditsr"], "tasks": [], "config": {"dim": 8, "num_epochs": 6}}
    models = {"uditsr": uditsr, "unisar": {**copy.deepcopy(UNISAR), "init_from": how}}
    return tiny_grid(models=models, claims={}, budget=budget)


def ndcg(found) -> float:
    frame = found.reports["world"].frame
    rows = frame[(frame["slice"] == "all") & (frame["metric"] == "NDCG@10")]
    return float(rows["value"].iloc[0])


@pytest.mark.parametrize("how", ["graph", "earlier", "crossfit"])
def test_a_model_begins_anew_where_its_start_was_cut_short_and_has_more_time(tmp_path, how):
    cells = tmp_path / "cells"
    short = run_grid(started(how, SHORT), tmp_path, cells)
    notes = {cell.model: cell.note for cell in short.cells}
    assert "started from embeddings whose training stopped by its" in notes["unisar"] or (
        notes["unisar"].startswith("training stopped by its")
    )
    longer = run_grid(started(how, LONG), tmp_path, cells)
    assert not any(cell.note for cell in longer.cells)
    fresh = run_grid(started(how, LONG), tmp_path / "fresh", tmp_path / "fresh" / "cells")
    assert ndcg(longer) == ndcg(fresh) != ndcg(short)
    again = run_grid(started(how, LONG), tmp_path, cells)
    assert not any(cell.is_new for cell in again.cells)


def test_a_limit_of_the_model_itself_holds_below_that_of_the_cell(tmp_path):
    config = {**UNISAR["config"], "fit": {"num_epochs": 50, "max_seconds": 1e-3}}
    models = {"unisar": {"model": "unisar", "tasks": ["recommend"], "config": config}}
    grid = tiny_grid(models=models, claims={})
    first, again = (run_grid(grid, tmp_path, tmp_path / "cells") for _ in range(2))
    assert first.cells[0].is_new and "stopped by its" in first.cells[0].note
    assert not again.cells[0].is_new


def test_a_figure_is_made_again_where_its_model_was_trained_on_since(tmp_path):
    """By another experiment that shares the training and asks under another protocol."""
    cells = tmp_path / "cells"
    models = {"uditsr": {**TINY["models"]["uditsr"], "config": {"dim": 8, "num_epochs": 6}}}
    short = tiny_grid(models=models, claims={}, budget=SHORT)
    before = run_grid(short, tmp_path, cells)
    other = tiny_grid(models=models, claims={}, budget=LONG, name="other",
                      protocols=[{"num_negatives": 7}])  # fmt: skip
    run_grid(other, tmp_path, cells)
    after = run_grid(short, tmp_path, cells)
    assert after.cells[0].is_new and ndcg(after) != ndcg(before)
