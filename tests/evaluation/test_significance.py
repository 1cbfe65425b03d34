"""Intervals cover, tests keep their level, verdicts follow the rules."""

from __future__ import annotations

import numpy as np
import pytest

from sargraph.core.rng import make_rng
from sargraph.evaluation.significance import (
    bootstrap_means,
    compare,
    holm,
    interval,
    mean_by_user,
    permutation_p,
    resample_users,
    smallest_detectable,
    verdict,
)


def test_mean_by_user_equals_a_loop():
    rng = np.random.default_rng(0)
    users, values = rng.integers(0, 7, 40), rng.random((40, 2))
    names, means = mean_by_user(values, users)
    assert names.tolist() == sorted(set(users.tolist()))
    for row, user in enumerate(names):
        assert means[row] == pytest.approx(values[users == user].mean(axis=0))


def bootstrap(values, **options):
    return bootstrap_means({"arm": values}, **options)["arm"]


def test_resampled_means_equal_a_loop():
    values = np.random.default_rng(0).random((30, 2))
    found = resample_users(values, seed=4, num_resamples=7)
    drawn = make_rng(4, "users").integers(0, 30, (7, 30))
    for row, users in enumerate(drawn):
        assert found[row] == pytest.approx(values[users].mean(axis=0))


def test_arms_share_the_drawn_users_whatever_their_shape():
    values = np.random.default_rng(0).random((1, 50, 1))
    wide = np.concatenate([values, values + 1], axis=2)
    seeds = np.repeat(wide, 3, axis=0)
    found = bootstrap_means({"one": values, "two": wide, "three": seeds}, seed=1)
    assert found["two"][:, 1] == pytest.approx(found["one"][:, 0] + 1)
    assert found["three"] == pytest.approx(found["two"])
    assert found["one"] == pytest.approx(bootstrap(values, seed=1))
    assert np.array_equal(bootstrap(values, seed=1), bootstrap(values, seed=1))
    assert not np.array_equal(found["one"], bootstrap(values, seed=2))


def test_bootstrap_spread_is_the_standard_error():
    values = np.random.default_rng(0).normal(size=(1, 400, 1))
    spread = bootstrap(values, seed=0, num_resamples=4000).std()
    assert spread == pytest.approx(values.std() / 20, rel=0.06)


def test_bootstrap_over_seeds_is_wider_where_seeds_differ():
    users = np.random.default_rng(0).normal(scale=0.1, size=(1, 200, 1))
    seeds = users + np.array([-1.0, 0.0, 1.0])[:, None, None]
    widths = [np.ptp(interval(bootstrap(values, seed=0))) for values in (users, seeds)]
    assert widths[1] > 10 * widths[0]


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    hits = 0
    for trial in range(200):
        values = rng.exponential(size=(1, 120, 1))
        low, high = interval(bootstrap(values, seed=trial, num_resamples=300))
        hits += bool(low[0] <= 1.0 <= high[0])
    assert 0.88 <= hits / 200 <= 0.99


def test_permutation_p_is_about_uniform_when_nothing_is_there():
    rng = np.random.default_rng(5)
    found = [
        permutation_p(rng.normal(size=60), seed=trial, num_permutations=200) for trial in range(300)
    ]
    assert 0.02 <= np.mean(np.array(found) < 0.05) <= 0.09
    assert 0.4 <= np.mean(found) <= 0.6


def test_permutation_p_equals_all_sign_flips_of_a_small_sample():
    differences = np.array([0.5, -0.2, 0.9, 0.0, 0.4, 0.3])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 6)).reshape(6, -1)
    exact = np.mean(np.abs(differences @ signs) >= abs(differences.sum()) - 1e-12)
    assert permutation_p(differences, seed=0, num_permutations=20000) == pytest.approx(
        exact, abs=0.01
    )


def test_permutation_p_finds_an_effect_and_ignores_none():
    rng = np.random.default_rng(0)
    assert permutation_p(rng.normal(0.5, 1, 200), seed=0) < 0.001
    assert permutation_p(np.zeros(10), seed=0) == 1.0


def test_holm_against_a_hand_made_example():
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])).max() == 1.0


@pytest.mark.parametrize(
    ("low", "high", "p", "words"),
    [
        (0.01, 0.30, 0.01, "shown"),
        (0.01, 0.30, 0.20, "cannot tell"),
        (-0.10, 0.019, 0.5, "refuted"),
        (-0.10, 0.15, 0.5, "cannot tell"),
        (0.0, 0.0, 1.0, "refuted"),
    ],
)
def test_verdicts(low, high, p, words):
    assert verdict(low, high, p) == words


def test_compare_finds_a_planted_gain_and_prints_what_it_can_see():
    rng = np.random.default_rng(0)
    theirs = rng.random((1, 500))
    ours = theirs + 0.05 + rng.normal(scale=0.1, size=(3, 500))
    found = compare(ours, theirs, seed=0)
    assert found.difference == pytest.approx((ours.mean(0) - theirs[0]).mean())
    assert found.low < found.difference < found.high
    assert found.verdict() == "shown"
    assert found.share(found.baseline) == 1.0
    assert compare(theirs, theirs, seed=0).verdict() == "refuted"


def test_detectable_is_two_point_eight_standard_errors_of_the_difference():
    rng = np.random.default_rng(0)
    theirs, noise = rng.random((1, 400)), rng.normal(size=(1, 400))
    found = compare(theirs + noise, theirs, seed=0, num_resamples=4000)
    assert found.detectable == pytest.approx(smallest_detectable(noise.std() / 20), rel=0.06)


def test_one_user_shows_nothing():
    assert compare(np.array([[0.9]]), np.array([[0.1]]), seed=0).verdict() == "cannot tell"
