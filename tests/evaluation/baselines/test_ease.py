"""EASE: its closed form against its own definition, items nobody chose, and refusals in time."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.sparse import csr_array

from sargraph.core.errors import BadInputError
from sargraph.evaluation.baselines import EASE, EASEConfig, Popularity
from sargraph.evaluation.baselines import ease as module
from sargraph.evaluation.baselines.ease import check_size, ease_weights
from sargraph.events.schema import CLICK, RECOMMEND
from sargraph.events.split import split_events
from sargraph.testing.events import make_events
from sargraph.testing.scorer_cases import scorer_world


@pytest.fixture
def choices() -> np.ndarray:
    return (np.random.default_rng(0).random((30, 17)) < 0.3).astype(np.float64)


def loss(choices: np.ndarray, weights: np.ndarray, regularisation: float) -> float:
    return float(((choices - choices @ weights) ** 2).sum() + regularisation * (weights**2).sum())


def test_the_weights_minimise_the_loss_among_those_with_a_diagonal_of_zeros(choices):
    weights = ease_weights(csr_array(choices), 2.0).astype(np.float64)
    assert not weights.diagonal().any()
    least, rng = loss(choices, weights, 2.0), np.random.default_rng(1)
    for _ in range(50):
        step = rng.normal(size=weights.shape) * 1e-3
        np.fill_diagonal(step, 0)
        assert loss(choices, weights + step, 2.0) > least


def test_blocks_change_nothing(choices, monkeypatch):
    whole = ease_weights(csr_array(choices), 5.0)
    for rows in (1, 4, 16, 17):
        monkeypatch.setattr(module, "_BLOCK_ROWS", rows)
        np.testing.assert_allclose(ease_weights(csr_array(choices), 5.0), whole, rtol=1e-6)


def test_items_nobody_chose_cost_nothing_and_score_nothing():
    rows = [
        (u, t, RECOMMEND, CLICK, 100_000 * ((u + t) % 3), -1, 0) for u in range(9) for t in range(9)
    ]
    events = make_events(rows, num_users=9, num_items=300_000)
    split = split_events(events)
    scorer = EASE(events, split, EASEConfig(max_memory=1000.0))
    world = scorer_world()
    scores = scorer.score(world.requests.take(np.array([1])), np.array([[5, 100_000, -1]]))
    assert scores[0, 0] == 0 and scores[0, 1] != 0 and scores[0, 2] == -np.inf


def test_without_any_choice_in_its_source_every_score_is_0(capfd):
    """As with popularity; LAPACK used to complain of an empty matrix."""
    rows = [(u, t, RECOMMEND, CLICK, (u + t) % 5, -1, 0) for u in range(4) for t in range(6)]
    events = make_events(rows, num_users=4, num_items=5)
    split = split_events(events)
    candidates = np.array([[0, 4, -1], [1, 2, 3]])
    requests = scorer_world().requests.take(np.array([0, 1]))
    scores = EASE(events, split, EASEConfig(source="search")).score(requests, candidates)
    expected = Popularity(events, split.is_train, "search").score(requests, candidates)
    assert np.array_equal(scores, expected) and scores.dtype == np.float32
    assert scores.tolist() == [[0, 0, -np.inf], [0, 0, 0]]
    assert capfd.readouterr() == ("", "")


def test_a_catalogue_too_large_is_refused_before_anything_is_spent():
    """A library asked for more than 1.5 TB here, and died."""
    number, start = 1_000_000, time.perf_counter()
    with pytest.raises(BadInputError) as error:
        check_size(number, None)
    assert time.perf_counter() - start < 0.5
    text = str(error.value)
    assert "1,000,000 items needs 12.0 TB of memory" in text and "days on one core" in text
    assert "use 'item_knn'" in text


def test_a_million_chosen_items_are_refused_at_once():
    number = 1_000_000
    rows = np.zeros((number, 7), dtype=np.int64)
    rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3] = 0, np.arange(number), RECOMMEND, CLICK
    rows[:, 4], rows[:, 5] = np.arange(number), -1
    events = make_events(rows.tolist(), num_users=1, num_items=number)
    split = split_events(events)
    start = time.perf_counter()
    with pytest.raises(BadInputError, match=r"EASE on 800,000 items needs 7\.7 TB"):
        EASE(events, split)
    assert time.perf_counter() - start < 5


def test_the_limit_is_as_the_user_says():
    check_size(1000, 12e6)
    with pytest.raises(BadInputError, match=r"needs 12 MB .* at most 11 MB"):
        check_size(1000, 11e6)
