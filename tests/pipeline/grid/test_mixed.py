"""A model of a grid may add another one's scores, with a weight learned on validation."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from sargraph.core.artifact import read_manifest
from sargraph.core.errors import ConfigError
from sargraph.evaluation.baselines.mix import Mix, spread
from sargraph.evaluation.baselines.registry import build_baseline
from sargraph.events.split import TRAIN, VALID
from sargraph.pipeline.grid import mixed
from sargraph.pipeline.grid.cells import Cell, Judged
from sargraph.pipeline.grid.cost import Cost
from sargraph.pipeline.grid.data import open_data
from sargraph.pipeline.grid.facts import facts_of_cell
from sargraph.pipeline.grid.fits import validator_for
from sargraph.pipeline.grid.mixed import mix_models
from sargraph.pipeline.grid.model_checks import check_models
from sargraph.pipeline.grid.page import grid_document
from sargraph.pipeline.grid.plan import seeds_of
from sargraph.pipeline.grid.run import open_grid, run_grid
from sargraph.pipeline.grid.store import Store
from sargraph.pipeline.grid.trained import is_cut_short, time_note
from sargraph.testing.grids import TINY, UNISAR, tiny_grid

KNN = {"model": "item_knn", "label": "ItemKNN"}
CLAIMS = {"pairs": [["both", "uditsr", "recommend"], ["counts", "knn", "recommend"]]}


def mixing(**knn):
    """The tiny grid with a mix of a trained model and counts, and one of counts alone."""
    models = copy.deepcopy(TINY["models"])
    models["knn"] = {**KNN, **knn}
    models["both"] = {**models["uditsr"], "add": "knn", "label": "UDITSR + ItemKNN"}
    models["counts"] = {**models["popularity"], "add": "knn"}
    return tiny_grid(name="mixed", models=models, claims=CLAIMS)


@pytest.fixture(scope="module")
def run(shared, tmp_path_factory):
    """The grid, in the folder of cells where its UDITSR was trained before."""
    _, _, cells, _ = shared
    before = {path.name for path in cells.glob("fit-*")}
    found = run_grid(mixing(), tmp_path_factory.mktemp("mixed"), cells)
    return found, cells, before


@pytest.fixture(scope="module")
def world(shared):
    """The opened data of the tiny grid, and two of its scorers."""
    config, _, cells, _ = shared
    data = open_data("world", config.data["world"], Store(cells), cells)
    first, second = (build_baseline(n, data.events, data.split) for n in ("popularity", "bm25"))
    return config, data, first, second


def value(found, model, task):
    frame = found.reports["world"].frame
    rows = frame[(frame["slice"] == "all") & (frame["metric"] == "NDCG@10")]
    rows = rows[(rows["task"] == task) & (rows["candidates"] == "1+20")]
    return float(rows.set_index("model")["value"][model])


def test_a_mix_is_an_arm_and_the_model_in_it_is_not_trained_again(run):
    found, cells, before = run
    assert {cell.model for cell in found.cells} == {
        "popularity", "term_match", "uditsr", "knn", "both", "counts",
    }  # fmt: skip
    assert {path.name for path in cells.glob("fit-*")} == before
    assert not found.left_out and len(found.verdicts) == 2
    assert np.isfinite(value(found, "UDITSR + ItemKNN", "search"))
    assert value(found, "counts", "recommend") != value(found, "popularity", "recommend")


def test_a_mix_is_taken_up_like_any_cell(run, tmp_path):
    found, cells, _ = run
    again = run_grid(found.config, tmp_path, cells)
    assert not any(cell.is_new for cell in again.cells)
    assert again.verdicts.equals(found.verdicts)


def test_a_mix_has_no_model_card_and_the_page_tells_its_weights(run):
    found = run[0]
    by_name = {cell.model: cell for cell in found.cells}
    assert by_name["both"].model_path is None and by_name["uditsr"].model_path is not None
    assert by_name["both"].note.startswith("weight of ItemKNN: ")
    assert " in recommend, " in by_name["both"].note and by_name["both"].note.endswith("in search")
    assert by_name["both"].epochs == by_name["uditsr"].epochs and by_name["counts"].epochs == ""
    text = grid_document(found).markdown()
    assert by_name["both"].note in text and by_name["counts"].note in text


def test_another_setting_of_the_added_model_is_another_cell(run):
    found, cells, _ = run
    store = Store(cells)
    (data,), plan = open_grid(found.config, store, cells)
    other = mixing(config={"shrinkage": 77.0})
    mine = [planned.cell for planned in plan.cells]
    changed = {
        cell.model
        for cell in mine
        if cell.path(found.config, data, store) != cell.path(other, data, store)
    }
    assert changed == {"knn", "both", "counts"}


def test_a_mix_takes_as_long_as_its_kin_and_not_as_one_of_the_two(run):
    cells = run[1]
    plan = open_grid(mixing(config={"shrinkage": 77.0}), Store(cells), cells)[1]
    basis = {planned.cell.model: planned.basis for planned in plan.cells}
    assert basis["both"] == basis["counts"] == "kin" and basis["uditsr"] == "there"
    models = {**copy.deepcopy(TINY["models"]), "a": {**KNN, "add": "popularity"}}
    plan = open_grid(tiny_grid(models=models), Store(cells), cells)[1]
    assert {p.cell.model: p.basis for p in plan.cells}["a"] == "ceiling"


def test_the_weight_is_the_best_of_all_on_validation(world):
    """Oracle: every weight judged by itself, without a memory of answers."""
    config, data, first, second = world
    found = mix_models(config, first, second, data, ["search"])
    spreads = tuple(spread(s, data.events, data.split, "search", 0) for s in (first, second))
    validate = validator_for(config, data, ["search"])
    scores = [validate(Mix(first, second, w, spreads)) for w in np.linspace(0, 1, 11)]
    assert found.weights == {"search": pytest.approx(np.argmax(scores) / 10)}
    assert found.untuned == () and max(scores) > scores[0]


def test_choosing_a_weight_reads_no_test_request(world):
    """Test events may hold anything: each asked request is of training or validation."""
    config, data, first, second = world
    asked = []

    class Spy:
        name = "spy"

        def score(self, requests, candidates):
            asked.append(requests.event)
            return first.score(requests, candidates)

    mix_models(config, Spy(), second, data, ["search", "recommend"])
    parts = data.split.part[np.concatenate(asked)]
    assert set(np.unique(parts)) == {TRAIN, VALID}


def test_each_model_answers_the_validation_requests_once(world):
    config, data, first, second = world
    asked = []

    class Spy:
        name = "spy"

        def score(self, requests, candidates):
            asked.append((requests.event.tobytes(), candidates.shape))
            return second.score(requests, candidates)

    mix_models(config, first, Spy(), data, ["search"])
    assert len(asked) == len(set(asked))


def test_without_a_validation_request_both_count_the_same(world, monkeypatch):
    config, data, first, second = world
    monkeypatch.setattr(mixed, "validator_for", lambda *_: None)
    found = mix_models(config, first, second, data, ["search"])
    assert found.weights == {"search": 0.5} and found.untuned == ("search",)


def judged_with(training):
    cell = Cell("world", "both", 0, ("search",))
    return Judged(cell, (), Cost(1.0, 1.0, 1.0), training)


def test_the_note_tells_an_untuned_weight_and_a_training_that_time_ended():
    training = {"added_weight": {"search": 0.5}, "added_untuned": ["search"],
                "added": {"stopped": "time", "max_seconds": 60}}  # fmt: skip
    note = facts_of_cell(mixing(), judged_with(training)).note
    assert "adds a model whose training stopped by its 1 minutes" in note
    assert note.endswith("weight of ItemKNN: 0.5 in search (no validation request)")
    assert time_note({}) == "" and is_cut_short(training, mixing(), "both")
    assert not is_cut_short({**training, "added": {}}, mixing(), "both")


def test_counts_that_add_a_trained_model_have_its_seeds():
    models = {**copy.deepcopy(TINY["models"]), "a": {"model": "item_knn", "add": "uditsr"}}
    pairs = [["a", "popularity", "recommend"]]
    config = tiny_grid(models=models, claims={"pairs": pairs, "seeds": [0, 1, 2]})
    assert seeds_of(config, "a") == (0, 1, 2) and seeds_of(config, "popularity") == (0,)


def test_the_hash_of_the_added_training_is_kept_with_the_cell(shared, tmp_path):
    """So that a cell is made again where the model in it was trained on since."""
    models = {**copy.deepcopy(TINY["models"]), "a": {**KNN, "add": "uditsr"}}
    cells = shared[2]
    found = run_grid(tiny_grid(name="kept", models=models), tmp_path, cells)
    abouts = [read_manifest(path).config for path in cells.glob("cell-*")]
    (about,) = [a for a in abouts if a["cell"]["arm"]["model"] == "item_knn" and a["added"]]
    assert about["model"] is None and (cells / about["added"]).is_dir()
    assert about["added_hash"] == read_manifest(cells / about["added"]).content_hash
    assert all(cell.model_path is None for cell in found.cells if cell.model == "a")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"a": {**KNN, "add": "populrity"}}, "did you mean 'popularity'"),
        ({"a": {**KNN, "add": "a"}}, "add is 'a', that is itself"),
        ({"a": {**KNN, "add": "b"}, "b": {"model": "bm25", "add": "popularity"}},
         "which adds 'popularity' itself; name a model without `add`"),
        ({"a": {**KNN, "add": "b"}, "b": {"model": "shown_order"}}, "knows only what was shown"),
        ({"a": {"model": "shown_order", "add": "popularity"}}, "knows only what was shown"),
        ({"a": {**KNN, "add": "b"}, "b": {"model": "bm25", "data": ["other"]}},
         "not for data 'world'"),
    ],
)  # fmt: skip
def test_what_cannot_be_added_is_refused(parts, message):
    world = TINY["data"]["world"]
    models = {**copy.deepcopy(TINY["models"]), **parts}
    with pytest.raises(ConfigError, match=message):
        check_models(tiny_grid(models=models, data={"world": world, "other": world}))


def test_a_mix_may_start_from_embeddings_as_well():
    models = {**copy.deepcopy(TINY["models"]), "unisar": {**UNISAR, "add": "popularity"}}
    check_models(tiny_grid(models=models))
