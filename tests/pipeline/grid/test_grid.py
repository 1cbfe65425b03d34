"""A grid of real cells: shared, resumed after kill -9, repaired, budgeted, frozen."""

from __future__ import annotations

import copy
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sargraph.core.artifact import read_manifest
from sargraph.core.errors import BadInputError, ConfigError
from sargraph.pipeline.grid.plan import seeds_of
from sargraph.pipeline.grid.run import open_grid, run_grid
from sargraph.pipeline.grid.store import Store
from sargraph.testing.grids import TINY, UNISAR, grid_toml
from sargraph.testing.grids import tiny_grid as grid


def figures(found):
    return {data: report.frame for data, report in found.reports.items()}


def test_every_cell_is_made_once_and_taken_up_afterwards(shared):
    config, out, cells, first = shared
    assert [cell.is_new for cell in first.cells] == [True] * 4
    again = run_grid(config, out, cells)
    assert [cell.is_new for cell in again.cells] == [False] * 4
    assert again.verdicts.equals(first.verdicts) and not again.remarks
    assert figures(again)["world"].equals(figures(first)["world"])
    assert all(cell.cost.cpu > 0 and cell.cost.peak_mb > 0 for cell in again.cells)
    assert all(a.cost == b.cost for a, b in zip(first.cells, again.cells, strict=True))


def test_the_table_has_every_arm_where_it_is_judged(shared):
    frame = shared[3].reports["world"].frame
    whole = frame[(frame["slice"] == "all") & (frame["metric"] == "NDCG@10")]
    judged = {(row.task, row.model) for row in whole.itertuples()}
    assert judged == {
        ("recommend", "popularity"), ("recommend", "uditsr"), ("recommend", "unisar"),
        ("search", "term match"), ("search", "uditsr"),
    }  # fmt: skip
    assert set(whole["candidates"]) == {"1+20", "all items"}


def test_another_experiment_takes_up_the_same_cells_under_its_own_names(shared, tmp_path):
    _, _, cells, first = shared
    models = copy.deepcopy(TINY["models"])
    models["uditsr"]["label"] = "graph embeddings"
    other = grid(name="other", title="Another", models=models)
    found = run_grid(other, tmp_path, cells)
    assert [cell.is_new for cell in found.cells] == [False] * 3
    mine, theirs = (
        run.reports["world"].frame.set_index(["model", "task", "candidates", "metric", "slice"])
        for run in (found, first)
    )
    assert mine.loc["graph embeddings"].equals(theirs.loc["uditsr"])


def test_another_seed_or_protocol_is_another_cell_and_keeps_the_training(shared, tmp_path):
    _, _, cells, _ = shared
    trained = set(cells.glob("fit-*"))
    models = {"uditsr": {**TINY["models"]["uditsr"], "tasks": ["search"]}}
    other = grid(models=models, claims={}, protocols=[{"num_negatives": 5}])
    assert [cell.is_new for cell in run_grid(other, tmp_path, cells).cells] == [True]
    models = {"uditsr": {**TINY["models"]["uditsr"]}}
    other = grid(models=models, claims={}, protocols=[{"num_negatives": 6}])
    before = set(cells.glob("fit-*"))
    assert len(before - trained) == 2  # stopped by search alone: other weights; and its cost
    run_grid(other, tmp_path / "b", cells)
    assert set(cells.glob("fit-*")) == before


def test_a_damaged_cell_is_named_and_made_again(shared, tmp_path):
    config, out, cells, first = shared
    copied = tmp_path / "cells"
    shutil.copytree(cells, copied)
    victim = next(
        path for path in sorted(copied.glob("cell-*"))
        if read_manifest(path).config["cell"]["arm"]["model"] == "popularity"
    )  # fmt: skip
    ranks = victim / "judgements" / "ranks-000.parquet"
    ranks.write_bytes(ranks.read_bytes()[:-1])
    found = run_grid(config, out, copied)
    assert sum(cell.is_new for cell in found.cells) >= 1
    assert len(found.remarks) == 1 and "damaged" in found.remarks[0]
    assert figures(found)["world"].equals(figures(first)["world"])


