"""Metrics against enumeration of every place the target can take among its ties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sargraph.core.errors import BadInputError
from sargraph.evaluation.metrics import auc, hit_rate, metric, metric_names, ndcg, reciprocal_rank
from sargraph.evaluation.ranks import Ranks
from sargraph.evaluation.refusal import check_possible


def make_ranks(better, tied, count):
    columns = (np.array([value], np.int64) for value in (better, tied, count, 0))
    return Ranks(*columns)


PLACES = st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))


def enumerate_places(better, tied, gain):
    return sum(gain(better + 1 + place) for place in range(tied + 1)) / (tied + 1)


@given(PLACES, st.integers(1, 40))
def test_every_metric_equals_enumeration(places, k):
    better, tied, worse = places
    count = better + tied + worse + 1
    ranks = make_ranks(better, tied, count)
    oracles = {
        "HR": lambda rank: float(rank <= k),
        "NDCG": lambda rank: 1 / math.log2(rank + 1) if rank <= k else 0.0,
        "MRR": lambda rank: 1 / rank,
        "AUC": lambda rank: (count - rank) / (count - 1) if count > 1 else 0.5,
    }
    found = {
        "HR": hit_rate(ranks, k),
        "NDCG": ndcg(ranks, k),
        "MRR": reciprocal_rank(ranks),
        "AUC": auc(ranks),
    }
    for name, gain in oracles.items():
        assert found[name][0] == pytest.approx(enumerate_places(better, tied, gain)), name


@given(PLACES, st.integers(1, 40))
def test_identities_of_one_target(places, k):
    better, tied, worse = places
    ranks = make_ranks(better, tied, better + tied + worse + 1)
    assert hit_rate(ranks, k) <= hit_rate(ranks, k + 1)
    assert ndcg(ranks, k) <= hit_rate(ranks, k)
    assert hit_rate(ranks, 1) == ndcg(ranks, 1)
    check_possible({name: metric(ranks, name) for name in metric_names((1, k + 1, 50))})


def test_a_constant_scorer_gets_chance():
    ranks = make_ranks(0, 99, 100)
    assert hit_rate(ranks, 10)[0] == pytest.approx(0.1)
    assert auc(ranks)[0] == pytest.approx(0.5)


def test_names_and_cutoffs():
    ranks = make_ranks(3, 0, 10)
    assert metric_names((1, 5)) == ["HR@1", "HR@5", "NDCG@1", "NDCG@5", "MRR", "AUC"]
    assert metric(ranks, "ndcg", 10)[0] == metric(ranks, "NDCG@10")[0]
    assert metric(ranks, "NDCG@10")[0] == pytest.approx(1 / math.log2(5))
    assert metric(ranks, "MRR")[0] == 0.25


@pytest.mark.parametrize("name", ["precision@5", "HR", "HR@0", "NDCG@x", "MRR@5"])
def test_unknown_names_are_refused(name):
    with pytest.raises(BadInputError):
        metric(make_ranks(0, 0, 2), name)
