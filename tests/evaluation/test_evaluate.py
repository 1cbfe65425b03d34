"""Scorers that know nothing get chance, in both kinds of candidates, whatever trick they try."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from sargraph.core.errors import BadInputError
from sargraph.core.ragged import Ragged
from sargraph.evaluation.evaluate import evaluate_scorer
from sargraph.evaluation.protocol import Protocol

NUM_ITEMS = 120
SAMPLED = Protocol(num_negatives=19)
FULL = Protocol(candidates="full", max_requests=0)
PROTOCOLS = pytest.mark.parametrize("protocol", [SAMPLED, FULL], ids=["sampled", "full"])


@dataclass
class FromFunction:
    """A scorer made of a function of requests and candidates."""

    function: object
    name: str = "test"

    def score(self, requests, candidates):
        return self.function(requests, candidates).astype(np.float32)


CONSTANT = FromFunction(lambda requests, candidates: np.zeros(candidates.shape))
NAN = FromFunction(lambda requests, candidates: np.full(candidates.shape, np.nan))
COLUMN = FromFunction(
    lambda requests, candidates: np.broadcast_to(
        -np.arange(candidates.shape[1], dtype=float), candidates.shape
    )
)
ORACLE = FromFunction(lambda requests, candidates: candidates == requests.target[:, None])
FAVOURITE = FromFunction(lambda requests, candidates: (candidates * 37 % 61) * 1.0)


@pytest.fixture(scope="module")
def world(make_requests):
    rng = np.random.default_rng(0)
    requests = make_requests(rng.integers(0, 50, 800), rng.integers(0, NUM_ITEMS, 800))
    known = Ragged.from_lists([np.sort(rng.choice(NUM_ITEMS, 8, False)) for _ in range(50)])
    return requests, known


def run(scorer, world, protocol, **options):
    requests, known = world
    return evaluate_scorer(
        scorer, requests, NUM_ITEMS, known=known, seen=known, protocol=protocol, **options
    )


@PROTOCOLS
def test_a_constant_scorer_gets_chance(world, protocol):
    result = run(CONSTANT, world, protocol)
    assert result.metric("HR", 5) == pytest.approx(5 / result.ranks.count)
    assert result.metric("AUC") == pytest.approx(0.5)


@PROTOCOLS
def test_a_nan_scorer_gets_nothing_and_is_counted(world, protocol):
    result = run(NAN, world, protocol)
    assert result.mean("HR", 10) == result.mean("AUC") == 0
    assert result.counts["requests with NaN scores"] == len(result)


@PROTOCOLS
def test_the_place_of_a_column_tells_nothing(world, protocol):
    result = run(COLUMN, world, protocol, max_cells=NUM_ITEMS * 8)
    share = 5 / result.ranks.count.mean()
    assert result.mean("HR", 5) == pytest.approx(share, abs=0.05)
    assert result.mean("AUC") == pytest.approx(0.5, abs=0.04)


@PROTOCOLS
def test_an_oracle_is_perfect_and_chunks_change_nothing(world, protocol):
    assert set(run(ORACLE, world, protocol).summary().values()) == {1.0}
    whole, chunked = (run(FAVOURITE, world, protocol, max_cells=m) for m in (1 << 20, 500))
    assert np.array_equal(whole.ranks.better, chunked.ranks.better)
    assert np.array_equal(whole.ranks.tied, chunked.ranks.tied)


@PROTOCOLS
def test_arms_rank_the_same_candidates(world, protocol):
    asked = {}
    for name in ("one", "two"):
        seen = asked.setdefault(name, [])

        def note(requests, candidates, seen=seen):
            seen.append(candidates.copy())
            return np.zeros(candidates.shape)

        asked[f"{name} hash"] = run(FromFunction(note), world, protocol).candidates_hash
    assert all(np.array_equal(a, b) for a, b in zip(asked["one"], asked["two"], strict=True))
    assert asked["one hash"] == asked["two hash"]
    other = protocol.model_copy(update={"seed": 9, "max_requests": 700})
    assert run(CONSTANT, world, other).candidates_hash != asked["one hash"]


def test_full_ranking_equals_a_loop(world):
    requests, known = world
    result = run(FAVOURITE, world, FULL.model_copy(update={"remove_seen": True}))
    scores = np.arange(NUM_ITEMS) * 37 % 61
    for row in range(0, 800, 37):
        target = requests.target[row]
        others = set(range(NUM_ITEMS)) - set(known[requests.user[row]].tolist()) - {int(target)}
        better = sum(scores[item] > scores[target] for item in others)
        tied = sum(scores[item] == scores[target] for item in others)
        assert (result.ranks.better[row], result.ranks.tied[row]) == (better, tied)
        assert result.ranks.count[row] == len(others) + 1
        shown = scores[result.top[row]]
        assert np.all(np.diff(shown) <= 0)
        assert set(result.top[row].tolist()) <= others | {int(target)}
    is_seen = [t in known[u] for u, t in zip(requests.user, requests.target, strict=True)]
    assert result.counts["requests whose target was seen before"] == sum(is_seen)


def test_seen_items_must_be_given_where_they_are_removed(world):
    requests, known = world
    protocol = FULL.model_copy(update={"remove_seen": True})
    with pytest.raises(BadInputError, match="seen_items"):
        evaluate_scorer(CONSTANT, requests, NUM_ITEMS, known=known, protocol=protocol)


@pytest.mark.parametrize(
    "function",
    [
        lambda requests, candidates: np.zeros(candidates.shape[0]),
        lambda requests, candidates: np.zeros((candidates.shape[1], candidates.shape[0])),
    ],
)
def test_scores_of_another_shape_are_refused(world, function):
    with pytest.raises(BadInputError, match="shape"):
        run(FromFunction(function), world, SAMPLED)


def test_integer_scores_are_refused(world):
    class Counting:
        name = "counting"

        def score(self, requests, candidates):
            return candidates

    with pytest.raises(BadInputError, match="int64"):
        run(Counting(), world, SAMPLED)


def test_padding_is_never_ranked_and_is_counted(make_requests):
    requests = make_requests([0, 0], [1, 2])
    known = Ragged.from_lists([[0, 1, 2]])
    result = evaluate_scorer(CONSTANT, requests, 6, known=known, protocol=SAMPLED)
    assert result.ranks.count.tolist() == [4, 4]
    assert result.counts["requests with fewer negatives"] == 2


def test_user_means_slices_and_take(world):
    requests, _ = world
    even = requests.target % 2 == 0
    protocol = SAMPLED.model_copy(update={"max_requests": 300})
    result = run(FAVOURITE, world, protocol, slices={"even": even})
    assert np.array_equal(result.slices["even"], even[result.rows])
    part = result.take(result.slices["even"])
    assert np.array_equal(part.requests.target % 2, np.zeros(len(part)))
    users, means = part.user_means("NDCG@10")
    values = part.metric("NDCG@10")
    for user, mean in zip(users, means, strict=True):
        assert mean == pytest.approx(values[part.requests.user == user].mean())
    assert part.mean("NDCG@10") == pytest.approx(means.mean())
    assert math.isnan(part.take(np.zeros(len(part), bool)).mean("NDCG@10"))


def test_coverage_and_self_information_against_a_loop(world):
    popularity = np.arange(NUM_ITEMS)
    result = run(FAVOURITE, world, FULL, popularity=popularity)
    assert result.coverage() == len(set(result.top.ravel().tolist())) / NUM_ITEMS
    total = popularity.sum() + NUM_ITEMS
    bits = [-math.log2((popularity[item] + 1) / total) for item in result.top[0]]
    assert result.self_information()[0] == pytest.approx(np.mean(bits))
    sampled = run(FAVOURITE, world, SAMPLED, popularity=popularity)
    assert math.isnan(sampled.coverage())
    assert sampled.self_information() is None


def test_no_requests_give_an_empty_result(make_requests):
    for protocol in (SAMPLED, FULL):
        result = evaluate_scorer(
            CONSTANT, make_requests([], []), 5, known=Ragged.from_lists([[]]), protocol=protocol
        )
        assert len(result) == len(result.ranks) == 0


@PROTOCOLS
def test_vectors_and_scores_give_one_result(world, protocol):
    rng = np.random.default_rng(2)
    users, items = (rng.integers(-2, 3, (size, 4)).astype(np.float32) for size in (50, NUM_ITEMS))

    class Vectors:
        name = "vectors"

        def score(self, requests, candidates):
            return np.einsum("nd,ncd->nc", users[requests.user], items[candidates])

        def encode(self, requests):
            return users[requests.user]

        def item_vectors(self):
            return items

    if protocol is FULL:
        protocol = FULL.model_copy(update={"remove_seen": True})
    fast = run(Vectors(), world, protocol)
    slow = run(FromFunction(Vectors().score), world, protocol)
    assert fast.summary() == slow.summary()
    assert fast.candidates_hash == slow.candidates_hash
    if fast.top is not None:
        assert np.array_equal(fast.top, slow.top)


def test_a_constant_scorer_covers_the_catalogue_alike(world):
    """Ties among the best do not favour low rows: coverage and surprise are those of a draw."""
    popularity = np.arange(NUM_ITEMS)[::-1] ** 3
    result = run(CONSTANT, world, FULL, popularity=popularity)
    assert result.coverage() == 1
    share = (popularity + 1) / (popularity.sum() + NUM_ITEMS)
    assert result.self_information().mean() == pytest.approx(-np.log2(share).mean(), rel=0.02)
