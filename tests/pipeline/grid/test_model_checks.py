"""What no model reads and no claim can be judged by is refused before any data is read."""

from __future__ import annotations

import copy

import pytest

from sargraph.core.errors import BadInputError, ConfigError
from sargraph.pipeline.grid.model_checks import check_models
from sargraph.pipeline.grid.plan import seeds_of
from sargraph.pipeline.grid.run import run_grid
from sargraph.testing.grids import TINY, UNISAR, tiny_grid

PAIR = {"model": "uditsr", "baseline": "popularity", "task": "recommend"}
SLATES = {"candidates": "slate", "part": "valid"}
FILE = {"negatives": "file", "negatives_hash": "x"}
UDITSR = TINY["models"]["uditsr"]


def with_model(**part):
    return {"models": {**copy.deepcopy(TINY["models"]), "a": part}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_model(model="bm25", config={"kk": 1}), "unknown key 'kk'"),
        (with_model(model="uditsr", config={"num_epoch": 1}), "did you mean 'num_epochs'"),
        (with_model(model="sasrec", config={"fit": {"patienc": 1}}), "did you mean 'patience'"),
        (with_model(model="recently_touched", config={"than": "ties"}), "did you mean 'then'"),
        (with_model(model="ease", config={"max_memory": "2GB"}), "max_memory"),
        (with_model(model="als", config={"seed": 4}), "use `seeds`"),
        (with_model(model="bm25", init="uditsr"), "has no tables to start"),
        (with_model(model="uditsr", init="uditsr"), "has no tables to start"),
        (with_model(model="bm25", graph={"contains": "training"}), "learns from events"),
        (with_model(**{**UNISAR, "init": "a"}), "init is 'unisar', expected an embedding"),
        (with_model(**{**UNISAR, "init": "popularity"}), "init is 'popularity', expected"),
        (with_model(model="sasrec", init_from="earlier"), "init_from without init"),
        ({"protocols": [FILE]}, "no lists of negatives"),
        ({**with_model(model="shown_order"), "protocols": [{}, SLATES]}, "the test part alone"),
        ({"claims": {"baseline": {"recommend": "term_match"}}}, "judged beside no other model"),
        ({"claims": {"pairs": [{**PAIR, "task": "search"}]}}, "can be judged nowhere"),
        ({"protocols": [{"num_negatives": 9}, {"name": "x", "candidates": "full",
                                               "tasks": ["search"]}],
          "claims": {"pairs": [{**PAIR, "protocol": "x"}]}}, "can be judged nowhere"),
        ({"claims": {"pairs": [{**PAIR, "metric": "NDGC@10"}]}}, "did you mean 'NDCG@10'"),
        ({"claims": {"pairs": [{**PAIR, "metric": "NDCG@7"}]}}, "NDCG@7"),
    ],
)  # fmt: skip
def test_it_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        check_models(tiny_grid(**change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": [0, 0]}, "expected each once"),
        ({"seeds": []}, "seeds"),
        ({"claims": {"seeds": [1, 1]}}, "expected each once"),
        (with_model(model="bm25", seeds=[2, 2]), "expected each once"),
        ({"claims": {"pairs": [["uditsr", "popularity", "recommend", "MRR", "sampled"]]}},
         "give more as a table"),
        ({"data": {"world": {**TINY["data"]["world"], "source": "logs"}}}, "expected one of them"),
    ],
)  # fmt: skip
def test_a_configuration_that_says_too_much_or_too_little_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        tiny_grid(**change)


def test_sound_grids_pass():
    check_models(tiny_grid())
    check_models(tiny_grid(models={**TINY["models"], "unisar": UNISAR}))


def test_nothing_is_read_or_fitted_before_a_bad_setting_is_named(tmp_path):
    grid = tiny_grid(**with_model(model="bm25", config={"kk": 1}))
    with pytest.raises(ConfigError, match="'kk'"):
        run_grid(grid, tmp_path, tmp_path / "cells")
    assert not list(tmp_path.rglob("*"))


def test_a_model_without_chance_has_one_seed_whatever_it_is_given():
    grid = tiny_grid(**with_model(model="bm25", seeds=[3, 4]))
    assert seeds_of(grid, "a") == (3,)


@pytest.mark.parametrize(
    "change",
    [
        {"protocols": list(reversed(TINY["protocols"]))},
        {"claims": {"baseline": {"recommend": "popularity"}}},
        {"claims": {**TINY["claims"], "metric": "HR@1"}},
        {"min_requests": 6},
    ],
)
def test_what_decides_a_claim_is_frozen_with_the_protocols(shared, change):
    """The order of protocols, too: the first that applies decides."""
    _, out, cells, _ = shared
    models = {**copy.deepcopy(TINY["models"]), "unisar": UNISAR}
    with pytest.raises(BadInputError, match="frozen with other protocols: the claim"):
        run_grid(tiny_grid(models=models, **change), out, cells)


def test_a_verdict_on_one_training_says_so(shared):
    found = shared[3].verdicts.set_index(["model", "task"])
    assert "1 training seed(s)" in found.loc[("uditsr", "recommend"), "reason"]
    models = {**TINY["models"], "other": {"model": "bm25", "tasks": ["search"]}}
    grid = tiny_grid(models=models, claims={"pairs": [["other", "term_match", "search"]]})
    from sargraph.pipeline.grid.claims import with_seeds_named

    frame = shared[3].verdicts.assign(model="other", baseline="term match", reason="")
    assert set(with_seeds_named(grid, frame)["reason"]) == {""}
