"""Two saved runs: compared where they can be, refused with the reason where not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from sargraph.core.errors import BadInputError
from sargraph.core.ragged import Ragged
from sargraph.evaluation.compare import compare_reports, compare_saved
from sargraph.evaluation.evaluate import evaluate_scorer
from sargraph.evaluation.protocol import Protocol
from sargraph.evaluation.report import Report
from sargraph.evaluation.significance import compare, holm

NUM_ITEMS = 60
SAMPLED = Protocol(num_negatives=19, num_bootstrap=200)
LIMITS = {"min_requests": 50, "min_users": 20}


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
def requests(make_requests):
    rng = np.random.default_rng(0)
    return make_requests(
        rng.integers(0, 80, 400), rng.integers(0, NUM_ITEMS, 400),
        queries=np.where(np.arange(400) < 250, 0, -1), events=range(400),
    )  # fmt: skip


def report(requests, *scorers, protocols=(SAMPLED,), events="e" * 64, **options):
    slices = {"early": np.arange(len(requests)) % 2 == 0, "rare": np.arange(len(requests)) < 5}
    results = [
        evaluate_scorer(
            scorer, requests, NUM_ITEMS, known=Ragged.from_lists([[] for _ in range(80)]),
            protocol=protocol, slices=slices,
        )
        for protocol in protocols
        for scorer in scorers
    ]  # fmt: skip
    return Report.from_results(results, parents={"events": events}, **LIMITS, **options)


WEAK, STRONG = Noisy("weak", 0.5), Noisy("strong", 2.0, 1)


def test_the_difference_is_the_paired_one_by_hand(requests):
    found = compare_reports(report(requests, STRONG), report(requests, WEAK), "strong", "weak")
    row = found.frame[(found.frame["task"] == "search") & (found.frame["slice"] == "all")].iloc[0]
    sums = {}
    for scorer in (STRONG, WEAK):
        result = report(requests, scorer).results[0]
        values, users = result.metric("NDCG@10"), requests.user
        sums[scorer.name] = [
            values[(users == user) & requests.is_search].mean()
            for user in sorted(set(users[requests.is_search].tolist()))
        ]
    ours, theirs = (np.array([sums[name]]) for name in ("strong", "weak"))
    expected = compare(ours, theirs, seed=0, num_resamples=200)
    assert row["difference"] == pytest.approx((ours - theirs).mean())
    assert row["low"] == pytest.approx(expected.low)
    assert row["p"] == expected.p
    assert row["detectable"] == pytest.approx(expected.detectable)
    assert (row["users"], row["requests"]) == (ours.shape[1], 250)
    assert row["verdict"] == "shown"
    assert "strong against weak" in found.lines()[0]
    assert "smallest detectable effect" in found.lines()[0]


def test_slices_stand_apart_and_small_ones_say_too_few(requests):
    frame = compare_reports(
        report(requests, STRONG), report(requests, WEAK), "strong", "weak"
    ).frame
    words = frame.set_index(["task", "slice"])["verdict"]
    assert words[("search", "rare")] == "too few"
    assert words[("search", "early")] == "shown"
    assert set(frame["slice"]) == {"all", "early", "rare"}


def test_verdicts_overall_are_not_corrected_for_the_slices(requests):
    frame = compare_reports(
        report(requests, Noisy("m", 0.9, 1)), report(requests, Noisy("m", 0.7, 2))
    ).frame
    is_whole = (frame["slice"] == "all").to_numpy()
    decided = frame["p"].notna().to_numpy()
    alone, closer = holm(frame["p"][is_whole].to_numpy()), holm(frame["p"][decided].to_numpy())
    assert alone.tolist() != closer[is_whole[decided]].tolist()
    assert frame["p_holm"][is_whole].tolist() == alone.tolist()
    parts = ~is_whole[decided]
    assert frame["p_holm"][decided][parts].tolist() == closer[parts].tolist()


def test_seeds_of_both_runs_count(requests):
    runs = [
        report(requests, *(Noisy("m", 1.0, seed) for seed in seeds))
        for seeds in (range(3), range(5, 10))
    ]
    row = compare_reports(*runs).frame.iloc[0]
    assert (row["seeds"], row["baseline_seeds"]) == (3, 5)
    assert row["verdict"] != "shown"


def test_models_that_ranked_alike_are_named_and_left_out(requests):
    first = report(requests, WEAK, Noisy("m", 1.0, 3))
    second = report(requests, WEAK, Noisy("m", 1.0, 4))
    found = compare_reports(first, second)
    assert set(found.frame["model"]) == {"m"}
    assert any("ranked alike in both runs: weak, search 1+19" in note for note in found.notes)
    same = compare_reports(first, first)
    assert set(same.frame["model"]) == {"weak", "m"}
    assert set(same.frame["verdict"]) == {"refuted", "too few"}


def test_two_models_of_one_run(requests, tmp_path):
    report(requests, WEAK, STRONG).save(tmp_path / "run")
    found = compare_saved(tmp_path / "run", tmp_path / "run", "strong", "weak", "HR@5")
    assert set(found.frame["metric"]) == {"HR@5"}
    assert "shown" in set(found.frame["verdict"])
    table = found.table()
    assert table["HR@5"].iloc[0].endswith("%")
    assert "too few" in set(table["HR@5"])


def test_too_few_requests_have_dashes_in_the_table(requests):
    table = compare_reports(report(requests, STRONG), report(requests, WEAK), "strong", "weak")
    few = table.table().set_index("slice").loc["rare"]
    assert few[["NDCG@10", "interval", "p", "detectable"]].tolist() == ["too few", "-", "-", "-"]
    assert not table.table().map(lambda text: "nan" in str(text)).any(axis=None)


def test_other_protocols_are_refused_with_what_differs(requests):
    other = SAMPLED.model_copy(update={"num_negatives": 9, "seed": 3})
    with pytest.raises(BadInputError, match=r"num_negatives 19 and 9, seed 0 and 3"):
        compare_reports(report(requests, WEAK), report(requests, WEAK, protocols=[other]))


def test_a_protocol_of_one_run_only_is_named(requests):
    full = Protocol(candidates="full", num_bootstrap=200)
    found = compare_reports(
        report(requests, STRONG, protocols=(SAMPLED, full)),
        report(requests, WEAK),
        "strong",
        "weak",
    )
    assert any("one run only: search all items" in note for note in found.notes)


def test_other_requests_are_refused_with_their_number(requests):
    fewer = requests.take(np.arange(390))
    with pytest.raises(BadInputError, match="10 requests that the second lacks, and without 0"):
        compare_reports(report(requests, WEAK), report(fewer, WEAK))


def test_requests_of_another_time_or_event_are_other_requests(requests):
    for name in ("as_of", "event", "query"):
        moved = replace(requests, **{name: getattr(requests, name) + 1})
        with pytest.raises(BadInputError, match=r"that the second lacks|stands in both"):
            compare_reports(report(requests, WEAK), report(moved, Noisy("weak", 0.5, 9)))


def test_the_same_requests_in_another_order_are_refused(requests):
    turned = requests.take(np.arange(400)[::-1])
    with pytest.raises(BadInputError, match="another order"):
        compare_reports(report(requests, WEAK), report(turned, WEAK))


def test_other_candidates_are_refused(requests):
    first, second = report(requests, WEAK), report(requests, WEAK)
    other = tuple(replace(each, candidates_hash="f" * 64) for each in second.results)
    with pytest.raises(BadInputError, match="other candidates"):
        compare_reports(first, replace(second, results=other))


def test_other_events_reports_without_results_and_unknown_names_are_refused(requests):
    run = report(requests, WEAK)
    with pytest.raises(BadInputError, match="events eeeeeeeeeeee and dddddddddddd"):
        compare_reports(run, report(requests, WEAK, events="d" * 64))
    with pytest.raises(BadInputError, match="first report holds no results"):
        compare_reports(replace(run, results=()), run)
    with pytest.raises(BadInputError, match="'weak'"):
        compare_reports(run, run, "weakk")
    with pytest.raises(BadInputError, match="strong"):
        compare_reports(run, report(requests, STRONG))
    with pytest.raises(BadInputError, match="without --model"):
        compare_reports(run, run, against="weak")
    with pytest.raises(BadInputError, match="NDCG"):
        compare_reports(run, run, metric="NDGC@10")


def test_models_judged_on_different_tasks_have_nothing_in_common(requests):
    search = requests.take(np.arange(250))
    results = [*report(requests.take(np.arange(250, 400)), STRONG).results]
    both = Report.from_results([*results, *report(search, WEAK).results], **LIMITS)
    with pytest.raises(BadInputError, match="not judged on one task"):
        compare_reports(both, both, "strong", "weak")
