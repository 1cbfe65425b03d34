"""The metric that a report is read by, and reports without any request."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from sargraph.core.errors import BadInputError
from sargraph.core.ragged import Ragged
from sargraph.evaluation.evaluate import evaluate_scorer
from sargraph.evaluation.protocol import Protocol
from sargraph.evaluation.report import Report

NUM_ITEMS = 60
SHORT = Protocol(num_negatives=9, cutoffs=(1, 5))
USUAL = Protocol(num_negatives=19)
LONG = Protocol(num_negatives=29, cutoffs=(1, 5, 10, 20))
FULL = Protocol(candidates="full", cutoffs=(1, 5, 10, 20))
SMALL = {"min_requests": 10, "min_users": 5}


@dataclass
class Noise:
    """Scores by a seed."""

    name: str
    seed: int = 0

    def score(self, requests, candidates):
        return np.random.default_rng(self.seed).random(candidates.shape, dtype=np.float32)


@pytest.fixture(scope="module")
def requests(make_requests):
    rng = np.random.default_rng(0)
    return make_requests(rng.integers(0, 20, 80), rng.integers(0, NUM_ITEMS, 80))


def judged(requests, *protocols, names=("a", "b")):
    return [
        evaluate_scorer(
            Noise(name, seed), requests, NUM_ITEMS, protocol=protocol,
            known=Ragged.from_lists([[] for _ in range(20)]), popularity=np.arange(NUM_ITEMS),
        )
        for protocol in protocols
        for seed, name in enumerate(names)
    ]  # fmt: skip


@pytest.mark.parametrize("metric", ["NDCG@7", "nonsense@10", "ndcg@10", "coverage@10"])
@pytest.mark.parametrize("baseline", [None, "a"])
def test_a_primary_metric_that_no_figure_has_is_refused(requests, metric, baseline):
    with pytest.raises(BadInputError, match=rf"'{metric}', which 'a' under 1\+19.*'NDCG@10'"):
        Report.from_results(judged(requests, USUAL), metric=metric, baseline=baseline)


def test_every_protocol_must_have_the_primary_metric(requests, tmp_path):
    both = judged(requests, SHORT, USUAL)
    for results in (both, both[::-1]):
        with pytest.raises(BadInputError, match=r"'NDCG@10', which '.' under 1\+9 lacks"):
            Report.from_results(results, **SMALL)
    with pytest.raises(BadInputError, match=r"'self-information@10', which"):
        Report.from_results(judged(requests, FULL, USUAL), metric="self-information@10")
    Report.from_results(both, metric="NDCG@5", baseline="a", **SMALL).save(tmp_path / "report")
    assert Report.load(tmp_path / "report").metric == "NDCG@5"


def test_a_page_of_a_metric_without_figures_can_be_written(requests, tmp_path):
    """As reports hold it that were saved before such metrics were refused."""
    report = Report.from_results(judged(requests, USUAL), **SMALL)
    page = replace(report, metric="NDCG@7").to_html(tmp_path / "page.html")
    assert "NDCG@7" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(("protocol", "metric"), [(SHORT, "NDCG@5"), (USUAL, "NDCG@10"),
                                                 (LONG, "NDCG@10"), (FULL, "NDCG@10")])  # fmt: skip
def test_the_primary_metric_is_at_10_wherever_10_is_a_cutoff(requests, protocol, metric):
    assert Report.from_results(judged(requests, protocol)).metric == metric


def test_coverage_and_self_information_are_at_10_wherever_10_is_a_cutoff(requests):
    usual = FULL.model_copy(update={"cutoffs": (1, 5, 10)})
    found = {}
    for protocol in (FULL, usual):
        (result,) = judged(requests, protocol, names=("a",))
        frame = Report.from_results([result], **SMALL).frame.set_index("metric")["value"]
        found[protocol.hash] = frame[["coverage@10", "self-information@10"]].tolist()
        assert "coverage@20" not in frame and "self-information@20" not in frame
        best = result.top[:, :10]
        assert result.coverage() == len(set(best.ravel().tolist())) / NUM_ITEMS
        share = (np.arange(NUM_ITEMS) + 1) / (np.arange(NUM_ITEMS).sum() + NUM_ITEMS)
        assert result.self_information() == pytest.approx(-np.log2(share)[best].mean(axis=1))
    assert found[FULL.hash] == pytest.approx(found[usual.hash])


def test_a_report_without_any_request_says_so(requests, tmp_path):
    nothing = judged(requests.take(np.empty(0, np.int64)), USUAL)
    for baseline in (None, "a"):
        report = Report.from_results(nothing, baseline=baseline)
        assert report.frame.empty and report.verdicts.empty
        assert "no request was judged" in report.to_text()
    report.save(tmp_path / "report")
    assert "no request was judged" in Report.load(tmp_path / "report").notes[-1]
    with pytest.raises(BadInputError, match="no results of baseline 'c'; known: a, b"):
        Report.from_results(nothing, baseline="c")


def test_a_baseline_that_was_asked_nothing_is_refused(requests):
    some = judged(requests, USUAL, names=("a",))
    none = judged(requests.take(np.empty(0, np.int64)), USUAL, names=("b",))
    with pytest.raises(BadInputError, match="baseline 'b' on no request at all"):
        Report.from_results([*some, *none], baseline="b")
