"""Claims on slices: tested on the users of the slice, corrected with all others, frozen, marked."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from sargraph.core.config import parse_config, read_toml
from sargraph.core.errors import BadInputError, ConfigError
from sargraph.evaluation.freeze import FILE
from sargraph.evaluation.significance import compare, holm, mean_by_user
from sargraph.pipeline.expected import Expected, compare_expected, measured_toml
from sargraph.pipeline.grid.cells import judged_cells
from sargraph.pipeline.grid.claims import (
    COLUMNS,
    SLICED_COLUMNS,
    cases_of,
    claims_table,
    judge_cases,
)
from sargraph.pipeline.grid.model_checks import check_models
from sargraph.pipeline.grid.page import claim_table, grid_document
from sargraph.pipeline.grid.run import open_grid, run_grid
from sargraph.pipeline.grid.store import Store
from sargraph.testing.grids import TINY, tiny_grid

SLICES = ["history 6-20", "item cold", "new interest"]


def sliced(slices=SLICES, **changes):
    claims = {**TINY["claims"], "slices": slices}
    return tiny_grid(name="sliced", claims=claims, **changes)


@pytest.fixture(scope="module")
def found(shared, tmp_path_factory):
    return run_grid(sliced(), tmp_path_factory.mktemp("sliced"), shared[2])


@pytest.fixture(scope="module")
def results(shared):
    store = Store(shared[2])
    (data,), plan = open_grid(sliced(), store, shared[2])
    judged = list(judged_cells(sliced(), plan.of("world"), data, store))
    return [result for cell in judged for result in cell.results]


def test_every_claim_has_a_row_for_all_and_for_each_slice(found):
    assert not any(cell.is_new for cell in found.cells)  # slices are no matter of the cells
    table = found.verdicts
    assert list(table.columns) == list(SLICED_COLUMNS)
    assert table["slice"].tolist() == ["all", *SLICES] * 2
    few = table[table["slice"] == "item cold"]
    assert set(few["verdict"]) == {"too few"} and few["p_holm"].isna().all()


def test_the_row_of_a_slice_is_the_comparison_of_its_users(found, results):
    """Oracle: the requests of the slice picked by hand, then means of users, then the test."""
    ours, theirs = (
        next(r for r in results if r.model == name and not r.requests.is_search.any()
             and r.protocol.candidates == "sampled")
        for name in ("uditsr", "popularity")
    )  # fmt: skip
    rows = np.flatnonzero(ours.slices["history 6-20"])
    users = ours.requests.user[rows]
    means = [mean_by_user(r.metric("NDCG@10")[rows, None], users)[1][:, 0] for r in (ours, theirs)]
    oracle = compare(means[0][None], means[1][None], seed=0)
    table = found.verdicts.set_index(["task", "slice"])
    row = table.loc[("recommend", "history 6-20")]
    assert 0 < len(np.unique(users)) < len(np.unique(ours.requests.user))
    assert row["difference"] == pytest.approx(means[0].mean() - means[1].mean())
    assert (row["low"], row["p"]) == (pytest.approx(oracle.low), pytest.approx(oracle.p))


def test_holm_is_over_slices_as_well(found, shared):
    table = found.verdicts
    decided = table["p"].notna()
    assert decided.sum() > 2
    assert table["p_holm"][decided].to_numpy() == pytest.approx(holm(table["p"][decided]))
    plain = shared[3].verdicts
    mine = table[(table["slice"] == "all") & (table["model"] == "uditsr")].reset_index(drop=True)
    same = plain[plain["model"] == "uditsr"].reset_index(drop=True)
    assert mine["p"].tolist() == same["p"].tolist()
    assert (mine["p_holm"] >= mine["p"]).all()


def test_without_slices_nothing_is_marked(shared):
    config, _, _, plain = shared
    assert list(plain.verdicts.columns) == list(COLUMNS)
    assert not any("slice" in claim for claim in claims_table(config))
    assert all("history" not in line for line in plain.verdict_lines())
    assert "slice" not in measured_toml(plain.reports, (0,))


def test_the_slices_are_frozen_with_the_claims(found, shared):
    frozen = read_toml(found.folder / FILE)["claim"]
    assert [claim.get("slice", "all") for claim in frozen] == ["all", *SLICES] * 2
    with pytest.raises(BadInputError, match=r"the claim .*item cold.* is gone"):
        run_grid(sliced(SLICES[:1]), found.folder.parent, shared[2])


def test_the_page_and_the_lines_say_which_slice(found):
    where = claim_table(found.verdicts)["where"].tolist()
    assert where[:2] == ["world, recommendation, 1+20", "world, recommendation, 1+20, history 6-20"]
    lines = found.verdict_lines()
    assert lines[0].startswith("world, recommend, 1+20: uditsr")
    assert lines[1].startswith("world, history 6-20, recommend, 1+20: uditsr")
    text = grid_document(found).markdown()
    assert "all 8 claims on data sets and slices of this" in text
    assert "1+20, new interest" in text


def test_figures_of_the_slices_are_expected_as_well(found, tmp_path):
    path = tmp_path / "expected.toml"
    path.write_text(measured_toml(found.reports, (0,), SLICES), encoding="utf-8")
    expected = parse_config(Expected, read_toml(path), "expected")
    assert {figure.slice for figure in expected.figures} == {"all", "history 6-20", "new interest"}
    assert compare_expected(path, found.reports)[0].endswith("stand within their tolerance")
    plain = measured_toml(found.reports, (0,))
    assert path.read_text().count("[[figures]]") > plain.count("[[figures]]") > 0


def test_a_slice_that_this_data_does_not_have_is_left_out_by_name(results):
    rows, gone = judge_cases(sliced(["activity 0-1234"]), "world", results)
    assert rows["slice"].tolist() == ["all", "all"]
    assert len(gone) == 2 and gone[0].model == "uditsr"
    assert "recommend, activity 0-1234: no such slice of this data; it has history 0," in (
        gone[0].why
    )


def test_cases_are_claims_by_slices():
    cases = cases_of(sliced(), "world")
    assert len(cases) == 2 * 4 and [case.slice for case in cases[:4]] == ["all", *SLICES]
    assert len({id(case.claim) for case in cases}) == 2


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        (["history 1-6"], "claims.slices: there is no slice 'history 1-6'; did you mean"),
        (["new interests"], "did you mean 'new interest'"),
        (["activity few"], "there is no slice 'activity few'"),
        (["user hot", "user hot"], "expected each once"),
        (["all"], "always judged"),
    ],
)
def test_slices_that_no_data_set_can_have_are_refused(slices, message):
    with pytest.raises(ConfigError, match=message):
        check_models(sliced(slices))


def test_slices_without_a_claim_are_refused():
    models = copy.deepcopy(TINY["models"])
    with pytest.raises(ConfigError, match=r"claims\.slices without a claim"):
        check_models(tiny_grid(models=models, claims={"slices": SLICES}))


def test_slices_by_activity_are_named_by_the_data():
    check_models(sliced(["activity 0-7", "activity >7", "activity 3"]))
