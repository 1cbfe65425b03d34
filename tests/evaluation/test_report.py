"""The report: figures with intervals, verdicts, refusals, and the way to disk and back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

from sargraph.core.errors import ArtifactError, BadInputError, ImpossibleResultError
from sargraph.core.ragged import Ragged
from sargraph.evaluation.evaluate import evaluate_scorer
from sargraph.evaluation.protocol import Protocol
from sargraph.evaluation.report import Report

NUM_ITEMS = 60
SAMPLED = Protocol(num_negatives=19, num_bootstrap=200)
FULL = Protocol(candidates="full", num_bootstrap=200)
SMALL = {"min_requests": 50, "min_users": 20}


@dataclass
class Noisy:
    """Scores the target higher by `skill`, plus noise that depends on `seed`."""

    name: str
    skill: float
    seed: int = 0

    def score(self, requests, candidates):
        noise = np.random.default_rng(self.seed).normal(size=candidates.shape)
        hit = candidates == requests.target[:, None]
        return (noise + self.skill * hit).astype(np.float32)


@pytest.fixture(scope="module")
def world(make_requests):
    rng = np.random.default_rng(0)
    queries = np.where(np.arange(400) < 250, 0, -1)
    requests = make_requests(
        rng.integers(0, 80, 400), rng.integers(0, NUM_ITEMS, 400), queries=queries
    )
    return requests, {"history 0": rng.random(400) < 0.5, "history >0": np.arange(400) < 9}


def results(world, protocol=SAMPLED, scorers=None):
    requests, slices = world
    popularity = np.arange(NUM_ITEMS)
    known = Ragged.from_lists([[] for _ in range(80)])
    return [
        evaluate_scorer(
            scorer,
            requests,
            NUM_ITEMS,
            known=known,
            protocol=protocol,
            slices=slices,
            popularity=popularity,
        )
        for scorer in scorers or (Noisy("weak", 0.5), Noisy("strong", 2.0, 1))
    ]


@pytest.fixture(scope="module")
def report(world):
    both = [*results(world), *results(world, FULL)]
    return Report.from_results(both, baseline="weak", title="A test", notes=["simulated"], **SMALL)


def test_figures_equal_the_results(world, report):
    found = results(world)
    frame = report.to_frame()
    for result in found:
        for task, mask in (
            ("search", result.requests.is_search),
            ("recommend", ~result.requests.is_search),
        ):
            rows = frame[
                (frame["task"] == task)
                & (frame["model"] == result.model)
                & (frame["slice"] == "all")
                & (frame["candidates"] == "1+19")
            ].set_index("metric")
            part = result.take(mask)
            assert rows.loc["NDCG@10", "value"] == pytest.approx(part.mean("NDCG@10"))
            assert rows.loc["AUC", "low"] < part.mean("AUC") < rows.loc["AUC", "high"]
            assert rows.loc["MRR", "requests"] == len(part)
            assert rows.loc["MRR", "users"] == len(np.unique(part.requests.user))


def test_small_slices_print_too_few(world, report):
    frame = report.to_frame()
    small = frame[frame["slice"] == "history >0"]
    assert len(small)
    assert small["value"].isna().all()
    assert "too few" in report.to_text()
    strict = Report.from_results(results(world), baseline="weak")
    assert strict.to_frame()["value"].isna().all()
    assert set(strict.verdicts["verdict"]) == {"too few"}
    assert all(line.endswith("too few") for line in strict.verdict_lines())


def test_verdicts_are_in_words(report):
    assert set(report.verdicts["verdict"]) == {"shown"}
    assert len(report.verdict_lines()) == 4
    assert "smallest detectable effect" in report.verdict_lines()[0]
    assert (report.verdicts["p_holm"] >= report.verdicts["p"]).all()


def test_equal_models_are_not_told_apart(world):
    twins = results(world, scorers=(Noisy("one", 1.0, 3), Noisy("two", 1.0, 4)))
    found = Report.from_results(twins, baseline="one", **SMALL)
    assert "shown" not in set(found.verdicts["verdict"])


def test_text_holds_figures_and_protocol(report):
    text = report.to_text()
    for part in ("A test", "search, 1+19", "recommend, all items", "strong", SAMPLED.hash[:12]):
        assert part in text
    assert "simulated" in text


def test_pivot_has_a_column_per_model(report):
    wide = report.pivot("HR@5")
    assert list(wide.columns) == ["weak", "strong"]
    assert wide.loc[("search", "1+19", "all"), "strong"] > 0.4
    with pytest.raises(BadInputError, match="HR@5"):
        report.pivot("HR@6")


def test_full_rankings_report_coverage_and_self_information(report):
    frame = report.to_frame().set_index(["task", "slice", "model", "candidates", "metric"])
    cell = ("search", "all", "weak", "all items")
    assert 0 < frame.loc[(*cell, "coverage@10"), "value"] <= 1
    assert frame.loc[(*cell, "self-information@10"), "value"] > 0


def test_save_and_load_keep_everything(report, tmp_path):
    saved = report.save(tmp_path / "report")
    loaded = Report.load(tmp_path / "report")
    pd.testing.assert_frame_equal(loaded.frame, report.frame)
    pd.testing.assert_frame_equal(loaded.verdicts, report.verdicts)
    assert loaded.protocols == report.protocols
    assert (loaded.title, loaded.notes, loaded.limits) == ("A test", report.notes, (50, 20))
    assert loaded.content_hash == saved.content_hash != ""
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "strong" in page
    assert "<script src=" not in page
    assert len(list((tmp_path / "report").glob("protocol-*.toml"))) == 2


def test_a_report_without_baseline_goes_to_disk_too(world, tmp_path):
    Report.from_results(results(world), **SMALL).save(tmp_path / "report")
    loaded = Report.load(tmp_path / "report")
    assert loaded.verdicts.empty
    assert loaded.verdict_lines() == []


def test_an_edited_report_is_refused(report, tmp_path):
    report.save(tmp_path / "report")
    file = tmp_path / "report" / "report.parquet"
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(ArtifactError):
        Report.load(tmp_path / "report")


def test_impossible_figures_are_refused(report):
    frame = report.to_frame()
    frame.loc[frame["metric"] == "NDCG@10", "value"] = 0.99
    with pytest.raises(ImpossibleResultError, match="NDCG@10"):
        replace(report, frame=frame)


def test_arms_must_rank_the_same_candidates(world):
    requests, slices = world
    fewer = (requests.take(np.arange(300)), {name: mask[:300] for name, mask in slices.items()})
    mixed = [*results(world)[:1], *results(fewer)[1:]]
    with pytest.raises(BadInputError, match="same requests"):
        Report.from_results(mixed)


def test_unknown_baseline_and_no_results_are_refused(world):
    with pytest.raises(BadInputError, match="weak"):
        Report.from_results(results(world), baseline="weeak")
    with pytest.raises(BadInputError, match="no results"):
        Report.from_results([])


def test_protocols_that_look_alike_are_refused(world):
    other = SAMPLED.model_copy(update={"seed": 5})
    with pytest.raises(BadInputError, match="protocols"):
        Report.from_results([*results(world), *results(world, other)])


def test_results_of_one_model_are_its_seeds(world):
    seeds = results(world, scorers=[Noisy("model", 1.0, seed) for seed in range(3)])
    found = Report.from_results(seeds, **SMALL).pivot("NDCG@10")
    parts = [result.take(result.requests.is_search).mean("NDCG@10") for result in seeds]
    assert found.loc[("search", "1+19", "all"), "model"] == pytest.approx(np.mean(parts))


def test_odd_counts_become_notes(world):
    class Broken(Noisy):
        def score(self, requests, candidates):
            return np.full(candidates.shape, np.nan, np.float32)

    found = Report.from_results(results(world, scorers=[Broken("broken", 0.0)]), **SMALL)
    assert any("400 requests with NaN scores" in note for note in found.notes)
