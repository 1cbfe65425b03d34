"""Neighbours by vectors against loops, and the states of an encoder without a leak."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from sargraph.core.errors import BadInputError
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.embedding.vector_scorer import TableScorer
from sargraph.events.history import HistoryIndex
from sargraph.events.schema import CLICK, IMPRESSION, RECOMMEND, SEARCH, SEARCHED
from sargraph.events.split import SplitConfig, split_events
from sargraph.neighbours import vectors as module
from sargraph.neighbours.build import build_index
from sargraph.neighbours.vectors import state_vectors, vector_neighbours
from sargraph.testing.events import make_events, random_events


class MeanOfHistory:
    """A scorer whose request vector is the sum of the vectors of what was chosen before."""

    name = "mean of history"

    def __init__(self, events, visible, items):
        self.events, self.items, self.calls = events, items, []
        self.history = HistoryIndex(events, visible)

    def encode(self, requests):
        self.calls.append(requests)
        rows = self.history.before(requests, 50)
        found = np.zeros((len(requests), self.items.shape[1]), np.float32)
        np.add.at(found, rows.row_of_value, self.items[self.events.item[rows.values]])
        return found + 1  # a state that is not zero even where nothing was chosen

    def item_vectors(self):
        return self.items

    def score(self, requests, candidates):
        return np.zeros(candidates.shape, np.float32)


def naive(vectors, user, k, others):
    """Cosine with everybody in `others`, sorted by it and then by row."""
    mine, found = vectors[user], []
    for other in sorted(set(others)):
        lengths = math.hypot(*mine) * math.hypot(*vectors[other])
        if other != user and lengths:
            product = sum(a * b for a, b in zip(mine, vectors[other], strict=True))
            found.append((other, product / lengths))
    return sorted(found, key=lambda pair: (-round(pair[1], 6), pair[0]))[:k]


@pytest.mark.parametrize("others", [None, np.array([3, 9, 9, 4, 20, 0])])
@pytest.mark.parametrize("k", [1, 5, 60])
def test_neighbours_are_those_of_a_loop(k, others):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(40, 5)) * rng.exponential(size=(40, 1))
    vectors[rng.random(40) < 0.2] = 0
    users = np.r_[np.arange(40), 7]
    ranked = vector_neighbours(vectors, users, k, others=others)
    assert ranked.rows.shape == (41, k)
    pool = range(40) if others is None else others.tolist()
    for place, user in enumerate(users):
        expected = naive(vectors, user, k, pool)
        assert [row for row, _ in ranked.valid(place)] == [row for row, _ in expected]
        scores = [score for _, score in ranked.valid(place)]
        np.testing.assert_allclose(scores, [score for _, score in expected], atol=1e-6)


def test_ties_go_to_the_lower_row_and_zero_vectors_have_and_are_no_neighbours():
    vectors = np.array([[0, 0], [1, 0], [2, 0], [0, 0], [0.5, 0], [-1, 0]])
    ranked = vector_neighbours(vectors, np.arange(6), 4)
    assert ranked.rows[4].tolist() == [1, 2, 5, NO_ROW]
    assert ranked.scores[4].tolist() == [1, 1, -1, -np.inf]
    assert ranked.rows[1].tolist() == [2, 4, 5, NO_ROW]
    for user in (0, 3):
        assert np.all(ranked.rows[user] == NO_ROW)
        assert np.all(ranked.scores[user] == -np.inf)
    nobody = vector_neighbours(vectors, np.array([1, 2]), 2, others=np.array([0, 3]))
    assert np.all(nobody.rows == NO_ROW)
    assert len(vector_neighbours(vectors, np.array([], dtype=np.int64), 2)) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 0}, "got k = 0, expected at least 1"),
        ({"users": [0, 4]}, "got users from 0 to 4, expected rows of the 4 users"),
        ({"users": [-1]}, "got users from -1 to -1"),
        ({"users": [0.5]}, r"got users of float64 \[1\], expected int64"),
        ({"others": [9]}, "got others from 9 to 9"),
        ({"vectors": np.ones(3)}, r"got vectors of float64 \[3\]"),
        ({"vectors": np.full((4, 2), np.nan)}, "NaN or infinity"),
        ({"num_threads": 0}, "num_threads: got 0"),
    ],
)
def test_what_does_not_fit_is_an_error(changes, message):
    given = {"vectors": np.eye(4), "users": np.arange(4), "k": 2}
    with pytest.raises(BadInputError, match=message) as caught:
        vector_neighbours(**{**given, **changes})
    assert "\n" not in str(caught.value)


def taste_world(seed=0, num_tastes=4, users_per_taste=10):
    """Users who choose from items of their taste that nobody else ever chooses."""
    rng = np.random.default_rng(seed)
    num_users = num_tastes * users_per_taste
    rows = [(user, place, RECOMMEND, CLICK, user * 6 + place, NO_ROW, user)
            for user in range(num_users) for place in range(6)]  # fmt: skip
    events = make_events(rows, num_users=num_users, num_items=num_users * 6)
    taste = np.arange(num_users) % num_tastes
    centres = rng.normal(size=(num_tastes, 16))
    items = centres[np.repeat(taste, 6)] + 0.5 * rng.normal(size=(num_users * 6, 16))
    return events, taste, items.astype(np.float32)


def test_users_of_one_taste_who_share_no_item_are_found_by_their_states():
    events, taste, items = taste_world()
    everything = np.ones(len(events), bool)
    assert np.all(build_index(events).all_neighbours(5).rows == NO_ROW)
    states = state_vectors(MeanOfHistory(events, everything, items), events, everything)
    ranked = vector_neighbours(states, np.arange(40), 5)
    assert np.mean(taste[ranked.rows] == taste[:, None]) >= 0.9


def test_each_user_is_encoded_once_as_of_t(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 7)
    events = random_events(np.random.default_rng(1), num_users=20)
    model = MeanOfHistory(events, np.ones(len(events), bool), np.ones((20, 3), np.float32))
    states = state_vectors(model, events, np.ones(len(events), bool), 20_000)
    assert max(len(requests) for requests in model.calls) == 7
    users = np.concatenate([requests.user for requests in model.calls])
    assert len(np.unique(users)) == len(users)
    for requests in model.calls:
        assert np.all(requests.as_of == 20_000)
        for column in (requests.query, requests.target, requests.event):
            assert np.all(column == NO_ROW)
    assert np.array_equal(np.flatnonzero(states.any(axis=1)), np.sort(users))
    assert states.dtype == np.float32


def changed(events, where):
    """The events with other items, queries and times, but as late, at some rows."""
    rng = np.random.default_rng(5)
    columns = {name: column.copy() for name, column in events.columns.items()}
    columns["item"][where] = rng.integers(len(events.items), size=where.sum())
    columns["source"][where] = RECOMMEND
    columns["query"][where] = NO_ROW
    return replace(events, columns=columns)


@pytest.mark.parametrize("kind", ["global_time", "leave_last_out"])
def test_events_that_are_not_training_change_no_state(kind):
    """Also where each user has a cut of its own, which one common time would overrun."""
    events = random_events(np.random.default_rng(2), num_users=15, num_times=300)
    split = split_events(events, SplitConfig(kind=kind))
    items = np.random.default_rng(3).normal(size=(20, 4)).astype(np.float32)
    other = changed(events, ~split.is_train)
    assert not np.array_equal(other.item, events.item)
    found = [
        state_vectors(MeanOfHistory(one, split.visible, items), one, split.is_train)
        for one in (events, other)
    ]
    np.testing.assert_array_equal(*found)
    assert found[0].any()


def test_events_at_or_after_as_of_change_no_state():
    events = random_events(np.random.default_rng(4), num_users=15)
    as_of, everything = 20_000, np.ones(len(events), bool)
    assert np.any(events.time == as_of)
    items = np.random.default_rng(3).normal(size=(20, 4)).astype(np.float32)
    found = [
        state_vectors(MeanOfHistory(one, everything, items), one, everything, as_of)
        for one in (events, changed(events, events.time >= as_of))
    ]
    np.testing.assert_array_equal(*found)


def test_who_did_nothing_has_no_state():
    rows = [
        (0, 1, RECOMMEND, CLICK, 0, NO_ROW, 0),
        (1, 1, RECOMMEND, IMPRESSION, 0, NO_ROW, 1),
        (2, 1, SEARCH, SEARCHED, NO_ROW, 0, 2),
        (3, 9, RECOMMEND, CLICK, 0, NO_ROW, 3),
        (4, NO_TIME, RECOMMEND, CLICK, 0, NO_ROW, 4),
    ]
    events = make_events(rows, num_users=6, num_items=1, query_terms=[[0]])
    everything = np.ones(5, bool)
    model = MeanOfHistory(events, everything, np.ones((1, 2), np.float32))
    states = state_vectors(model, events, everything, 9)
    assert states.any(axis=1).tolist() == [True, False, True, False, True, False]
    assert state_vectors(model, events, everything).any(axis=1).sum() == 4
    assert not state_vectors(model, events, np.zeros(5, bool)).any()


def test_a_log_without_times_is_read_as_a_whole():
    rows = [(user, NO_TIME, RECOMMEND, CLICK, user % 2, NO_ROW, user) for user in range(4)]
    events = make_events(rows, num_users=4, num_items=2, time_kind="none")
    everything = np.ones(4, bool)
    model = MeanOfHistory(events, everything, np.eye(2, dtype=np.float32))
    for as_of in (None, NO_TIME):
        states = state_vectors(model, events, everything, as_of)
        assert states.tolist() == [[2, 1], [1, 2], [2, 1], [1, 2]]


def test_any_vector_scorer_will_do():
    events, _, items = taste_world()
    users = np.random.default_rng(0).normal(size=(40, 16)).astype(np.float32)
    everything = np.ones(len(events), bool)
    states = state_vectors(TableScorer("tables", users, items), events, everything)
    np.testing.assert_array_equal(states, users)


def test_a_model_or_a_mask_that_does_not_fit_is_an_error():
    events, _, items = taste_world()
    everything = np.ones(len(events), bool)
    model = MeanOfHistory(events, everything, items)
    with pytest.raises(BadInputError, match=r"without vectors \(object\), expected one"):
        state_vectors(object(), events, everything)
    with pytest.raises(BadInputError, match=r"got a mask of bool \[3\], expected bool \[240\]"):
        state_vectors(model, events, everything[:3])
    model.encode = lambda requests: np.zeros((1, 2), np.float32)
    with pytest.raises(BadInputError, match=r"got states \[1, 2\] from the model, expected \[40"):
        state_vectors(model, events, everything)
