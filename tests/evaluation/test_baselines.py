"""Baselines against loops over events, and on a world where the words decide."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Scorer
from sargraph.evaluation.baselines import Popularity, SourceTerms, TermLexical, TermMatch
from sargraph.evaluation.evaluate import evaluate_scorer
from sargraph.evaluation.positives import known_positives
from sargraph.evaluation.protocol import Protocol
from sargraph.evaluation.term_matrix import cells, pair_counts, term_sets

QUERIES = [[0, 1], [2], [], [1, 1, 3], [6]]
NUM_ITEMS = 9


@pytest.fixture(scope="module")
def world(make_events, make_requests):
    rng = np.random.default_rng(1)
    rows = []
    for time in range(120):
        source = ("search", "recommend")[rng.integers(2)]
        query = int(rng.integers(-1, 4)) if source == "search" else -1
        action = ("click", "buy", "impression")[rng.integers(3)]
        rows.append((time, source, action, int(rng.integers(6)), int(rng.integers(8)), query))
    item_terms = [[row % 7, 5] for row in range(8)] + [[]]
    events = make_events(rows, 6, NUM_ITEMS, QUERIES, item_terms, num_terms=7)
    requests = make_requests([0] * 6, [0] * 6, queries=[-1, 0, 1, 2, 3, 4])
    candidates = np.array([rng.permutation([*range(NUM_ITEMS), -1]) for _ in range(6)])
    return events, rng.random(120) < 0.7, requests, candidates


def train_rows(events, is_train, source=None):
    for row in range(len(events)):
        right = source is None or events.is_search[row] == (source == "search")
        if is_train[row] and events.is_positive[row] and right:
            yield row


@pytest.mark.parametrize("source", ["search", "recommend", "both"])
def test_popularity_equals_a_loop(world, source):
    events, is_train, requests, candidates = world
    wanted = None if source == "both" else source
    counts = Counter(int(events.item[row]) for row in train_rows(events, is_train, wanted))
    found = Popularity(events, is_train, source).score(requests, candidates)
    for row, column in np.ndindex(candidates.shape):
        item = int(candidates[row, column])
        assert found[row, column] == (-np.inf if item < 0 else counts[item])


def loop_p_item_given_term(events, is_train, query, item, backoff):
    pairs, choices = Counter(), Counter()
    for row in train_rows(events, is_train):
        choices[int(events.item[row])] += 1
        if events.is_search[row] and events.query[row] >= 0:
            for term in set(QUERIES[events.query[row]]):
                pairs[term, int(events.item[row])] += 1
    terms = set(QUERIES[query]) if query >= 0 else set()
    mean = 0.0
    for term in terms:
        total = sum(count for (other, _), count in pairs.items() if other == term)
        mean += pairs[term, item] / total / len(terms) if total else 0.0
    share = (choices[item] + 1) / (sum(choices.values()) + NUM_ITEMS)
    return (1 - backoff) * mean + backoff * share


@pytest.mark.parametrize("backoff", [0.01, 0.3])
def test_p_item_given_term_equals_a_loop(world, backoff):
    events, is_train, requests, candidates = world
    found = TermLexical(events, is_train, backoff).score(requests, candidates)
    for row, column in np.ndindex(candidates.shape):
        item = int(candidates[row, column])
        if item < 0:
            assert found[row, column] == -np.inf
            continue
        query = int(requests.query[row])
        expected = loop_p_item_given_term(events, is_train, query, item, backoff)
        assert found[row, column] == pytest.approx(expected, rel=1e-5)


def test_term_match_equals_a_loop(world):
    events, is_train, requests, candidates = world
    words = [set(events.item_terms[item].tolist()) for item in range(NUM_ITEMS)]
    for row in train_rows(events, is_train, "search"):
        if events.query[row] >= 0:
            words[events.item[row]] |= set(QUERIES[events.query[row]])
    found = TermMatch(events, is_train).score(requests, candidates)
    for row, column in np.ndindex(candidates.shape):
        item, query = int(candidates[row, column]), int(requests.query[row])
        typed = set(QUERIES[query]) if query >= 0 else set()
        union = typed | words[item]
        expected = len(typed & words[item]) / len(union) if union else 0.0
        assert found[row, column] == pytest.approx(-np.inf if item < 0 else expected)


def test_source_terms_answers_each_source_with_its_own(world):
    events, is_train, requests, candidates = world
    found = SourceTerms(events, is_train).score(requests, candidates)
    lexical = TermLexical(events, is_train).score(requests, candidates)
    popular = Popularity(events, is_train, "recommend").score(requests, candidates)
    assert np.array_equal(found[1:], lexical[1:])
    assert np.array_equal(found[:1], popular[:1])


def test_baselines_are_scorers_with_names_of_their_own(world):
    events, is_train, requests, candidates = world
    members = [cls(events, is_train) for cls in (Popularity, TermLexical, TermMatch, SourceTerms)]
    assert len({member.name for member in members}) == len(members)
    for member in members:
        assert isinstance(member, Scorer)
        assert member.score(requests, candidates).dtype == np.float32


def test_cells_read_the_same_from_narrow_and_wide_requests():
    rng = np.random.default_rng(0)
    matrix = pair_counts(rng.integers(0, 5, 60), rng.integers(0, 400, 60), (5, 400))
    wide = np.array([rng.permutation(np.arange(-1, 400)) for _ in range(5)])
    narrow = wide[:, :30]
    dense = matrix.toarray()
    for columns in (wide, narrow):
        expected = np.where(columns < 0, 0, dense[np.arange(5)[:, None], columns])
        assert np.array_equal(cells(matrix, columns), expected)
    assert not cells(pair_counts(wide[0, :0], wide[0, :0], (5, 400)), narrow).any()


def test_words_beat_popularity_where_words_decide(make_events, make_requests):
    rng = np.random.default_rng(2)
    rows, users, targets, queries = [], [], [], []
    for time in range(600):
        query = int(rng.integers(10))
        item = query * 6 + min(int(rng.geometric(0.5)) - 1, 5)
        rows.append((time, "search", "click", int(rng.integers(40)), item, query))
        if time >= 450:
            users.append(rows[-1][3])
            targets.append(item)
            queries.append(query)
    events = make_events(rows, 40, 60, [[row] for row in range(10)], num_terms=10)
    requests = make_requests(users, targets, queries)
    is_train = events.time < 450
    options = {"known": known_positives(events), "protocol": Protocol(num_negatives=30)}
    scores = {
        cls.__name__: evaluate_scorer(cls(events, is_train), requests, 60, **options).mean("NDCG@5")
        for cls in (Popularity, TermLexical, TermMatch)
    }
    assert scores["TermLexical"] > scores["Popularity"] + 0.2
    assert scores["TermMatch"] > scores["Popularity"] + 0.2


def test_merging_repeated_terms_leaves_the_events_alone():
    terms = Ragged.from_lists([[1, 1, 3], [0]])
    found = term_sets(terms, 4).toarray()
    assert found.tolist() == [[0, 1, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert terms.values.tolist() == [1, 1, 3, 0]
