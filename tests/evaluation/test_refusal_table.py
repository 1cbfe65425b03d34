"""Tables of figures, read from wherever they stand, are refused by the same rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sargraph.core.errors import BadInputError, ConfigError, ImpossibleResultError
from sargraph.evaluation.refusal_table import check_table

GOOD = pd.DataFrame(
    {
        "model": ["one", "two"],
        "task": ["search", "search"],
        "HIT@1": [0.2191, 0.1],
        "NDCG@1": [0.2191, 0.1],
        "Recall@5": [0.3, 0.3427],
        "NDCG@5": [0.26, 0.2],
        "seconds": [1.5, 200.0],
    }
)
EXPECTED = """
seeds = [0]
[[figures]]
task = "search"
model = "bad"
candidates = "1+99"
metric = "{metric}"
value = 0.2427
tolerance = 0.02
[[figures]]
task = "search"
model = "bad"
candidates = "1+99"
metric = "NDCG@5"
value = 0.2558
tolerance = 0.02
"""


def changed(**values):
    return GOOD.assign(**{name.replace("_", "@"): value for name, value in values.items()})


def test_a_wide_table_passes_or_is_refused_with_the_row_named():
    assert check_table(GOOD) == 2
    with pytest.raises(ImpossibleResultError, match=r"table, one, search: got NDCG@1 = 0.1891"):
        check_table(changed(NDCG_1=[0.1891, 0.1]))


def test_a_long_table_is_the_same_table():
    long = GOOD.drop(columns="seconds").melt(["model", "task"], var_name="metric")
    assert check_table(long) == 2
    long.loc[long["metric"] == "NDCG@5", "value"] = [0.26, 0.3558]
    with pytest.raises(ImpossibleResultError, match=r"two, search: got NDCG@5 = 0.3558"):
        check_table(long)


@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_a_csv_file(tmp_path, sign):
    GOOD.to_csv(tmp_path / "good.csv", sep=sign, index=False)
    assert check_table(tmp_path / "good.csv") == 2
    changed(NDCG_5=[0.31, 0.2]).to_csv(tmp_path / "bad.csv", sep=sign, index=False)
    with pytest.raises(ImpossibleResultError, match=r"bad\.csv, one, search"):
        check_table(tmp_path / "bad.csv")


def test_the_expectations_of_an_experiment(tmp_path):
    file = tmp_path / "expected.toml"
    file.write_text(EXPECTED.format(metric="HR@5"))
    with pytest.raises(ImpossibleResultError, match=r"NDCG@5 = 0\.2558"):
        check_table(file)
    file.write_text(EXPECTED.format(metric="HR@10").replace("0.2427", "0.3000"))
    assert check_table(file) == 1


def test_the_expectations_of_our_experiments_are_possible():
    folders = Path(__file__).parents[2] / "experiments"
    files = [each for each in folders.glob("*/expected.toml") if "metric =" in each.read_text()]
    assert files
    for file in files:
        assert check_table(file) > 0


def test_rounding_is_read_from_the_figures():
    """.3004 and .3001 may both be right to three decimals, not to four."""
    assert check_table(pd.DataFrame({"HR@1": [0.3], "NDCG@1": [0.3], "HR@5": [0.412]}))
    with pytest.raises(ImpossibleResultError):
        check_table(pd.DataFrame({"HR@1": [0.3002], "NDCG@1": [0.3], "HR@5": [0.4123]}))
    with pytest.raises(ImpossibleResultError):
        check_table(pd.DataFrame({"HR@1": [0.1234567890123], "NDCG@1": [0.12345]}))


def test_catalogue_above_sampled_is_refused_only_for_the_same_requests():
    table = pd.DataFrame(
        {
            "model": ["a", "a", "b"],
            "candidates": ["1+99", "all unseen items", "all items"],
            "HR@10": [0.3, 0.35, 0.9],
        }
    )
    assert check_table(table) == 3
    with pytest.raises(ImpossibleResultError, match="a, all unseen items"):
        check_table(table, same_requests=True)
    table["HR@10"] = [0.3, 0.25, 0.9]
    assert check_table(table, same_requests=True) == 3


def test_hit_rates_at_the_number_of_candidates():
    table = pd.DataFrame({"HR@100": [0.97]})
    assert check_table(table) == 1
    with pytest.raises(ImpossibleResultError, match="100 candidates"):
        check_table(table, num_candidates=100)


def test_empty_cells_are_passed_over():
    assert check_table(changed(HIT_1=[np.nan, 0.1])) == 2


PAIR = pd.DataFrame({"model": ["a", "a"], "metric": ["HR@1", "NDCG@1"], "value": [0.3012, 0.2003]})


@pytest.mark.parametrize(
    ("name", "values"), [("note", ["table 2", "table 3"]), ("row", [0, 1]), ("users", [10, 11])]
)
def test_remarks_and_counts_beside_figures_do_not_part_a_result(name, values):
    with pytest.raises(ImpossibleResultError, match=r"table, a: got NDCG@1 = 0\.2003"):
        check_table(PAIR.assign(**{name: values}))


def test_keys_with_two_values_for_one_figure_are_refused_and_can_be_named():
    """The second would hide the first, which is impossible."""
    good = PAIR.assign(value=[0.2512, 0.2512])
    both = pd.concat([PAIR.assign(heat=0.1), good.assign(heat=0.2)])
    with pytest.raises(BadInputError, match=r"HR@1 twice \(0\.3012 and 0\.2512\).*keys=.*'heat'"):
        check_table(both)
    with pytest.raises(ImpossibleResultError, match=r"table, a, 0\.1: got NDCG@1"):
        check_table(both, keys=["model", "heat"])
    both["value"] = [0.3012, 0.3012, 0.2512, 0.2512]
    assert check_table(both, keys=["model", "heat"]) == 2
    with pytest.raises(BadInputError, match=r"got key 'heet'.*heat"):
        check_table(both, keys=["model", "heet"])
    with pytest.raises(BadInputError, match="got key 'value'"):
        check_table(both, keys=["model", "value"])


def test_names_of_keys_are_known_in_any_spelling():
    long = pd.concat([PAIR.assign(**{"Data_Set": name}) for name in ("x", "y")])
    long["value"] = [0.3012, 0.3012, 0.2512, 0.2512]
    assert check_table(long) == 2


def test_a_metric_of_whole_numbers_is_a_figure_and_no_key():
    table = pd.DataFrame({"model": ["a", "b"], "HR@1": [0, 1], "NDCG@1": [0.0, 0.8123]})
    with pytest.raises(ImpossibleResultError, match=r"table, b: got NDCG@1 = 0\.8123"):
        check_table(table)
    with pytest.raises(ImpossibleResultError, match="NDCG@1 = 0"):
        check_table(pd.DataFrame({"HR@1": [0, 1], "NDCG@1": [0, 0]}))


def test_a_catalogue_above_sampled_is_found_beside_whole_numbers_and_notes():
    table = pd.DataFrame(
        {
            "model": ["a", "a"],
            "note": ["first", "second"],
            "candidates": ["1+99", "all items"],
            "HR@1": [0, 1],
            "HR@10": [0.3, 1.0],
        }
    )
    with pytest.raises(ImpossibleResultError, match="over the catalogue"):
        check_table(table, same_requests=True)
    with pytest.raises(ImpossibleResultError, match="over the catalogue"):
        check_table(table, same_requests=True, keys=["model"])
    twice = pd.concat([table, table.assign(note="third")])
    with pytest.raises(BadInputError, match=r"two rows of the keys .*keys="):
        check_table(twice, same_requests=True)


@pytest.mark.parametrize("cell", ["too few", "-", "", " ", None, "n/a"])
def test_cells_that_say_there_is_none_are_no_figures(cell):
    wide = pd.DataFrame({"model": ["a", "b"], "HR@1": ["0.3", cell], "NDCG@1": ["0.3", cell]})
    assert check_table(wide) == 2
    assert check_table(PAIR.assign(value=["0.3", cell])) == 1
    wide.loc[0, "NDCG@1"] = "0.21"
    with pytest.raises(ImpossibleResultError, match=r"NDCG@1 = 0\.21"):
        check_table(wide)


def test_a_cell_that_is_no_number_is_named():
    with pytest.raises(BadInputError, match=r"table, a: got HR@1 = '30 %', expected a number"):
        check_table(pd.DataFrame({"model": ["a"], "HR@1": ["30 %"]}))
    with pytest.raises(BadInputError, match=r"table, a: got NDCG@1 = 'x'"):
        check_table(PAIR.assign(value=["0.3", "x"]))


def test_percentages_are_asked_about():
    with pytest.raises(ImpossibleResultError, match=r"HR@1 = 30, .*percentages\? then divide"):
        check_table(pd.DataFrame({"model": ["a"], "HR@1": [30.0], "NDCG@1": [30.0]}))
    with pytest.raises(ImpossibleResultError, match=r"expected 0 to 1;"):
        check_table(pd.DataFrame({"HR@1": [-0.25]}))


def test_a_column_that_stands_twice_is_refused():
    with pytest.raises(BadInputError, match="each once"):
        check_table(pd.DataFrame([[0.3, 0.2]], columns=["HR@1", "HR@1"]))


def test_tables_without_a_known_metric_and_files_that_are_not_there(tmp_path):
    with pytest.raises(BadInputError, match="seconds"):
        check_table(GOOD[["model", "seconds"]])
    with pytest.raises(BadInputError, match="columns"):
        check_table(pd.DataFrame())
    with pytest.raises(BadInputError, match=r"none\.csv"):
        check_table(tmp_path / "none.csv")
    with pytest.raises(ConfigError):
        check_table(tmp_path / "none.toml")
