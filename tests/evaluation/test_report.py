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
from sargraph.evaluation.significance import bootstrap_means

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


@pytest.fixture(scope="module")
def seeded(world):
    """Three seeds of a model against one of a baseline."""
    scorers = [Noisy("weak", 0.5), *(Noisy("model", 1.0, seed) for seed in range(1, 4))]
    return results(world, scorers=scorers)


def test_the_spread_over_seeds_stands_beside_the_figure(seeded):
    found = Report.from_results(seeded, baseline="weak", **SMALL)
    frame = found.to_frame().set_index(["task", "slice", "model", "metric"])
    row = frame.loc[("search", "all", "model", "HR@5")]
    parts = [r.take(r.requests.is_search).mean("HR@5") for r in seeded if r.model == "model"]
    assert row["seeds"] == 3
    assert [row["seed_low"], row["seed_high"]] == pytest.approx([min(parts), max(parts)])
    single = frame.loc[("search", "all", "weak", "HR@5")]
    assert single["seeds"] == 1
    assert np.isnan(single["seed_low"])
    few = frame.loc[("search", "history >0", "model", "HR@5")]
    assert np.isnan([few["value"], few["seed_low"], few["seed_high"]]).all()
    text = found.to_text(200)
    assert "over seeds" in text
    assert "(3 seeds)" in text
    assert "3 against 1 seed(s)" in text
    assert any("one training seed" in line for line in found.protocol_lines())


def test_the_interval_of_several_seeds_is_hierarchical(seeded):
    """Wider than that of the users alone, by the seeds' share."""
    found = Report.from_results(seeded, **SMALL).to_frame()
    row = found[(found["model"] == "model") & (found["metric"] == "AUC")].iloc[0]
    parts = [r.take(r.requests.is_search) for r in seeded if r.model == "model"]
    means = np.stack([part.user_means("AUC")[1] for part in parts])
    estimate = bootstrap_means({"model": means[:, :, None]}, seed=0, num_resamples=200)["model"]
    low, high = estimate.interval()
    assert row["low"] == pytest.approx(low[0], abs=3 * estimate.standard_error[0] / 10)
    assert row["high"] == pytest.approx(high[0], abs=3 * estimate.standard_error[0] / 10)


def test_a_report_keeps_its_results(seeded, tmp_path):
    Report.from_results(seeded, baseline="weak", **SMALL).save(tmp_path / "report")
    loaded = Report.load(tmp_path / "report")
    assert [r.model for r in loaded.results] == [r.model for r in seeded]
    again = Report.from_results(loaded.results, baseline="weak", **SMALL)
    pd.testing.assert_frame_equal(again.frame, loaded.frame)
    pd.testing.assert_frame_equal(again.verdicts, loaded.verdicts)


def test_reports_without_results_seeds_or_reasons_are_read(seeded, tmp_path, monkeypatch):
    """As they were written before these were kept."""
    added = {"seeds", "seed_low", "seed_high", "baseline_seeds", "reason"}
    full = Report.from_results(seeded, baseline="weak", **SMALL)
    old = replace(
        full,
        results=(),
        frame=full.frame.drop(columns=added & set(full.frame)),
        verdicts=full.verdicts.drop(columns=added & set(full.verdicts)),
    )
    monkeypatch.setattr(Report, "to_html", lambda self, path: path.write_text("a page"))
    old.save(tmp_path / "report")
    monkeypatch.undo()
    loaded = Report.load(tmp_path / "report")
    assert loaded.results == ()
    assert set(loaded.frame["seeds"]) == {0}
    assert loaded.frame["value"].tolist() == pytest.approx(full.frame["value"], nan_ok=True)
    assert all("seed(s)" not in line for line in loaded.verdict_lines())
    assert "model" in loaded.to_text()


def test_columns_that_are_missing_for_another_reason_are_refused(seeded, tmp_path, monkeypatch):
    monkeypatch.setattr(Report, "to_html", lambda self, path: path.write_text("a page"))
    full = Report.from_results(seeded, **SMALL)
    for number, frame in enumerate(
        (full.frame.drop(columns="high"), full.frame.assign(strange=1.0))
    ):
        replace(full, frame=frame).save(tmp_path / str(number))
        with pytest.raises(ArtifactError, match="columns"):
            Report.load(tmp_path / str(number))


def test_odd_counts_become_notes(world):
    class Broken(Noisy):
        def score(self, requests, candidates):
            return np.full(candidates.shape, np.nan, np.float32)

    found = Report.from_results(results(world, scorers=[Broken("broken", 0.0)]), **SMALL)
    assert any("400 requests with NaN scores" in note for note in found.notes)
