"""Impossible figures are refused, possible ones pass; every rule against ranks that were drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from sargraph.core.errors import ImpossibleResultError
from sargraph.evaluation.refusal import check_nested, check_possible, family_of

POSSIBLE = {"HR@1": 0.1, "HR@5": 0.3, "HR@10": 0.4, "NDCG@1": 0.1, "NDCG@5": 0.2, "NDCG@10": 0.23}


def figures_of(ranks: Sequence[int], num_candidates: int, cutoffs: Sequence[int]):
    """Every metric of some ranks, one rank after the other."""
    found: dict[str, float] = {}
    for k in cutoffs:
        found[f"HR@{k}"] = sum(rank <= k for rank in ranks) / len(ranks)
        gains = [1 / np.log2(rank + 1) if rank <= k else 0 for rank in ranks]
        found[f"NDCG@{k}"] = sum(gains) / len(ranks)
        found[f"MRR@{k}"] = sum(1 / rank if rank <= k else 0 for rank in ranks) / len(ranks)
    found["MRR"] = sum(1 / rank for rank in ranks) / len(ranks)
    below = [(num_candidates - rank) / (num_candidates - 1) for rank in ranks]
    found["AUC"] = sum(below) / len(ranks)
    return found


@pytest.mark.parametrize("seed", range(40))
def test_figures_of_any_ranks_pass(seed):
    """No rule refuses what a correct evaluation gives, whatever ranks and cutoffs it met."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 120))
    shape = rng.choice([0.3, 1.0, 5.0])
    ranks = 1 + np.floor(count * rng.random(int(rng.integers(1, 60))) ** shape).astype(int)
    cutoffs = np.unique(rng.integers(1, 130, int(rng.integers(1, 6))))
    figures = figures_of(ranks.clip(1, count).tolist(), count, cutoffs.tolist())
    names = rng.permutation(list(figures))[: int(rng.integers(1, len(figures) + 1))]
    for chosen in (figures, {name: figures[name] for name in names}):
        check_possible(chosen)
        check_possible(chosen, num_candidates=count)
        rounded = {name: round(value, 3) for name, value in chosen.items()}
        check_possible(rounded, num_candidates=count, slack=0.00051)


@pytest.mark.parametrize("seed", range(20))
def test_the_bounds_are_reached(seed):
    """Ranks at the ends of their buckets give the bound itself: a little beyond is refused."""
    rng = np.random.default_rng(seed)
    edges = np.unique(rng.integers(1, 30, 3)).tolist()
    count = 40
    for ends in ([*edges, count], [1, *(k + 1 for k in edges)]):
        figures = figures_of(rng.choice(ends, 50).tolist(), count, edges)
        hits = {name: value for name, value in figures.items() if name.startswith("HR")}
        step = -1e-6 if ends[-1] == count else 1e-6
        for name in ("MRR", "AUC", f"NDCG@{edges[-1]}", f"MRR@{edges[-1]}"):
            check_possible({**hits, name: figures[name]}, num_candidates=count)
            with pytest.raises(ImpossibleResultError, match=name):
                check_possible({**hits, name: figures[name] + step}, num_candidates=count)


def test_possible_figures_pass():
    check_possible(POSSIBLE | {"MRR": 0.2, "AUC": 1.0, "coverage@10": 0.4, "self-information": 9.0})


@pytest.mark.parametrize(
    "change",
    [
        {"NDCG@10": 0.31},
        {"NDCG@1": 0.09},
        {"HR@5": 0.41},
        {"NDCG@5": 0.26},
        {"HR@10": 1.01},
        {"AUC": -0.1},
        {"MRR": 1.1},
    ],
)
def test_impossible_figures_are_refused(change):
    with pytest.raises(ImpossibleResultError):
        check_possible(POSSIBLE | change, "a file")


def test_published_hit_at_1_of_0_2191_with_ndcg_at_1_of_0_1891_is_refused():
    """In a published log: with one target both are the share of targets in the first place."""
    with pytest.raises(ImpossibleResultError, match=r"NDCG@1 = 0.1891, expected HR@1 = 0.2191"):
        check_possible({"HIT@1": 0.2191, "NDCG@1": 0.1891}, "a log", slack=0.00005)


