"""The report of a grid: kept apart, with intervals, verdicts, gaps, costs, and how to repeat it."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from sargraph.core.config import parse_config, read_toml
from sargraph.pipeline.expected import Expected, compare_expected, measured_toml
from sargraph.pipeline.grid.outcome import run_grid_file, write_cards
from sargraph.pipeline.grid.page import claim_table, grid_document, screen_tables
from sargraph.pipeline.grid.plots import arm_plot, claim_plot, slice_plot
from sargraph.testing.grids import TINY, grid_toml


@pytest.fixture(scope="module")
def text(shared):
    return grid_document(shared[3]).markdown()


def test_the_report_says_all_that_a_reader_must_know(shared, text):
    found = shared[3]
    assert text.startswith("# A tiny grid\n\nDoes it work?")
    for heading in ("Verdicts", "world: recommendation, simulated", "world: search, simulated",
                    "What is missing", "What it took", "Protocol", "How to repeat it"):  # fmt: skip
        assert f"## {heading}" in text
    assert found.frozen in text and found.data[0].content_hash[:16] in text
    assert "corrected by Holm over all 3 claims" in text
    assert "transitions, decay and triggers" in text
    assert "the effects in it were planted" in text


def test_every_figure_of_the_tables_is_that_of_the_report(shared, text):
    frame = shared[3].reports["world"].frame
    rows = frame[(frame["metric"] == "NDCG@10") & (frame["slice"] == "all")]
    for row in rows.to_dict("records"):
        assert f"{row['value']:.4f} [{row['low']:.4f}, {row['high']:.4f}]" in text
    assert "too few" in text


def test_the_page_is_whole_without_a_network(shared, tmp_path):
    page = grid_document(shared[3]).save(tmp_path, "report").read_text(encoding="utf-8")
    assert page.count("<html") == 1 and not re.search(r"<(script|link|img)[^>]+(src|href)=", page)
    assert 'class="badge' in page and "<details>" in page and 'href="#section-2"' in page
    assert (tmp_path / "report.md").read_text(encoding="utf-8").startswith("# A tiny grid")


def test_screen_tables_are_apart_by_data_task_and_candidates(shared):
    assert list(screen_tables(shared[3])) == [
        "world, recommendation (simulated), 1+20", "world, recommendation (simulated), all items",
        "world, search (simulated), 1+20", "world, search (simulated), all items", "claims",
    ]  # fmt: skip


def test_plots_have_a_dot_with_its_interval_for_every_figure(shared):
    frame = shared[3].reports["world"].frame
    task = frame[(frame["task"] == "recommend") & (frame["metric"] == "NDCG@10")]
    whole = task[task["slice"] == "all"]
    drawn = [trace for trace in arm_plot(whole, "NDCG@10", "popularity").data if trace.mode]
    assert len(drawn) == 2
    part = whole[whole["candidates"] == "1+20"]
    assert list(drawn[0].x) == part["value"].tolist() and list(drawn[0].y) == part["model"].tolist()
    assert np.allclose(drawn[0].error_x.array, part["high"] - part["value"])
    assert np.allclose(drawn[0].error_x.arrayminus, part["value"] - part["low"])
    rows = task[(task["candidates"] == "1+20") & task["value"].notna()]
    dots = sum((~np.isnan(np.array(t.x, dtype=float))).sum() for t in slice_plot(rows, "x").data)
    assert dots == len(rows)


def test_gains_are_drawn_and_printed_in_percent_of_the_baseline():
    row = {
        "data": "d", "task": "search", "candidates": "1+99", "model": "m", "baseline": "b",
        "metric": "NDCG@10", "baseline_value": 0.2, "difference": 0.02, "low": 0.01, "high": 0.04,
        "p": 0.01, "p_holm": 0.01, "detectable": 0.01, "verdict": "shown", "reason": "",
    }  # fmt: skip
    zero = {**row, "baseline_value": 0.0, "verdict": "cannot tell"}
    few = {**row, "verdict": "too few", "p_holm": float("nan"), "difference": float("nan")}
    frame = pd.DataFrame([row, zero, few])
    assert claim_table(frame)["NDCG@10"].tolist() == [
        "+10.0 % [+5.0, +20.0]", "+0.0200 [+0.0100, +0.0400]", "-",
    ]  # fmt: skip
    shown = next(t for t in claim_plot(frame.iloc[:1], ["x"]).data if t.name == "shown")
    assert list(shown.x) == [pytest.approx(10)]
    assert list(shown.error_x.array) == [pytest.approx(10)]


def test_cards_lie_beside_the_report(shared, tmp_path):
    found = shared[3]
    write_cards(found)
    names = {path.name for path in (found.folder / "models").iterdir()}
    assert names == {f"world-{m}-0.{kind}" for m in ("uditsr", "unisar") for kind in ("md", "html")}
    assert {path.name for path in (found.folder / "data").iterdir()} == {"world.md", "world.html"}


def test_measured_figures_are_an_expected_file_that_stands(shared, tmp_path):
    reports = shared[3].reports
    path = tmp_path / "expected.toml"
    path.write_text(measured_toml(reports, (0,)), encoding="utf-8")
    expected = parse_config(Expected, read_toml(path), "expected")
    assert len(expected.figures) >= 10 and expected.events == {
        "world": reports["world"].parents["events"]
    }
    assert compare_expected(path, reports) == [
        f"all {len(expected.figures)} expected figures stand within their tolerance"
    ]
    moved = path.read_text().replace(f"value = {expected.figures[0].value:.4f}", "value = 0.9999")
    path.write_text(moved.replace(reports["world"].parents["events"], "other"))
    lines = compare_expected(path, reports)
    assert lines[0] == "the events of world are not those the expected figures were measured on"
    assert lines[1].startswith("moved: world, recommend, popularity")
    assert compare_expected(path, {})[-1].startswith("missing: world")


def test_expected_figures_of_slices_are_found(shared, tmp_path):
    reports = shared[3].reports
    frame = reports["world"].frame
    row = frame[(frame["slice"] != "all") & frame["value"].notna()].iloc[0]
    lines = [
        f'{name} = "{row[name]}"' for name in ("task", "model", "candidates", "metric", "slice")
    ]
    path = tmp_path / "expected.toml"
    head = f'seeds = [0]\n[events]\nworld = "{reports["world"].parents["events"]}"\n[[figures]]\n'
    figure = [*lines, 'data = "world"', f"value = {row['value']}", "tolerance = 1e-9"]
    path.write_text(head + "\n".join(figure))
    assert compare_expected(path, reports)[0].startswith("all 1 expected")


def test_a_file_of_a_grid_is_run_and_compared(shared, tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text(grid_toml(TINY), encoding="utf-8")
    outcome = run_grid_file(path, tmp_path, (), shared[2])
    made = tmp_path / "tiny"
    for name in ("report.md", "report.html", "protocol.toml", "measured.toml", "reports/world"):
        assert (made / name).exists()
    (tmp_path / "expected.toml").write_text((made / "measured.toml").read_text())
    again = run_grid_file(path, tmp_path, (), shared[2])
    assert again.remarks[-1].endswith("stand within their tolerance")
    assert not any("stand within" in line for line in outcome.remarks)
    assert {cell["new"] for cell in again.to_dict()["cells"]} == {False}
    assert len(again.to_dict()["claims"]) == 2
