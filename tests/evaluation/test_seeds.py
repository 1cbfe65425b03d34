"""The seeds' share of the variance, against loops and planted components."""

from __future__ import annotations

import numpy as np
import pytest

from sargraph.evaluation.seeds import degrees_of_freedom, resample_seeds, seed_variance, student


def layout(rng, num_seeds, num_users, user, seed, both):
    users = rng.normal(size=num_users) * user
    seeds = rng.normal(size=(num_seeds, 1)) * seed
    return (users + seeds + rng.normal(size=(num_seeds, num_users)) * both)[:, :, None]


def by_hand(table):
    """Two-way layout without repetition, one sum of squares after the other."""
    num_seeds, num_users = len(table), len(table[0])
    grand = sum(map(sum, table)) / (num_seeds * num_users)
    rows = [sum(row) / num_users for row in table]
    columns = [sum(row[u] for row in table) / num_seeds for u in range(num_users)]
    between = num_users * sum((row - grand) ** 2 for row in rows) / (num_seeds - 1)
    left = sum(
        (table[s][u] - rows[s] - columns[u] + grand) ** 2
        for s in range(num_seeds)
        for u in range(num_users)
    ) / ((num_seeds - 1) * (num_users - 1))
    return max(0.0, (between - left) / num_users) / num_seeds


@pytest.mark.parametrize(("num_seeds", "num_users"), [(2, 2), (2, 9), (3, 5), (5, 40)])
def test_seed_variance_equals_the_sums_of_squares(num_seeds, num_users):
    rng = np.random.default_rng(num_seeds + num_users)
    table = layout(rng, num_seeds, num_users, 1, 0.7, 0.5)
    assert seed_variance(table) == pytest.approx([by_hand(table[:, :, 0].tolist())], abs=1e-12)


def test_seed_variance_finds_the_planted_component():
    rng = np.random.default_rng(0)
    found = [seed_variance(layout(rng, 5, 50, 1, 0.3, 0.5))[0] for _ in range(500)]
    assert np.mean(found) == pytest.approx(0.09 / 5, rel=0.1)
    assert all(each >= 0 for each in found)


def test_equal_seeds_and_single_seeds_have_none():
    one = np.random.default_rng(0).random((1, 30, 2))
    assert np.array_equal(seed_variance(one), [0, 0])
    assert seed_variance(np.repeat(one, 4, axis=0)) == pytest.approx([0, 0], abs=1e-15)
    assert np.array_equal(resample_seeds(one, seed=0, num_resamples=3), np.zeros((3, 2)))


def test_one_user_leaves_the_variance_of_the_seeds():
    table = np.array([[[1.0]], [[3.0]]])
    assert seed_variance(table) == pytest.approx([1.0])


def test_resampled_deviations_have_the_variance_and_no_mean():
    table = layout(np.random.default_rng(1), 5, 40, 1, 0.5, 0.5)
    found = resample_seeds(table, seed=0, num_resamples=20000)
    assert found.var() == pytest.approx(seed_variance(table)[0], rel=0.05)
    assert found.mean() == pytest.approx(0, abs=0.01)
    again = resample_seeds(table, seed=0, num_resamples=20000)
    other = resample_seeds(table, seed=0, num_resamples=20000, arm="other")
    assert np.array_equal(found, again)
    assert not np.array_equal(found, other)


def test_degrees_of_freedom_lie_between_the_parts_and_their_sum():
    few, many = np.array([1.0, 1.0, 0.0, 0.0]), np.array([0.0, 1.0, 1.0, 0.0])
    found = degrees_of_freedom([(few, 4), (many, 99)])
    assert found == pytest.approx([4, 4 / (1 / 4 + 1 / 99), 99, np.inf])


def test_student_quantiles():
    """Tabulated values."""
    found = student(0.975, np.array([1.0, 4.0, 8.0, np.inf]))
    assert found == pytest.approx([12.7062, 2.7764, 2.3060, 1.9600], abs=1e-4)