def test_published_hit_at_5_of_0_2427_with_ndcg_at_5_of_0_2558_is_refused():
    """In a published log: no hit gains more than 1."""
    with pytest.raises(ImpossibleResultError, match=r"NDCG@5 = 0.2558, expected at most HR@5"):
        check_possible({"HIT@5": 0.2427, "NDCG@5": 0.2558}, "a log", slack=0.00005)


def test_published_ndcg_at_50_of_0_3457_with_hit_at_50_of_0_6782_is_refused():
    """In a third log: .2896 of the targets rank in 11 .. 50 and gain at least .0511, not .0488."""
    figures = {"HIT@10": 0.3886, "HIT@50": 0.6782, "NDCG@10": 0.2969, "NDCG@50": 0.3457}
    with pytest.raises(ImpossibleResultError, match=r"NDCG@50 - NDCG@10 = 0.0488"):
        check_possible(figures, "a log", slack=0.00005)


PUBLISHED = {
    "purchases": {"HIT": [0.2261, 0.4933, 0.6107], "NDCG": [None, 0.3661, 0.4041], "MRR": 0.3543},
    "recommendation": {"HIT": [0.1990, 0.5169, 0.6792], "NDCG": [None, 0.3632, 0.4158]},
    "search": {"HIT": [0.5282, 0.7476, 0.8369], "NDCG": [None, 0.6417, 0.6708]},
}


@pytest.mark.parametrize("log", PUBLISHED)
def test_published_figures_that_are_possible_pass(log):
    figures = {"MRR": PUBLISHED[log].get("MRR", np.nan)}
    for family in ("HIT", "NDCG"):
        for k, value in zip((1, 5, 10), PUBLISHED[log][family], strict=True):
            figures |= {f"{family}@{k}": value} if value else {}
    check_possible(figures, num_candidates=100, slack=0.00005)


@pytest.mark.parametrize("name", ["HIT@5", "Hits@5", "Recall@5", "hr@5", "Hit Rate@5", "R@5"])
def test_names_of_the_hit_rate_are_one_family(name):
    assert family_of(name) == ("HR", 5)
    with pytest.raises(ImpossibleResultError, match="other name"):
        check_possible({"HR@5": 0.3, "NDCG@5": 0.2, name.replace("hr", "Hit"): 0.31})
    with pytest.raises(ImpossibleResultError, match="NDCG@5"):
        check_possible({name: 0.2, "NDCG@5": 0.3})


def test_names_that_are_no_ranking_metric_are_passed_over():
    for name in ("coverage@10", "self-information@10", "NDCG@10 within tie", "HR", "AUC@5", "GAUC"):
        assert family_of(name) == ("", 0)
    check_possible({"self-information@10": 17.0, "HR": 5.0})


def test_mrr_below_hr_at_1_is_refused():
    with pytest.raises(ImpossibleResultError, match="MRR"):
        check_possible({"HR@1": 0.3, "MRR": 0.29})


def test_mrr_above_half_of_the_misses_of_the_first_place_is_refused():
    check_possible({"HR@1": 0.3, "MRR": 0.65})
    with pytest.raises(ImpossibleResultError, match=r"0\.3 to 0\.65"):
        check_possible({"HR@1": 0.3, "MRR": 0.66})


def test_mrr_that_counts_ranks_from_zero_is_refused():
    """A slip that looks plausible: 1 / (rank + 1) halves the first place."""
    ranks = [1, 1, 1, 2, 7]
    wrong = sum(1 / (rank + 1) for rank in ranks) / 5
    with pytest.raises(ImpossibleResultError, match="MRR"):
        check_possible({**figures_of(ranks, 100, [1, 5]), "MRR": wrong})


