"""Mix: its formula, spreads that do not depend on candidates, weights chosen on validation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from sargraph.evaluation.baselines import (
    Mix,
    Popularity,
    TermMatch,
    best_mix,
    build_baseline,
    spread,
    tune_mix,
)
from sargraph.evaluation.protocol import Protocol
from sargraph.evaluation.validation import validation_ndcg
from sargraph.events.split import TRAIN, VALID, requests_for
from sargraph.testing.scorer_cases import scorer_world

SEARCH_NAMES = ("bm25", "term_match", "item_given_term", "most_clicked")


@pytest.fixture(scope="module")
def world():
    return scorer_world()


class Fixed:
    """Scores that are given."""

    def __init__(self, name, table):
        self.name, self.table = name, np.asarray(table, dtype=np.float32)

    def score(self, requests, candidates):
        found = self.table[candidates]
        return np.where(candidates < 0, -np.inf, found).astype(np.float32)


def naive_ndcg(scorer, world, part) -> float:
    """Mean over users of NDCG@10 over the catalogue; ties are drawn fairly."""
    requests = requests_for(world.events, world.split, part, "search")
    size = len(world.events.items)
    scores = scorer.score(requests, np.tile(np.arange(size), (len(requests), 1)))
    by_user: dict[int, list[float]] = {}
    for row, target in enumerate(requests.target):
        above = int((scores[row] > scores[row, target]).sum())
        tied = int((scores[row] == scores[row, target]).sum())
        gains = [1 / math.log2(2 + rank) if rank < 10 else 0 for rank in range(above, above + tied)]
        by_user.setdefault(int(requests.user[row]), []).append(sum(gains) / tied)
    return float(np.mean([np.mean(values) for values in by_user.values()]))


def test_the_sum_is_weighted_in_units_of_the_spreads(world):
    size = len(world.events.items)
    first, second = Fixed("a", np.arange(size)), Fixed("b", np.arange(size)[::-1] * 10)
    mix = Mix(first, second, 0.3, (2.0, 5.0))
    found = mix.score(world.requests, world.candidates)
    items = world.candidates
    expected = 0.7 * items / 2 + 0.3 * (size - 1 - items) * 10 / 5
    expected = np.where(items < 0, -np.inf, expected)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert mix.name == "a + b"


def test_a_weight_of_0_or_1_gives_one_scorers_ranking_and_a_spread_of_0_leaves_it_out(world):
    first, second = Fixed("a", np.arange(20) % 7), Fixed("b", np.arange(20) % 3)
    asked = world.requests, np.tile(np.arange(20), (len(world.requests), 1))
    for weight, alone in ((0.0, first), (1.0, second)):
        found = Mix(first, second, weight, (1.0, 1.0)).score(*asked)
        assert np.array_equal(found, alone.score(*asked))
    found = Mix(first, second, 0.5, (1.0, 0.0)).score(*asked)
    assert np.array_equal(found, 0.5 * first.score(*asked))


def test_the_spread_is_the_deviation_within_training_requests(world):
    events, split = world.events, world.split
    scorer = TermMatch(events, split.is_train)
    requests = requests_for(events, split, TRAIN, "search")
    assert 0 < len(requests) < 256  # so that no draw decides
    variances = []
    for row in range(len(requests)):
        one = requests.take(np.array([row]))
        scores = scorer.score(one, np.arange(len(events.items))[None, :])[0].astype(np.float64)
        variances.append(sum((s - scores.mean()) ** 2 for s in scores) / len(scores))
    expected = math.sqrt(sum(variances) / len(variances))
    assert spread(scorer, events, split, "search", 0) == pytest.approx(expected, rel=1e-6)


def test_without_a_training_request_the_spread_is_0(world):
    no_search = replace(world.split, part=np.where(world.events.is_search, VALID, TRAIN))
    popular = Popularity(world.events, world.split.is_train)
    assert spread(popular, world.events, no_search, "search", 0) == 0


def test_the_best_weight_is_taken_and_the_first_of_equals(world):
    first, second = Fixed("a", np.arange(20)), Fixed("b", np.arange(20))
    asked = []

    def validate(scorer):
        asked.append(scorer.weight)
        return {0.0: 0.1, 0.25: 0.5, 0.5: 0.5, 1.0: 0.2}[scorer.weight]

    mix = tune_mix(first, second, (1.0, 1.0), validate, (0.0, 0.25, 0.5, 1.0))
    assert mix.weight == 0.25 and asked == [0.0, 0.25, 0.5, 1.0]


@pytest.mark.parametrize("seed", [0, 7])
def test_the_best_of_the_search_baselines_is_mixed_by_the_best_weight(seed):
    world = scorer_world(seed)
    events, split = world.events, world.split
    mix = build_baseline("mix", events, split)
    members = [build_baseline(name, events, split) for name in SEARCH_NAMES]
    scores = {member.name: naive_ndcg(member, world, VALID) for member in members}
    assert scores[mix.first.name] == pytest.approx(max(scores.values()))
    assert mix.name == f"{mix.first.name} + ItemKNN"
    assert mix.second.name == "ItemKNN"
    spreads = tuple(spread(s, events, split, "search", 0) for s in (mix.first, mix.second))
    tried = [
        naive_ndcg(Mix(mix.first, mix.second, w, spreads), world, VALID)
        for w in np.linspace(0, 1, 11)
    ]
    assert naive_ndcg(mix, world, VALID) == pytest.approx(max(tried))


def test_validation_is_the_naive_figure(world):
    protocol = Protocol(candidates="full", part="valid", max_requests=500)
    validate = validation_ndcg(world.events, world.split, ["search"], protocol)
    scorer = TermMatch(world.events, world.split.is_train)
    assert validate(scorer) == pytest.approx(naive_ndcg(scorer, world, VALID))


def test_the_test_part_chooses_nothing(world):
    """Other test targets leave the chosen baseline and weight as they are."""
    rows = np.flatnonzero(world.split.part == 2)
    columns = {name: column.copy() for name, column in world.events.columns.items()}
    columns["item"][rows] = 0
    changed = replace(world.events, columns=columns)
    mixes = [best_mix(events, world.split) for events in (world.events, changed)]
    assert mixes[0].weight == mixes[1].weight and mixes[0].name == mixes[1].name


def test_without_validation_searches_it_is_bm25_in_equal_parts(world):
    part = np.where(world.events.is_search & (world.split.part == VALID), 3, world.split.part)
    mix = best_mix(world.events, replace(world.split, part=part.astype(np.int8)))
    assert mix.first.name == "BM25" and mix.weight == 0.5


def test_another_judge_may_be_given(world):
    def judge(scorer):
        return float(scorer.name.startswith("most clicked"))

    mix = best_mix(world.events, world.split, validate=judge)
    assert mix.first.name == "most clicked for query" and mix.weight == 0
