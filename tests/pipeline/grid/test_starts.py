"""A sequence model may start from a graph that does not hold the targets of its loss."""

from __future__ import annotations

import copy
import shutil

import pytest

from sargraph.core.artifact import read_manifest
from sargraph.pipeline.grid.run import run_grid
from sargraph.testing.grids import TINY, UNISAR, tiny_grid


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("starts")


@pytest.fixture(scope="module")
def run(folder):
    """The same model from each kind of start; twice, so that the second takes up the first."""
    models = {"popularity": TINY["models"]["popularity"], "uditsr": TINY["models"]["uditsr"]}
    for how in ("graph", "earlier", "crossfit"):
        models[how] = {**copy.deepcopy(UNISAR), "init_from": how}
    config = tiny_grid(models=models, claims={"baseline": {"recommend": "popularity"}})
    return [run_grid(config, folder, folder / "cells") for _ in range(2)]


def test_each_start_is_an_arm_with_figures(run):
    frame = run[0].reports["world"].frame
    whole = frame[(frame["slice"] == "all") & (frame["metric"] == "NDCG@10")]
    values = whole[whole["candidates"] == "1+20"].set_index("model")["value"]
    starts = values[["graph", "earlier", "crossfit"]]
    assert starts.notna().all() and starts.nunique() == 3


def test_starts_are_made_once(run, folder, monkeypatch):
    again = run[1]
    assert not any(cell.is_new for cell in again.cells) and not again.remarks
    assert again.reports["world"].frame.equals(run[0].reports["world"].frame)

    def never(*_, **__):
        raise AssertionError("a start was trained again")

    monkeypatch.setattr("sargraph.pipeline.grid.starts.init_embeddings", never)
    cells = folder / "copied"
    shutil.copytree(folder / "cells", cells)
    for path in [*cells.glob("cell-*"), *cells.glob("fit-*")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert cells_of(run_grid(again.config, folder / "other", cells)) == cells_of(again)


def cells_of(found):
    return {(cell.model, cell.epochs) for cell in found.cells}


def test_a_start_that_holds_targets_back_leaves_fewer_to_the_loss(run, folder):
    """Read from the models themselves: how many requests each was trained on."""
    manifests = [read_manifest(path) for path in (folder / "cells").glob("fit-????????????????")]
    requests = [
        sum(manifest.config["fitted"]["requests"].values())
        for manifest in manifests
        if manifest.kind == "sequence-model"
    ]
    assert len(requests) == 3
    assert 0 < sorted(requests)[1] < max(requests)