def test_ndcg_outside_what_the_hits_between_cutoffs_allow_is_refused():
    """NDCG@10 of .25 needs more hits: from .1 first and .3 within five only .226 can come."""
    allowed = {"HR@1": 0.1, "HR@5": 0.3, "HR@10": 0.3}
    check_possible({**allowed, "NDCG@10": 0.22})
    with pytest.raises(ImpossibleResultError, match=r"NDCG@10 = 0.25, expected 0.177371 to"):
        check_possible({**allowed, "NDCG@10": 0.25})


def test_ndcg_that_grows_without_hits_is_refused():
    with pytest.raises(ImpossibleResultError, match="NDCG@10 - NDCG@5"):
        check_possible({"HR@5": 0.3, "HR@10": 0.3, "NDCG@5": 0.2, "NDCG@10": 0.21})


def test_ndcg_with_another_logarithm_is_refused():
    """1 / log2(rank + 2), ranks from one: the first place would gain .63."""
    ranks = [1, 1, 2, 3, 30]
    wrong = sum(1 / np.log2(rank + 2) for rank in ranks if rank <= 10) / 5
    with pytest.raises(ImpossibleResultError, match="NDCG@10"):
        check_possible({**figures_of(ranks, 100, [1, 5, 10]), "NDCG@10": wrong})


def test_a_hit_rate_that_falls_is_refused():
    with pytest.raises(ImpossibleResultError, match="at least HR@5"):
        check_possible({"HR@5": 0.3, "HR@10": 0.29})


def test_a_hit_rate_below_one_where_every_candidate_fits_is_refused():
    check_possible({"HR@100": 0.99})
    with pytest.raises(ImpossibleResultError, match="100 candidates"):
        check_possible({"HR@100": 0.99}, num_candidates=100)


def test_auc_that_the_hit_rates_exclude_is_refused():
    """Half of the targets among the first ten of a hundred: at least 45 % of the pairs."""
    check_possible({"HR@10": 0.5, "AUC": 0.46}, num_candidates=100)
    with pytest.raises(ImpossibleResultError, match="AUC"):
        check_possible({"HR@10": 0.5, "AUC": 0.45}, num_candidates=100)
    check_possible({"HR@10": 0.5, "AUC": 0.45})  # of other numbers nothing is known


def test_catalogue_figures_above_sampled_ones_are_refused():
    sampled = {"HR@10": 0.3, "NDCG@10": 0.2, "AUC": 0.7}
    check_nested(sampled, {"HR@10": 0.3, "NDCG@10": 0.1, "AUC": 0.9, "MRR": 0.5})
    with pytest.raises(ImpossibleResultError, match="HR@10 over the catalogue"):
        check_nested(sampled, {"HR@10": 0.31})


def test_more_candidates_never_help_any_target():
    """The identity behind it: ranks among some and among all, drawn."""
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, (30, 50))
    some, every = [], []
    for row in scores:
        chosen = rng.permutation(np.arange(1, 50))[:9]
        some.append(1 + sum(row[i] > row[0] for i in chosen))
        every.append(1 + sum(each > row[0] for each in row[1:]))
    assert all(a <= b for a, b in zip(some, every, strict=True))
    check_nested(figures_of(some, 10, [1, 5]), figures_of(every, 50, [1, 5]))


def test_rounded_figures_are_given_their_last_digit():
    """.1 of .29996 and .30004: rounded to four digits both may read .3000."""
    figures = {"HR@1": 0.3000, "NDCG@1": 0.3001}
    check_possible(figures, slack=0.00005)
    with pytest.raises(ImpossibleResultError):
        check_possible(figures)


def test_one_bad_request_among_many_is_found():
    with pytest.raises(ImpossibleResultError, match="HR@5"):
        check_possible({"HR@5": np.array([0.0, 0.0]), "NDCG@5": np.array([0.0, 0.1])})


def test_too_few_is_passed_over():
    check_possible({name: float("nan") for name in POSSIBLE})
    with pytest.raises(ImpossibleResultError, match="NDCG@5"):
        check_possible({"HR@1": float("nan"), "HR@5": 0.2, "NDCG@5": 0.3})
