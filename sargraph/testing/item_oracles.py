"""Naive oracles of the baselines that learn how items go together: dense matrices and loops."""

from __future__ import annotations

import math

import numpy as np

from sargraph.core.rng import make_rng
from sargraph.core.types import DoubleArray, FloatArray
from sargraph.evaluation.baselines.als import ALSConfig, starting_factors
from sargraph.evaluation.baselines.item_knn import ItemKNNConfig
from sargraph.testing.scorer_cases import ScorerWorld
from sargraph.testing.word_oracles import cell_by_cell, chosen_before, dense_counts


def item_knn(world: ScorerWorld, config: ItemKNNConfig | None = None) -> DoubleArray:
    """Sums of the kept similarities to the distinct items of the history."""
    config = config or ItemKNNConfig()
    similar = _similarities(world, config)

    def score(row: int, item: int) -> float:
        history = chosen_before(world, row)[-(config.max_history or len(world.events)) :]
        total = 0.0
        for other in set(history):
            age = history[::-1].index(other)
            weight = 0.5 ** (age / config.half_life) if config.half_life else 1.0
            total += weight * similar.get((other, item), 0.0)
        return total

    return cell_by_cell(world, score)


def _similarities(world: ScorerWorld, config: ItemKNNConfig) -> dict[tuple[int, int], float]:
    """(item, neighbour) -> similarity, for the k best neighbours of each item."""
    columns = _weights(dense_counts(world), config.weighting).T.tolist()
    found: dict[tuple[int, int], float] = {}
    for item, column in enumerate(columns):
        ranked = []
        for other, values in enumerate(columns):
            dot = sum(x * y for x, y in zip(column, values, strict=True))
            norms = math.sqrt(sum(x * x for x in column)) * math.sqrt(sum(y * y for y in values))
            if other != item and dot > 0:
                ranked.append((-dot / (norms + config.shrinkage), other))
        for negative, other in sorted(ranked)[: config.k]:
            found[item, other] = -negative
    return found


def _weights(counts: np.ndarray, weighting: str) -> DoubleArray:  # type: ignore[type-arg]
    weights = np.zeros(counts.shape)
    for user, item in np.argwhere(counts > 0):
        tf = 1 + math.log(counts[user, item]) if "tf" in weighting else 1.0
        chosen = int((counts[user] > 0).sum())
        idf = math.log(1 + counts.shape[1] / chosen) if "idf" in weighting else 1.0
        weights[user, item] = tf * idf
    return weights


def ease(world: ScorerWorld, regularisation: float = 250.0) -> DoubleArray:
    """Column by column: ridge regression of an item on all other items."""
    choices = (dense_counts(world) > 0).astype(np.float64)
    size = choices.shape[1]
    weights = np.zeros((size, size))
    for item in range(size):
        others = np.delete(np.arange(size), item)
        left = choices[:, others].T @ choices[:, others] + regularisation * np.eye(size - 1)
        weights[others, item] = np.linalg.solve(left, choices[:, others].T @ choices[:, item])
    return cell_by_cell(
        world,
        lambda row, item: sum(weights[other, item] for other in set(chosen_before(world, row))),
    )


def als(world: ScorerWorld, config: ALSConfig) -> DoubleArray:
    """Alternate exact least squares over all users and items; then one step per request."""
    counts = dense_counts(world)
    rng = make_rng(config.seed, "als")
    users, items = (starting_factors(rng, size, config.dim) for size in counts.shape)
    for _ in range(config.num_epochs):
        users = als_step(counts, items, config)
        items = als_step(counts.T, users, config)
    history = np.zeros((len(world.requests), counts.shape[1]))
    for row in range(len(history)):
        for item in chosen_before(world, row):
            history[row, item] += 1
    vectors = als_step(history, items, config)
    return cell_by_cell(world, lambda row, item: float(vectors[row] @ items[item]))


def als_step(counts: np.ndarray, fixed: FloatArray, config: ALSConfig) -> FloatArray:  # type: ignore[type-arg]
    """argmin over x of sum_i c_i (p_i - <x, y_i>)^2 + lambda |x|^2, for each row of counts."""
    found = np.zeros((len(counts), config.dim))
    for row, times in enumerate(counts):
        left, right = config.regularisation * np.eye(config.dim), np.zeros(config.dim)
        for item, count in enumerate(times):
            confidence = 1 + config.confidence * count
            left += confidence * np.outer(fixed[item], fixed[item])
            right += confidence * float(count > 0) * fixed[item]
        found[row] = np.linalg.solve(left, right)
    return found.astype(np.float32)
