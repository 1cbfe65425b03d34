"""Claims: which are judged where and by which protocol, and Holm over the whole experiment."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sargraph.evaluation.significance import compare
from sargraph.pipeline.grid.cells import judged_cells
from sargraph.pipeline.grid.claims import COLUMNS, cases_of, corrected, judge_cases
from sargraph.pipeline.grid.run import open_grid
from sargraph.pipeline.grid.store import Store
from sargraph.testing.grids import TINY, tiny_grid


def described(config, data="world"):
    return [
        (case.claim.model, case.claim.baseline, case.claim.task, case.protocol.candidates_text())
        for case in cases_of(config, data)
    ]


def test_a_baseline_per_task_is_claimed_against_by_every_other_model_of_the_task():
    assert described(tiny_grid()) == [
        ("uditsr", "popularity", "recommend", "1+20"),
        ("uditsr", "term_match", "search", "1+20"),
    ]


def test_a_claim_is_decided_by_the_first_protocol_of_both_or_by_the_named_one():
    pair = {"model": "uditsr", "baseline": "term_match", "task": "search"}
    protocols = [
        {"num_negatives": 5, "tasks": ["recommend"]}, {"candidates": "full"}, {"num_negatives": 9},
    ]  # fmt: skip
    first, named = (
        tiny_grid(protocols=protocols, claims={"pairs": [{**pair, **more}]})
        for more in ({}, {"protocol": "sampled"})
    )
    assert described(first)[0][3] == "all items"
    assert described(named)[0][3] == "1+9"


def test_models_of_other_data_make_no_case():
    world = TINY["data"]["world"]
    models = {**TINY["models"], "uditsr": {**TINY["models"]["uditsr"], "data": ["other"]}}
    config = tiny_grid(models=models, data={"world": world, "other": world})
    assert described(config) == [] and len(described(config, "other")) == 2


def test_baselines_of_slates_are_compared_by_slates_alone():
    models = {"shown": {"model": "shown_order"}, "popularity": {"model": "popularity"}}
    pairs = [["popularity", "shown", "search", "NDCG@10"]]
    protocols = [{"num_negatives": 5}, {"candidates": "slate"}]
    config = tiny_grid(models=models, claims={"pairs": pairs}, protocols=protocols)
    assert described(config) == [("popularity", "shown", "search", "slate")]


def test_the_rows_are_those_of_the_comparison_itself(shared):
    config, _, cells, found = shared
    store = Store(cells)
    datasets, plan = open_grid(config, store, cells)
    judged = list(judged_cells(config, plan.of("world"), datasets[0], store))
    results = [result for cell in judged for result in cell.results]
    rows, gone = judge_cases(config, "world", results)
    assert not gone and list(rows.columns) == list(COLUMNS) and len(rows) == 3
    row = rows[(rows["model"] == "uditsr") & (rows["task"] == "search")].iloc[0]
    ours, theirs = (
        next(r for r in results if r.model == name and r.requests.is_search.all()
             and r.protocol.candidates == "sampled").user_means("NDCG@10")[1]
        for name in ("uditsr", "term match")
    )  # fmt: skip
    oracle = compare(ours[None], theirs[None], seed=0)
    assert row["difference"] == pytest.approx(ours.mean() - theirs.mean())
    assert (row["low"], row["p"]) == (pytest.approx(oracle.low), pytest.approx(oracle.p))
    assert found.verdicts["difference"].tolist() == rows["difference"].tolist()


def holm_oracle(p_values: list[float]) -> list[float]:
    """Step down from the smallest: each times the number of those not yet done."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    found, worst = [0.0] * len(p_values), 0.0
    for done, place in enumerate(order):
        worst = max(worst, min(1.0, p_values[place] * (len(p_values) - done)))
        found[place] = worst
    return found


def row(data, p, low=0.01):
    values = {name: 0.0 if kind is float else "" for name, kind in COLUMNS.items()}
    values |= {"data": data, "p": p, "p_holm": p, "low": low, "high": 0.2, "baseline_value": 0.1,
               "difference": 0.1, "detectable": 0.01, "verdict": "shown", "seeds": 1,
               "baseline_seeds": 1}  # fmt: skip
    return values


def test_holm_is_over_all_claims_on_all_data_sets():
    p_values = [[0.03, 0.01], [0.02, np.nan, 0.04]]
    frames = [pd.DataFrame([row(f"d{n}", p) for p in part]) for n, part in enumerate(p_values)]
    frames[1].loc[1, "verdict"] = "too few"
    found = corrected(frames)
    decided = [p for part in p_values for p in part if p == p]
    expected = holm_oracle(decided)
    assert found["p_holm"].dropna().tolist() == pytest.approx(expected)
    assert found["data"].tolist() == ["d0", "d0", "d1", "d1", "d1"]
    assert found["verdict"].tolist() == [
        "cannot tell", "shown", "cannot tell", "too few", "cannot tell",
    ]  # fmt: skip


def test_no_claim_at_all_is_an_empty_table():
    assert corrected([]).empty and list(corrected([]).columns) == list(COLUMNS)