KILLED = """
import os, signal, sys
from pathlib import Path
from importlib import import_module
from sargraph.pipeline.grid.config import read_grid
from sargraph.pipeline.grid.run import run_grid
fit = import_module("sargraph.training.fit")
real = fit.save_checkpoint
def save(path, model, optimisers, state, *rest, **named):
    real(path, model, optimisers, state, *rest, **named)
    if len(state.history) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
fit.save_checkpoint = save
run_grid(read_grid(Path(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[2]) / "cells")
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_kill_9_in_a_training_then_the_same_grid_goes_on(shared, tmp_path, monkeypatch):
    """Finished cells are taken up, the training goes on at its third pass to the same bits."""
    path = tmp_path / "grid.toml"
    path.write_text(grid_toml(TINY), encoding="utf-8")
    killed = subprocess.run([sys.executable, "-c", KILLED, path, tmp_path], check=False)
    assert killed.returncode == -signal.SIGKILL
    cells = tmp_path / "cells"
    assert len(list(cells.glob("cell-*"))) == 2
    (checkpoint,) = cells.glob("fit-*.checkpoint")
    passes = []
    module = sys.modules["sargraph.training.fit"]
    real = module._epoch
    monkeypatch.setattr(module, "_epoch", lambda *a, **k: passes.append(1) or real(*a, **k))
    found = run_grid(grid(), tmp_path, cells)
    assert [cell.is_new for cell in found.cells] == [False, False, True]
    assert len(passes) == 1 and not checkpoint.exists()
    frame = figures(shared[3])["world"]
    assert figures(found)["world"].equals(frame[frame["model"] != "unisar"].reset_index(drop=True))


def test_a_damaged_checkpoint_is_named_and_the_training_starts_anew(tmp_path, monkeypatch):
    config = grid(models={"uditsr": TINY["models"]["uditsr"]}, claims={})
    module = sys.modules["sargraph.training.fit"]
    real = module.save_checkpoint

    def stop(path, model, optimisers, state, *rest, **named):
        real(path, model, optimisers, state, *rest, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "save_checkpoint", stop)
        run_grid(config, tmp_path, tmp_path / "cells")
    (checkpoint,) = (tmp_path / "cells").glob("fit-*.checkpoint")
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    found = run_grid(config, tmp_path, tmp_path / "cells")
    assert len(found.cells) == 1 and checkpoint.name in found.remarks[0]


def test_two_processes_on_one_grid_share_its_cells(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text(grid_toml(TINY), encoding="utf-8")
    code = KILLED.replace("== 2", "== 99")
    command = [sys.executable, "-c", code, path, tmp_path]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    errors = [process.communicate()[1].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    cells = tmp_path / "cells"
    assert len(list(cells.glob("cell-*"))) == 3
    for piece in cells.iterdir():
        if piece.is_dir():
            read_manifest(piece)
    assert not [p for p in cells.glob(".*") if not p.name.endswith(".lock")]


def test_time_ends_a_training_and_more_time_goes_on_with_it(tmp_path):
    models = {"uditsr": {**TINY["models"]["uditsr"], "config": {"dim": 8, "num_epochs": 6}}}
    short = grid(models=models, claims={}, budget={"cell_minutes": 1e-4})
    found = run_grid(short, tmp_path, tmp_path / "cells")
    assert "stopped by its" in found.cells[0].note
    assert not run_grid(short, tmp_path, tmp_path / "cells").cells[0].is_new
    longer = grid(models=models, claims={}, budget={"cell_minutes": 1.0})
    planned = open_grid(longer, Store(tmp_path / "cells"), Path())[1].cells[0]
    assert not planned.is_there and planned.minutes > 0
    found = run_grid(longer, tmp_path, tmp_path / "cells")
    assert found.cells[0].is_new and not found.cells[0].note
    assert not list((tmp_path / "cells").glob("*.checkpoint"))


def test_a_run_with_another_protocol_in_the_same_folder_is_refused(shared):
    config, out, cells, _ = shared
    other = config.model_copy(update={"protocols": config.protocols[:1]})
    with pytest.raises(BadInputError, match="frozen with other protocols"):
        run_grid(other, out, cells)


def test_the_protocol_is_frozen_before_a_test_request_is_made(tmp_path, monkeypatch):
    from sargraph.pipeline import questions

    def asked(*_, **__):
        assert (tmp_path / "tiny" / "protocol.toml").is_file()
        raise KeyboardInterrupt

    monkeypatch.setattr(questions, "requests_for", asked)
    with pytest.raises(KeyboardInterrupt):
        run_grid(grid(), tmp_path, tmp_path / "cells")


def test_the_budget_is_known_before_anything_is_fitted(shared, tmp_path):
    config, _, cells, _ = shared
    plan = open_grid(config, Store(cells), Path())[1]
    assert [planned.is_there for planned in plan.cells] == [True] * 4 and plan.minutes == 0
    fresh = open_grid(config, Store(tmp_path), Path())[1]
    assert fresh.minutes == 40 and {planned.basis for planned in fresh.cells} == {"ceiling"}
    other_seed = config.model_copy(update={"seeds": (1,)})
    kin = open_grid(other_seed, Store(cells), Path())[1]
    by_name = {planned.cell.model: planned for planned in kin.cells}
    assert by_name["uditsr"].basis == "kin" and 0 < by_name["uditsr"].minutes < 5
    assert "4 cells: 0 there already, 4 to make" in fresh.lines()[0]


def test_too_many_cells_are_refused_before_anything_is_fitted(tmp_path):
    config = grid(seeds=[0, 1, 2], budget={"max_cells": 4})
    with pytest.raises(ConfigError, match="got a grid of 5 cells, expected at most 4"):
        run_grid(config, tmp_path, tmp_path / "cells")
    assert not list((tmp_path / "cells").glob("cell-*"))


def test_only_what_learns_from_a_random_start_gets_the_seeds_of_claims():
    pairs = [["uditsr", "popularity", "recommend", "NDCG@10"]]
    config = grid(claims={"pairs": pairs, "seeds": [0, 1, 2, 3, 4]},
                  models={**TINY["models"], "unisar": UNISAR})  # fmt: skip
    assert seeds_of(config, "uditsr") == (0, 1, 2, 3, 4)
    assert seeds_of(config, "popularity") == seeds_of(config, "term_match") == (0,)
    assert seeds_of(config, "unisar") == (0,)


def test_what_memory_or_data_forbid_is_a_line_and_no_crash(shared, tmp_path):
    models = {
        "ease": {"model": "ease", "config": {"max_memory": 1000}},
        "popularity": {"model": "popularity"},
        "price": {"model": "price_order"},
    }
    config = grid(models=models, protocols=[{"num_negatives": 5}, {"candidates": "slate"}],
                  claims={"pairs": [["ease", "popularity", "search", "NDCG@10"]]})  # fmt: skip
    found = run_grid(config, tmp_path, shared[2])
    lines = {gone.model: gone.why for gone in found.left_out}
    assert "needs" in lines["price"] or "no requests" in lines["price"]
    whys = [gone.why for gone in found.left_out if gone.model == "ease"]
    assert any("memory" in why for why in whys) and any("no figures" in why for why in whys)
    assert {cell.model for cell in found.cells} == {"popularity"}


def test_an_unknown_model_or_setting_stops_the_grid_with_the_nearest_name(tmp_path, shared):
    with pytest.raises(ConfigError, match="did you mean 'popularity'"):
        run_grid(grid(models={"a": {"model": "popularty"}}, claims={}), tmp_path, shared[2])
    with pytest.raises(ConfigError, match="did you mean 'num_epochs'"):
        run_grid(grid(models={"a": {"model": "uditsr", "config": {"num_epoch": 1}}}, claims={}),
                 tmp_path / "b", shared[2])  # fmt: skip
