"""Rotations are found again, inner products stay, and rows that nobody learned do not count."""

from __future__ import annotations

import numpy as np
import pytest

from sargraph.embedding.align import aligned, mean_rows, rotation_onto


def rotation(rng, dim):
    return np.linalg.qr(rng.normal(size=(dim, dim)))[0]


def tables(rng, users=7, items=30, dim=5):
    return {k: rng.normal(size=(n, dim)).astype(np.float32)
            for k, n in (("user", users), ("item", items))}  # fmt: skip


def test_a_planted_rotation_is_found():
    rng = np.random.default_rng(0)
    table, turn = rng.normal(size=(20, 4)), rotation(rng, 4)
    found = rotation_onto(table, table @ turn)
    np.testing.assert_allclose(found, turn, atol=1e-10)
    np.testing.assert_allclose(found.T @ found, np.eye(4), atol=1e-12)


def test_no_other_rotation_is_closer():
    rng = np.random.default_rng(1)
    table, reference = rng.normal(size=(2, 15, 3))
    best = np.linalg.norm(table @ rotation_onto(table, reference) - reference)
    for _ in range(300):
        assert np.linalg.norm(table @ rotation(rng, 3) - reference) >= best - 1e-9


def test_without_rows_nothing_is_turned():
    np.testing.assert_array_equal(rotation_onto(np.empty((0, 3)), np.empty((0, 3))), np.eye(3))


def test_rotated_trainings_come_together_and_scores_stay():
    rng = np.random.default_rng(2)
    first, turn = tables(rng), rotation(rng, 5)
    second = {kind: (table @ turn).astype(np.float32) for kind, table in first.items()}
    learned = [np.ones(30, bool), np.arange(30) < 20]
    second["item"][20:] = rng.normal(size=(10, 5))  # never learned there: must not steer
    (_, turned), residuals = aligned([first, second], learned)
    np.testing.assert_allclose(turned["user"], first["user"], atol=1e-5)
    np.testing.assert_allclose(turned["item"][:20], first["item"][:20], atol=1e-5)
    np.testing.assert_allclose(
        turned["user"] @ turned["item"].T, second["user"] @ second["item"].T, atol=1e-4
    )
    assert residuals == pytest.approx([0, 0], abs=1e-5)


def test_unlike_trainings_do_not_agree():
    rng = np.random.default_rng(3)
    many = [tables(rng, items=4000) for _ in range(2)]
    _, residuals = aligned(many, [np.ones(4000, bool)] * 2)
    assert residuals[1] == pytest.approx(np.sqrt(2), abs=0.1)


def test_means_are_over_those_that_learned_the_row():
    learned = [np.array([True, True, False]), np.array([True, False, False])]
    mean = mean_rows([np.full((3, 2), 1.0), np.full((3, 2), 3.0)], learned)
    np.testing.assert_array_equal(mean[:, 0], [2.0, 1.0, 2.0])
