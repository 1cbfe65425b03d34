"""Bilinear tanh InfoNCE against loops; empty inputs, false negatives and temperatures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sargraph.nn import contrast
from sargraph.nn.contrast import (
    HistoryContrast,
    QueryItemContrast,
    Temperature,
    known_positives,
    masked_mean,
    tanh_logsumexp,
)
from sargraph.testing import unisar_oracle as oracle

DIM = 6
NONE_BLOCKED = torch.empty(0, 2, dtype=torch.long)


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def tensor(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


def plain_logsumexp(left, right, temperature, blocked):
    logits = torch.tanh(left @ right.T) / temperature
    mask = torch.zeros_like(logits, dtype=torch.bool)
    mask[blocked[:, 0], blocked[:, 1]] = True
    return logits.masked_fill(mask, -torch.inf).logsumexp(1)


@pytest.mark.parametrize("rows_per_block", [1, 3, 128])
def test_tanh_logsumexp_and_its_gradient(monkeypatch, rows_per_block):
    monkeypatch.setattr(contrast, "ROWS_PER_BLOCK", rows_per_block)
    blocked = torch.tensor([[6, 0], [0, 1], [6, 4], [2, 2], [6, 0]])
    inputs = [randn(7, DIM), randn(5, DIM, seed=1), tensor(0.3)]
    gradients = []
    for function in (tanh_logsumexp, plain_logsumexp):
        leaves = [value.clone().requires_grad_() for value in inputs]
        out = function(*leaves, blocked)
        (out * randn(7, seed=2)).sum().backward()
        gradients.append([out.detach(), *(leaf.grad for leaf in leaves)])
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-12)


def test_a_row_with_all_pairs_blocked_adds_nothing_and_gives_no_nan():
    left, right = randn(2, DIM).requires_grad_(), randn(3, DIM, seed=1).requires_grad_()
    blocked = torch.tensor([[0, 0], [0, 1], [0, 2]])
    sums = tanh_logsumexp(left, right, tensor(0.1), blocked)
    out = torch.logaddexp(tensor(0.0), sums)
    assert out[0] == 0.0
    out.sum().backward()
    assert left.grad[0].abs().max() == 0
    assert torch.isfinite(left.grad).all()
    assert torch.isfinite(right.grad).all()


def history_case() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    valid = torch.arange(4) < torch.tensor([4, 2, 0, 1, 3]).unsqueeze(1)
    return randn(5, 4, DIM), randn(5, 4, DIM, seed=1), valid


def states_of(states: torch.Tensor, valid: torch.Tensor) -> list[list[np.ndarray]]:
    return [list(row[keep].numpy()) for row, keep in zip(states, valid, strict=True)]


@pytest.mark.parametrize("user", [None, [7, 3, 7, 7, -1], [-1, -1, -1, -1, -1]])
def test_history_contrast_equals_loops(user):
    torch.manual_seed(0)
    module = HistoryContrast(DIM, temperature=0.4).double()
    first, second, valid = history_case()
    ours = module(first, second, valid, None if user is None else torch.tensor(user))
    expected = oracle.history_contrast(
        module.weight.detach().numpy(), 0.4, states_of(first, valid), states_of(second, valid), user
    )
    assert ours.item() == pytest.approx(expected, rel=1e-7)


def test_history_contrast_of_empty_histories_is_zero_not_nan():
    module = HistoryContrast(DIM).double()
    first, second, valid = history_case()
    assert module(first, second, torch.zeros_like(valid)).item() == 0.0
    # One history alone has no negative: nothing to learn, and nothing breaks.
    assert module(first[:1], second[:1], valid[:1]).item() == pytest.approx(0.0, abs=1e-12)


def test_one_empty_history_never_changes_the_loss_of_the_others():
    module = HistoryContrast(DIM).double()
    first, second, valid = history_case()
    kept = valid.any(1)
    together = module(first, second, valid)
    alone = module(first[kept], second[kept], valid[kept])
    assert together.item() == pytest.approx(alone.item())


def test_masked_mean():
    states, valid = randn(3, 4, 2), torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]]).bool()
    mean = masked_mean(states, valid)
    torch.testing.assert_close(mean[0], states[0, :2].mean(0))
    assert mean[1].tolist() == [0.0, 0.0]
    torch.testing.assert_close(mean[2], states[2].mean(0))


def query_item_case():
    queries, items = randn(4, DIM), randn(5, DIM, seed=1)
    pairs = torch.tensor([[0, 1], [0, 1], [3, 2], [2, 4], [0, 0]])
    negative_items, negative_queries = randn(6, DIM, seed=2), randn(7, DIM, seed=3)
    return queries, items, pairs, negative_items, negative_queries


@pytest.mark.parametrize("is_blocked", [False, True])
def test_query_item_contrast_equals_loops(is_blocked):
    torch.manual_seed(0)
    module = QueryItemContrast(DIM, temperature=0.3).double()
    queries, items, pairs, negative_items, negative_queries = query_item_case()
    blocked_items = torch.tensor([[0, 5], [0, 2], [3, 0]]) if is_blocked else NONE_BLOCKED
    blocked_queries = torch.tensor([[1, 6], [4, 0]]) if is_blocked else NONE_BLOCKED
    ours = module(
        queries, items, pairs, negative_items, negative_queries, blocked_items, blocked_queries
    )

    def allowed(vectors, blocked, member):
        out = {place for left, place in blocked.tolist() if left == member}
        return [vector.numpy() for n, vector in enumerate(vectors) if n not in out]

    expected = oracle.query_item_contrast(
        module.weight.detach().numpy(),
        0.3,
        [(queries[q].numpy(), items[i].numpy()) for q, i in pairs.tolist()],
        [
            (
                allowed(negative_items, blocked_items, q),
                allowed(negative_queries, blocked_queries, i),
            )
            for q, i in pairs.tolist()
        ],
    )
    assert ours.item() == pytest.approx(expected, rel=1e-7)


def test_query_item_contrast_without_pairs_or_negatives_is_zero():
    module = QueryItemContrast(DIM).double()
    queries, items, pairs, negative_items, negative_queries = query_item_case()
    assert module(queries, items, pairs[:0], negative_items, negative_queries).item() == 0.0
    assert module(queries, items, pairs, queries[:0], items[:0]).item() == pytest.approx(0.0)


def test_known_positives_are_all_found_even_if_negatives_repeat():
    generator = torch.Generator().manual_seed(0)
    pairs = torch.randint(0, 12, (40, 2), generator=generator)
    negatives = torch.randint(0, 12, (30,), generator=generator)
    found = known_positives(pairs, negatives)
    expected = oracle.known_positives(
        {(left, right) for left, right in pairs.tolist()}, negatives.tolist()
    )
    assert {tuple(row) for row in found.tolist()} == expected
    assert len(known_positives(pairs[:0], negatives)) == 0


def test_temperature_stays_positive_under_any_step():
    temperature = Temperature(0.1)
    assert temperature().item() == pytest.approx(0.1)
    with torch.no_grad():
        temperature.value -= 10.0
    assert temperature().item() == pytest.approx(0.1 * math.exp(-10))
    published = Temperature(0.1, positive=False)
    with torch.no_grad():
        published.value -= 10.0
    assert published().item() < 0  # what the default protects from


def test_logits_at_a_tiny_temperature_are_finite():
    left, right = randn(3, DIM).float(), randn(4, DIM, seed=1).float()
    sums = tanh_logsumexp(left, right, torch.tensor(1e-3), NONE_BLOCKED)
    assert torch.isfinite(sums).all()
