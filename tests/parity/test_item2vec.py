"""Item2vec beside word2vec's published update rule, step by step."""

from __future__ import annotations

import math

import numpy as np
import torch

from sargraph.embedding.item2vec import Item2vec

Rows = list[tuple[int, int, list[int]]]
RATE = 0.4


def updated(item: np.ndarray, context: np.ndarray, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Both tables after one step: g = rate (label - sigmoid(<v, w>)), v += g w, w += g v.

    All rows read the tables as they were, and the step is the mean over rows.
    """
    new_item, new_context = item.copy(), context.copy()
    for centre, right, drawn in rows:
        targets = [(right, 1.0), *((other, 0.0) for other in drawn if other != right)]
        for target, label in targets:
            product = sum(a * b for a, b in zip(item[centre], context[target], strict=True))
            pull = RATE * (label - 1 / (1 + math.exp(-product))) / len(rows)
            new_item[centre] += pull * context[target]
            new_context[target] += pull * item[centre]
    return new_item, new_context


def test_forty_steps_end_in_the_same_place() -> None:
    module = Item2vec(9, 5, seed=0).double()
    rng = np.random.default_rng(1)
    with torch.no_grad():
        module.context.copy_(torch.from_numpy(rng.normal(size=(9, 5))))
    tables = module.item.detach().numpy().copy(), module.context.detach().numpy().copy()
    start = tables
    optimiser = torch.optim.SGD(module.parameters(), lr=RATE)
    skipped = 0
    for _ in range(40):
        rows: Rows = [
            (*rng.permutation(9)[:2].tolist(), rng.integers(0, 9, 3).tolist()) for _ in range(6)
        ]
        skipped += sum(right in drawn for _, right, drawn in rows)
        optimiser.zero_grad()
        centre, right, drawn = (torch.tensor(column) for column in zip(*rows, strict=True))
        module.loss(centre, right, drawn).backward()
        optimiser.step()
        tables = updated(*tables, rows)
    assert skipped > 10  # a drawn item that is the context itself counts for nothing
    for found, expected, before in zip(module.parameters(), tables, start, strict=True):
        np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-9, atol=1e-12)
        assert np.abs(expected - before).max() > 0.05
