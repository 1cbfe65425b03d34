"""Candidates that are given, tied or shown, from the protocol to the ranks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from sargraph.core.errors import BadInputError
from sargraph.core.ragged import Ragged
from sargraph.evaluation.candidates import lists_hash
from sargraph.evaluation.evaluate import evaluate_scorer
from sargraph.evaluation.protocol import Protocol

NUM_ITEMS = 120
SAMPLED = Protocol(num_negatives=19)
FULL = Protocol(candidates="full", max_requests=0)


@dataclass
class FromFunction:
    """A scorer made of a function of requests and candidates."""

    function: object
    name: str = "test"

    def score(self, requests, candidates):
        return self.function(requests, candidates).astype(np.float32)


CONSTANT = FromFunction(lambda requests, candidates: np.zeros(candidates.shape))
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


ITEM_TERMS = Ragged.from_lists([[item % 7] if item < 80 else [item] for item in range(NUM_ITEMS)])


def test_within_ties_only_the_items_of_equal_terms_are_ranked(world):
    requests, _ = world
    protocol = Protocol(candidates="within_tie")
    result = run(FAVOURITE, world, protocol, item_terms=ITEM_TERMS)
    assert result.rows.tolist() == np.flatnonzero(requests.target < 80).tolist()
    left_out = len(requests) - len(result)
    assert result.counts["requests whose target ties with no other item, left out"] == left_out > 0
    score = np.arange(NUM_ITEMS) * 37 % 61
    for row, target in enumerate(result.requests.target.tolist()):
        tie = [item for item in range(80) if item % 7 == target % 7]
        assert result.ranks.count[row] == len(tie)
        assert result.ranks.better[row] == sum(score[item] > score[target] for item in tie)
    matched = FromFunction(lambda requests, candidates: candidates % 7)
    assert run(matched, world, protocol, item_terms=ITEM_TERMS).mean("AUC") == 0.5
    few = run(CONSTANT, world, protocol.model_copy(update={"max_requests": 40}),
              item_terms=ITEM_TERMS)  # fmt: skip
    assert len(few) == 40
    assert few.requests.target.max() < 80


def test_slates_rank_what_was_shown(world):
    requests, _ = world
    rng = np.random.default_rng(1)
    slates = [rng.choice(NUM_ITEMS, 6).tolist() for _ in range(len(requests))]
    for row in range(600):
        slates[row].append(int(requests.target[row]))
    slates[0] = [int(requests.target[0])]
    result = run(ORACLE, world, Protocol(candidates="slate"), lists=Ragged.from_lists(slates))
    for row, count in zip(result.rows.tolist(), result.ranks.count.tolist(), strict=True):
        assert count == len(set(slates[row])) > 1
        assert requests.target[row] in slates[row]
    assert result.mean("HR@1") == 1
    counts = list(result.counts.values())
    assert len(result) + counts[0] + counts[1] == len(requests)
    assert counts[1] == 1


def test_given_negatives_are_those_that_are_ranked(world):
    requests, _ = world
    lists = [[(t + step) % NUM_ITEMS for step in (3, 8, 9)][: 3 - row % 2]
             for row, t in enumerate(requests.target.tolist())]  # fmt: skip
    lists = Ragged.from_lists(lists)
    protocol = Protocol(
        negatives="file", negatives_hash=lists_hash(lists), num_negatives=3, max_requests=500
    )
    result = run(FAVOURITE, world, protocol, lists=lists)
    score = np.arange(NUM_ITEMS) * 37 % 61
    for place, row in enumerate(result.rows):
        own = score[requests.target[row]]
        assert result.ranks.better[place] == sum(score[item] > own for item in lists[row])
    assert result.counts["requests with fewer negatives"] == int((result.rows % 2).sum())
    other = protocol.model_copy(update={"negatives_hash": "0" * 64})
    with pytest.raises(BadInputError, match="hash"):
        run(FAVOURITE, world, other, lists=lists)


def test_popular_negatives_are_harder(world):
    popularity = np.arange(NUM_ITEMS) ** 2
    by_count = FromFunction(lambda requests, candidates: popularity[candidates])
    plain = run(by_count, world, SAMPLED, popularity=popularity)
    popular = run(by_count, world, Protocol(num_negatives=19, negatives="popularity"),
                  popularity=popularity)  # fmt: skip
    assert popular.mean("AUC") < plain.mean("AUC") - 0.1
    assert popular.candidates_hash != plain.candidates_hash


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"candidates": "within_tie"}, "item_terms=None"),
        ({"candidates": "slate"}, "lists=None"),
        ({"negatives": "file", "negatives_hash": "ab"}, "lists=None"),
        ({"negatives": "popularity"}, "popularity"),
        ({"repeated": "new"}, "chosen_before"),
    ],
)
def test_what_a_protocol_needs_must_be_given(world, settings, line):
    with pytest.raises(BadInputError, match=line):
        run(CONSTANT, world, Protocol(**settings))


def test_repeats_are_left_out_before_requests_are_chosen(world):
    requests, _ = world
    first = run(CONSTANT, world, Protocol(num_negatives=19, repeated="first"))
    pairs = set(zip(requests.user.tolist(), requests.target.tolist(), strict=True))
    assert len(first) == len(pairs) < len(requests)
    before = requests.target < 20
    new = run(CONSTANT, world, FULL.model_copy(update={"repeated": "new"}), chosen_before=before)
    assert new.rows.tolist() == np.flatnonzero(~before).tolist()
    assert new.counts["requests whose target the user chose before, left out"] == before.sum()
