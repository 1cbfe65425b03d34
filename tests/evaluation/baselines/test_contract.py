"""Every registered baseline keeps every demand, and equals its oracle of loops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from sargraph.core.types import NO_ROW
from sargraph.evaluation.baselines import (
    BASELINES,
    ALSConfig,
    ItemKNNConfig,
    Popularity,
    SKNNConfig,
    STANConfig,
    VSKNNConfig,
    baselines_for,
    build_baseline,
)
from sargraph.events.split import VALID
from sargraph.testing import item_oracles, session_knn_oracle, word_oracles
from sargraph.testing.scorer_cases import CHECKS, scorer_world, scores_of

ALS_SETTINGS = {"dim": 3, "num_epochs": 4, "regularisation": 0.5, "confidence": 4.0}
KNN_SETTINGS = {"k": 6, "shrinkage": 1.5, "half_life": 2.0, "max_history": 5}
SKNN_CONFIG = SKNNConfig(k=3, max_events=8)
VSKNN_SETTINGS = {"k": 3, "max_events": 8, "idf_weight": 0.5, "max_sessions": 6}
VSKNN_CONFIG = VSKNNConfig(**VSKNN_SETTINGS)
STAN_SETTINGS = {"k": 3, "max_events": 8, "time_decay": 1e-4, "max_sessions": 6}
STAN_CONFIG = STANConfig(**STAN_SETTINGS)

ORACLES: dict[str, tuple[dict[str, Any], Callable[..., Any]] | None] = {
    "popularity": ({}, word_oracles.popularity),
    "item_given_term": ({}, word_oracles.item_given_term),
    "source_terms": ({}, word_oracles.source_terms),
    "term_match": ({}, word_oracles.term_match),
    "most_clicked": ({}, word_oracles.most_clicked),
    "bm25": ({}, word_oracles.bm25),
    "item_knn": (
        KNN_SETTINGS,
        partial(item_oracles.item_knn, config=ItemKNNConfig(**KNN_SETTINGS)),
    ),
    "ease": ({"regularisation": 3.0}, partial(item_oracles.ease, regularisation=3.0)),
    "als": (ALS_SETTINGS, partial(item_oracles.als, config=ALSConfig(**ALS_SETTINGS))),
    "sknn": ({"k": 3, "max_events": 8}, partial(session_knn_oracle.sknn, config=SKNN_CONFIG)),
    "vsknn": (VSKNN_SETTINGS, partial(session_knn_oracle.vsknn, config=VSKNN_CONFIG)),
    "stan": (STAN_SETTINGS, partial(session_knn_oracle.stan, config=STAN_CONFIG)),
    "mix": None,  # its oracle is in test_mix
}


def needs(name: str) -> None:
    if name == "als":
        pytest.importorskip("implicit")


def builder(name: str):
    settings = (ORACLES[name] or ({}, None))[0]
    return lambda events, split: build_baseline(name, events, split, **settings)


def test_no_baseline_is_without_a_case():
    assert sorted(ORACLES) == BASELINES.names()
    for task in ("search", "recommend"):
        assert set(baselines_for(task)) <= set(BASELINES.names())


def test_names_in_reports_differ():
    world = scorer_world()
    names = [
        build_baseline(name, world.events, world.split).name
        for name in BASELINES.names()
        if name != "als"
    ]
    assert len(set(names)) == len(names)


def test_the_world_holds_what_the_checks_need():
    for world in (scorer_world(), scorer_world(twins=True)):
        asked = world.requests
        assert 5 < asked.is_search.sum() < len(asked) - 5
        assert (world.candidates == NO_ROW).any(axis=1).all()
        assert (~world.events.is_timed).any() and world.split.hidden.any()
        assert world.split.fates["valid"] and len(world.split.rows(VALID))
        assert not (world.events.user == asked.user[0]).any()
        assert any(len(set(row.tolist())) < len(row) for row in world.events.query_terms)


@pytest.mark.parametrize("twins", [False, True], ids=["all pairs", "twins removed"])
@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", sorted(ORACLES))
def test_demand(name, check, twins):
    needs(name)
    CHECKS[check](builder(name), scorer_world(twins=twins))


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("twins", [False, True], ids=["all pairs", "twins removed"])
@pytest.mark.parametrize("name", [name for name, case in ORACLES.items() if case])
def test_scores_equal_the_oracle(name, twins, seed):
    needs(name)
    world = scorer_world(seed, twins)
    expected = ORACLES[name][1](world)
    np.testing.assert_allclose(scores_of(builder(name), world), expected, rtol=2e-4, atol=1e-5)
    assert len(np.unique(expected.round(5))) > 5


@pytest.mark.parametrize("name", ["item_knn", "ease", "als", "sknn", "vsknn", "stan"])
def test_the_past_is_read(name):
    needs(name)
    world = scorer_world()
    later = world.requests.as_of.max() + 1
    scorer = builder(name)(world.events, world.split)
    asked, candidates = world.requests, world.candidates
    now = scorer.score(asked, candidates)
    assert not now[0][candidates[0] != NO_ROW].any()  # the first one has no history
    after = scorer.score(replace(asked, as_of=np.full(len(asked), later)), candidates)
    assert (now != after).any(axis=1).sum() > 10


class Cheat:
    """Breaks one demand."""

    name = "cheat"

    def __init__(self, events, split, kind):
        self.popular, self.kind, self.events = Popularity(events, split.is_train), kind, events
        self.calls = 0

    def score(self, requests, candidates):
        if self.kind == "shape" and requests.user.size:
            return self.popular.score(requests, candidates).astype(np.float64)
        scores = self.popular.score(requests, candidates)
        if self.kind == "order_of_candidates":
            scores += np.arange(scores.shape[1], dtype=np.float32)
        elif self.kind == "other_candidates":
            scores -= np.where(np.isfinite(scores), scores, 0).sum(axis=1, keepdims=True)
        elif self.kind == "order_of_requests":
            scores += np.arange(len(scores), dtype=np.float32)[:, None]
        elif self.kind == "target_is_not_read":
            scores += candidates == requests.target[:, None]
        elif self.kind == "future_is_not_read":
            scores += np.float32(self.events.item.sum() % 97)
        elif self.kind == "shared_candidates":
            scores += np.float32(candidates.strides[0] == 0)
        return scores


@pytest.mark.parametrize(
    "kind",
    [
        "shape",
        "order_of_candidates",
        "other_candidates",
        "order_of_requests",
        "target_is_not_read",
        "future_is_not_read",
        "shared_candidates",
    ],
)
def test_a_scorer_that_breaks_a_demand_is_caught(kind):
    world = scorer_world()
    CHECKS[kind](lambda events, split: Cheat(events, split, "nothing"), world)
    with pytest.raises(AssertionError):
        CHECKS[kind](lambda events, split: Cheat(events, split, kind), world)
