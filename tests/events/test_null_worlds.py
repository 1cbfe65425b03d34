"""The experiment on null worlds: one small cell runs, is kept, and is compared."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from sargraph.core.config import read_toml
from sargraph.events.effects import EFFECTS

FOLDER = Path(__file__).parents[2] / "experiments" / "null_worlds"


@pytest.fixture(scope="module")
def measure() -> ModuleType:
    spec = importlib.util.spec_from_file_location("null_worlds_measure", FOLDER / "measure.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


def test_a_small_cell_is_measured_once(measure: ModuleType, tmp_path: Path) -> None:
    whole = next(iter(measure.grid(60, ("no_r2s",))))
    cell = measure.Cell(whole.world, whole.config, (0, 1))
    frame = measure.measure_cell(cell, tmp_path)
    assert frame.groupby("seed")["effect"].apply(list).tolist() == [list(EFFECTS)] * 2
    assert set(frame["world"]) == {"no_r2s"}
    (path,) = tmp_path.iterdir()
    stored = json.loads(path.read_text())
    stored["rows"][0]["value"] = 0.123
    path.write_text(json.dumps(stored))
    again = measure.measure_cell(cell, tmp_path)
    assert again["value"][0] == 0.123  # read, not measured again
    other = measure.Cell(whole.world, whole.config, (2,))
    assert measure.hash_of(other.inputs) != measure.hash_of(cell.inputs)


@pytest.mark.parametrize(
    "changed", ["simulate.py", "ingest.py", "reading/times.py", "effect/null.py", "synthetic.toml"]
)
def test_a_cell_is_measured_again_where_the_code_that_made_it_changed(
    measure: ModuleType, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    before = measure.code_hash()
    assert measure.code_hash() == before
    plain = measure.hash_file
    monkeypatch.setattr(
        measure, "hash_file", lambda p: "new" if p.as_posix().endswith(changed) else plain(p)
    )
    assert measure.code_hash() != before


def test_the_grid_has_twenty_seeds_of_each_null_world(measure: ModuleType) -> None:
    cells = list(measure.grid(800))
    seeds = {w: [s for c in cells if c.world == w for s in c.seeds] for w in measure.NULLED}
    assert all(found == list(range(20)) for found in seeds.values())
    assert {e for effects in measure.NULLED.values() for e in effects} == set(EFFECTS)
    assert len(cells) <= 60 and len({measure.hash_of(c.inputs) for c in cells}) == len(cells)
    assert [c.world for c in measure.grid(800, ("planted",))] == ["planted"]


def table_of(excess: float, found: int) -> pd.DataFrame:
    rows = [
        {"world": w, "effect": e, "excess": excess, "found": found, "seeds": 20}
        for w in ("no_s2r", "no_r2s")
        for e in EFFECTS
    ]
    return pd.DataFrame(rows)


def test_figures_that_moved_and_false_positives_are_told(measure: ModuleType) -> None:
    lines = measure.moved(table_of(0.9, found=2))
    assert any(line.startswith("moved: no_s2r / s2r: 0.900, expected") for line in lines)
    assert lines[-1].startswith("false positives: 10%")
    assert not any("false" in line for line in measure.moved(table_of(0.9, found=1)))
    assert measure.as_text(table_of(0.9, 1)).splitlines()[2].startswith("| no_s2r | +0.900 (1/20)")


def test_the_expected_figures_cover_the_grid_and_the_readme(measure: ModuleType) -> None:
    figures = read_toml(FOLDER / "expected.toml")["figures"]
    worlds = list(dict.fromkeys(c.world for c in measure.grid(800)))
    assert {(f["world"], f["effect"]) for f in figures} == {(w, e) for w in worlds for e in EFFECTS}
    assert all(0 < f["tolerance"] < 0.2 for f in figures)
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "## Question" in text and "## Answer" in text
    for figure in figures:
        line = next(x for x in text.splitlines() if x.startswith(f"| {figure['world']} |"))
        assert f"{figure['excess']:+.3f} (" in line
