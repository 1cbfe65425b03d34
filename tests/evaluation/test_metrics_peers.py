"""Metrics held against brute force and against what other libraries compute.

Without ties all agree. With ties they do not: a sort (PyG) gives the target whatever place the
sort happens to, ogb takes the mean of the optimistic and the pessimistic rank as the rank, ours is
the expectation of the metric over fair draws among the tied.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from sargraph.evaluation.metrics import auc, hit_rate, ndcg, reciprocal_rank
from sargraph.evaluation.ranks import rank_target

CUTOFFS = (1, 3, 10)


@pytest.fixture(params=[False, True], ids=["no ties", "ties"])
def scores(request):
    rng = np.random.default_rng(0)
    found = rng.permuted(np.tile(np.arange(30.0), (200, 1)), axis=1).astype(np.float32)
    return np.floor(found / 6) if request.param else found


def has_ties(scores):
    return len(np.unique(scores[0])) < scores.shape[1]


def brute_force(row, gain):
    """Mean gain of the target's rank over all orders that the scores allow, one tie at a time."""
    own = row[0]
    better = sum(score > own for score in row[1:])
    tied = sum(score == own for score in row[1:])
    places = [order.index(0) for order in itertools.permutations(range(min(tied, 5) + 1))]
    assert tied <= 5
    return sum(gain(better + 1 + place) for place in places) / len(places)


def test_every_metric_equals_brute_force(scores):
    ranks, count = rank_target(scores), scores.shape[1]
    for row in range(0, 200, 10):
        own = scores[row].tolist()
        for k in CUTOFFS:
            assert hit_rate(ranks, k)[row] == pytest.approx(brute_force(own, lambda r: r <= k))  # noqa: B023
            expected = brute_force(own, lambda r: 1 / math.log2(r + 1) if r <= k else 0)  # noqa: B023
            assert ndcg(ranks, k)[row] == pytest.approx(expected)
        assert reciprocal_rank(ranks)[row] == pytest.approx(brute_force(own, lambda r: 1 / r))
        expected = brute_force(own, lambda r: (count - r) / (count - 1))
        assert auc(ranks)[row] == pytest.approx(expected)


def of_pyg(name, k, order):
    metrics = pytest.importorskip("torch_geometric.metrics")
    metric = getattr(metrics, f"LinkPred{name}")(k)
    rows = torch.arange(len(order))
    metric.update(
        torch.from_numpy(order[:, :k].copy()), torch.stack([rows, torch.zeros_like(rows)])
    )
    return float(metric.compute())


@pytest.mark.parametrize("k", CUTOFFS)
def test_metrics_equal_those_of_pyg(scores, k):
    """One relevant item: recall is HR, precision HR / k, MRR cut at k the mean of 1 / r <= k.

    Ties: PyG ranks what a sort gives it, so the mean over random sorts is compared.
    """
    ranks, rng = rank_target(scores), np.random.default_rng(1)
    draws = 100 if has_ties(scores) else 1
    found = {name: [] for name in ("HitRatio", "Recall", "Precision", "NDCG")}
    if k == 10:
        found["MRR"] = []
    for _ in range(draws):
        order = np.lexsort((rng.random(scores.shape), -scores), axis=1)
        for name, values in found.items():
            values.append(of_pyg(name, scores.shape[1] if name == "MRR" else k, order))
    ours = {
        "HitRatio": hit_rate(ranks, k).mean(),
        "Recall": hit_rate(ranks, k).mean(),
        "Precision": hit_rate(ranks, k).mean() / k,
        "NDCG": ndcg(ranks, k).mean(),
        "MRR": reciprocal_rank(ranks).mean(),
    }
    for name, values in found.items():
        error = 5 * np.std(values) / math.sqrt(draws) if draws > 1 else 0
        assert np.mean(values) == pytest.approx(ours[name], rel=1e-5, abs=max(error, 1e-6)), name


def test_a_sort_in_place_of_an_expectation_rewards_a_constant():
    """Why ties matter: the target first in a stable sort of equal scores is always found by PyG."""
    scores = np.zeros((50, 30), np.float32)
    order = np.argsort(-scores, axis=1, kind="stable")
    assert of_pyg("HitRatio", 3, order) == 1
    assert hit_rate(rank_target(scores), 3).mean() == pytest.approx(0.1)


def test_metrics_equal_those_of_ogb(scores):
    """Ties: ogb's rank is our realistic rank, so its MRR is 1 / E[r] and its hit all or nothing."""
    ogb = pytest.importorskip("ogb.linkproppred")
    found = ogb.Evaluator("ogbl-citation2").eval(
        {
            "y_pred_pos": torch.from_numpy(scores[:, 0]),
            "y_pred_neg": torch.from_numpy(scores[:, 1:]),
        }
    )
    ranks = rank_target(scores)
    assert found["mrr_list"].numpy() == pytest.approx(1 / ranks.realistic)
    for k in CUTOFFS:
        theirs = found[f"hits@{k}_list"].numpy()
        assert np.array_equal(theirs, ranks.realistic <= k)
        if not has_ties(scores):
            assert np.array_equal(theirs, hit_rate(ranks, k))
    if has_ties(scores):
        assert np.all(reciprocal_rank(ranks) >= 1 / ranks.realistic - 1e-12)  # Jensen
    else:
        assert found["mrr_list"].numpy() == pytest.approx(reciprocal_rank(ranks))
