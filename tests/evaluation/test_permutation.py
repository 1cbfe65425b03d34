"""The permutation test equals the count of all sign flips, and keeps its level."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from sargraph.evaluation.permutation import permutation_p


def all_flips(differences):
    """Share of all sign flips whose sum is at least as far from zero, one by one."""
    observed = abs(sum(differences))
    sums = [
        abs(sum(sign * each for sign, each in zip(signs, differences, strict=True)))
        for signs in product((-1, 1), repeat=len(differences))
    ]
    return sum(each >= observed - 1e-12 for each in sums) / len(sums)


CASES = {
    "mixed": [0.5, -0.2, 0.9, 0.0, 0.4, 0.3],
    "ties": [0.1, 0.1, 0.1, -0.1, 0.1, 0.1],
    "one user": [0.7],
    "two users": [0.7, 0.7],
    "nothing differs": [0.0, 0.0],
    "mostly nothing": [0.0, 0.0, 0.0, 0.2, 0.3, -0.1],
    "a sum of zero": [0.5, -0.5],
    "a sum that floats miss": [0.1, 0.2, -0.3],
}


@pytest.mark.parametrize("name", CASES)
def test_p_is_exact_for_few_users(name):
    assert permutation_p(np.array(CASES[name]), seed=0) == all_flips(CASES[name])


def test_p_is_exact_for_random_users_up_to_the_number_of_flips():
    rng = np.random.default_rng(0)
    for size in range(1, 11):
        differences = rng.normal(0.3, 1, size).round(1)
        assert permutation_p(differences, seed=0) == all_flips(differences.tolist())


def test_drawn_flips_come_near_the_exact_p():
    rng = np.random.default_rng(1)
    differences = rng.normal(0.4, 1, 14).round(2)
    exact = all_flips(differences.tolist())
    assert permutation_p(differences, seed=0, num_permutations=1 << 14) == exact
    drawn = permutation_p(differences, seed=0, num_permutations=(1 << 14) - 1)
    assert drawn != exact
    assert drawn == pytest.approx(exact, abs=4 * np.sqrt(exact / (1 << 14)))


def test_users_without_a_difference_change_nothing():
    differences = np.random.default_rng(0).normal(size=60)
    padded = np.concatenate([differences, np.zeros(500)])
    assert permutation_p(padded, seed=3) == permutation_p(differences, seed=3)


def test_p_is_about_uniform_when_nothing_is_there():
    rng = np.random.default_rng(5)
    found = [
        permutation_p(rng.normal(size=60), seed=trial, num_permutations=200) for trial in range(300)
    ]
    assert 0.02 <= np.mean(np.array(found) < 0.05) <= 0.09
    assert 0.4 <= np.mean(found) <= 0.6


def test_p_finds_an_effect_and_never_is_zero():
    rng = np.random.default_rng(0)
    assert 0 < permutation_p(rng.normal(0.5, 1, 200), seed=0) < 0.001
    assert permutation_p(np.ones(500), seed=0, num_permutations=999) == 0.001


def test_nobody_and_nan():
    assert permutation_p(np.empty(0), seed=0) == 1.0
    assert np.isnan(permutation_p(np.array([0.1, np.nan]), seed=0))
