"""The experiment on the verdict: its planted worlds are what they say, a study runs and is kept."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from sargraph.core.config import read_toml

FOLDER = Path(__file__).parents[2] / "experiments" / "verdict"
MODULES = ("factors", "arms", "studies", "measure")


@pytest.fixture(scope="module")
def experiment():
    """The experiment's modules, which stand beside each other in its folder."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: importlib.import_module(name) for name in MODULES}
    finally:
        sys.path.remove(str(FOLDER))
        for name in MODULES:
            sys.modules.pop(name, None)


@pytest.fixture
def studies(experiment, monkeypatch) -> ModuleType:
    monkeypatch.setattr(experiment["studies"], "REPETITIONS", 20)
    return experiment["studies"]


@pytest.fixture(scope="module")
def arms():
    """NDCG@10 of two arms on 300 users, ranks drawn."""
    ranks = np.random.default_rng(0).integers(1, 25, (2, 300))
    return np.where(ranks <= 10, 1 / np.log2(ranks + 1), 0.0)


def test_swapped_arms_differ_by_chance_alone(studies, arms):
    pairs = list(studies.null_pairs(*arms, seed=0))
    assert len(pairs) == 20
    for ours, theirs in pairs:
        assert np.sort(np.stack([ours[0], theirs[0]]), axis=0) == pytest.approx(
            np.sort(arms, axis=0)
        )
    gaps = [float((ours - theirs).mean()) for ours, theirs in pairs]
    assert abs(np.mean(gaps)) < 3 * np.std(gaps) / np.sqrt(20)


def test_the_planted_gain_is_five_percent_of_the_mean(studies, arms, monkeypatch):
    monkeypatch.setattr(studies, "REPETITIONS", 400)
    gaps = [float((ours - theirs).mean()) for ours, theirs in studies.gain_pairs(*arms, seed=0)]
    error = np.std(gaps) / np.sqrt(len(gaps))
    assert np.mean(gaps) == pytest.approx(0.05 * arms.mean(), abs=3 * error)
    assert error < 0.01 * arms.mean()


@pytest.mark.parametrize(("rank", "better"), [(1, 1), (2, 1), (3, 2), (7, 4), (10, 5), (99, 10)])
def test_a_halved_rank(studies, rank, better):
    gain = np.array([1 / np.log2(rank + 1) if rank <= 10 else 0.0])
    assert studies._halved(gain) == pytest.approx([1 / np.log2(better + 1)])


def test_groups_of_trainings_are_disjoint(studies):
    means = np.arange(12.0)[:, None] * np.ones(4)
    for ours, theirs in studies.seed_pairs(means, 5, seed=0):
        assert len(set(ours[:, 0]) | set(theirs[:, 0])) == 10
    for ours, theirs in studies.seed_pairs(means, 5, seed=0, fixed=True):
        assert ours.shape == theirs.shape == (1, 4)


def test_a_share_and_its_interval(studies):
    found = studies.tally("null", studies.null_pairs(*np.random.default_rng(1).random((2, 100)), 0))
    assert found["shown"] + found["refuted"] + found["cannot tell"] == pytest.approx(1)
    assert found["shown_low"] <= found["shown"] <= found["shown_high"]
    assert studies.wilson(0, 200) == pytest.approx((0, 0.0188), abs=1e-4)
    assert studies.wilson(10, 200) == pytest.approx((0.0274, 0.0896), abs=1e-4)


def test_a_study_is_measured_once_and_compared(experiment, tmp_path):
    measure, calls = experiment["measure"], []

    def study():
        calls.append(1)
        return {"study": "s", "coverage": 0.95, "low": 0.9, "high": 0.97}

    for _ in range(2):
        assert measure.cell("s", study, tmp_path)["coverage"] == 0.95
    assert len(calls) == 1
    (path,) = tmp_path.iterdir()
    assert json.loads(path.read_text())["study"] == "s"


def test_figures_that_moved_are_named(experiment):
    measure = experiment["measure"]
    expected = read_toml(FOLDER / "expected.toml")["figures"]
    by_study: dict[str, dict] = {}
    for each in expected:
        by_study.setdefault(each["study"], {"study": each["study"]})[each["figure"]] = each["value"]
    assert measure.moved(list(by_study.values())) == []
    first = expected[0]
    by_study[first["study"]][first["figure"]] += 2 * first["tolerance"]
    assert len(measure.moved(list(by_study.values()))) == 1
    names = {*measure.verdict_studies(dict), *measure.coverage_studies()}
    assert set(by_study) <= names
