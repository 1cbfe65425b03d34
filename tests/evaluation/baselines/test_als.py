"""ALS: factors against an exact oracle, users folded in, seeds, and the library missing."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest

from sargraph.core.errors import BadInputError
from sargraph.core.rng import make_rng
from sargraph.core.scorer import VectorScorer
from sargraph.evaluation.baselines import ALS, ALSConfig, build_baseline
from sargraph.evaluation.baselines.als import item_factors, starting_factors
from sargraph.evaluation.baselines.choices import choice_counts
from sargraph.testing.item_oracles import als_step
from sargraph.testing.scorer_cases import scorer_world
from sargraph.testing.word_oracles import dense_counts

SMALL = ALSConfig(dim=4, num_epochs=5, regularisation=0.3, confidence=2.0)


@pytest.fixture
def world():
    pytest.importorskip("implicit")
    return scorer_world()


def test_factors_equal_exact_alternating_least_squares(world):
    counts = dense_counts(world)
    rng = make_rng(SMALL.seed, "als")
    users, items = (starting_factors(rng, size, SMALL.dim) for size in counts.shape)
    for _ in range(SMALL.num_epochs):
        users = als_step(counts, items, SMALL)
        items = als_step(counts.T, users, SMALL)
    sparse = choice_counts(world.events, world.split.is_train)
    sparse.sum_duplicates()
    np.testing.assert_allclose(item_factors(sparse, SMALL), items, rtol=2e-3, atol=2e-4)


def test_training_lowers_the_loss_it_says(world):
    counts = dense_counts(world)

    def loss(config):
        scorer = ALS(world.events, world.split, config)
        items = scorer.item_vectors().astype(np.float64)
        users = als_step(counts, items, config).astype(np.float64)
        weights = 1 + config.confidence * counts
        fit = (weights * ((counts > 0) - users @ items.T) ** 2).sum()
        return fit + config.regularisation * ((users**2).sum() + (items**2).sum())

    losses = [loss(SMALL.model_copy(update={"num_epochs": n})) for n in (1, 2, 4, 12)]
    assert losses == sorted(losses, reverse=True) and losses[0] > losses[-1]


def test_one_seed_gives_the_same_bits_and_another_does_not(world):
    first, again, other = (
        ALS(world.events, world.split, SMALL.model_copy(update={"seed": seed})).item_vectors()
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_it_is_a_vector_scorer_and_warns_of_nothing(world):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scorer = ALS(world.events, world.split, SMALL)
    assert isinstance(scorer, VectorScorer)
    assert scorer.encode(world.requests).shape == (len(world.requests), 4)


def test_users_without_a_history_get_the_zero_vector(world):
    scorer = ALS(world.events, world.split, SMALL)
    vectors = scorer.encode(world.requests)
    assert not vectors[0].any() and vectors[1:].any(axis=1).sum() > 10


def test_without_the_library_the_error_says_what_to_install(monkeypatch):
    world = scorer_world()
    monkeypatch.setitem(sys.modules, "implicit.cpu.als", None)
    with pytest.raises(BadInputError, match=r"pip install 'sargraph\[als\]'"):
        build_baseline("als", world.events, world.split)
