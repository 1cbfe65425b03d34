"""The losses against loops and at their edges."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sargraph.nn.loss import (
    bpr_loss,
    squared_distance,
    supervised_demand_loss,
    translation_contrast_loss,
)


def rows(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.double, generator=generator)


def log_sigmoid(value: float) -> float:
    return -math.log(1 + math.exp(-value))


def distance(left: Tensor, right: Tensor) -> float:
    pairs = zip(left.tolist(), right.tolist(), strict=True)
    return sum((a - b) ** 2 for a, b in pairs) / len(left)


def test_bpr_is_the_loop() -> None:
    positive, negative = rows(6), rows(6, seed=1)
    margins = [float(positive[n] - negative[n]) for n in range(6)]
    expected = -sum(log_sigmoid(margin) for margin in margins) / 6
    assert bpr_loss(positive, negative).item() == pytest.approx(expected)


def test_bpr_of_a_tie_is_log_two_and_falls_with_the_margin() -> None:
    zero = torch.zeros(3)
    assert bpr_loss(zero, zero).item() == pytest.approx(math.log(2))
    assert bpr_loss(zero + 1, zero) < bpr_loss(zero, zero) < bpr_loss(zero - 1, zero)


def test_supervised_loss_is_the_loop() -> None:
    demand, query = rows(5, 3), rows(5, 3, seed=1)
    is_search = torch.tensor([True, False, True, False, False])
    total = sum(distance(demand[n], query[n]) for n in (0, 2))
    assert supervised_demand_loss(demand, query, is_search).item() == pytest.approx(total / 2)
    published = supervised_demand_loss(demand, query, is_search, per_batch=True)
    assert published.item() == pytest.approx(total / 5)


def test_supervised_loss_does_not_depend_on_the_share_of_search_rows() -> None:
    """Published defect: L_SG was divided by the whole batch, rows without a query included."""
    demand, query = rows(4, 3), rows(4, 3, seed=1)
    searches = torch.ones(4, dtype=torch.bool)
    alone = supervised_demand_loss(demand, query, searches)
    mixed = [torch.cat([t, rows(9, 3, seed=2)]) for t in (demand, query)]
    is_search = torch.cat([searches, torch.zeros(9, dtype=torch.bool)])
    torch.testing.assert_close(supervised_demand_loss(*mixed, is_search), alone)


def test_supervised_gradient_reaches_the_query_too() -> None:
    demand, query = rows(2, 3).requires_grad_(), rows(2, 3, seed=1).requires_grad_()
    supervised_demand_loss(demand, query, torch.tensor([True, False])).backward()
    torch.testing.assert_close(query.grad, -demand.grad)
    assert query.grad[0].abs().sum() > 0 and (query.grad[1] == 0).all()


def test_translation_contrast_is_the_loop() -> None:
    user, demand, positive, negative = (rows(5, 3, seed=s) for s in range(4))
    expected = 0.0
    for n in range(5):
        wanted = user[n] + demand[n]
        margin = distance(wanted, negative[n]) - distance(wanted, positive[n])
        expected -= log_sigmoid(margin) / 5
    loss = translation_contrast_loss(user, demand, positive, negative)
    assert loss.item() == pytest.approx(expected)


def test_squared_distance_is_a_mean_over_dim() -> None:
    torch.testing.assert_close(squared_distance(torch.zeros(1, 4), torch.ones(1, 4)), torch.ones(1))


def test_empty_batches_and_no_search_rows_cost_nothing() -> None:
    none, empty = torch.zeros(0), torch.zeros(0, 3)
    assert bpr_loss(none, none).item() == 0
    assert supervised_demand_loss(empty, empty, none > 0).item() == 0
    assert translation_contrast_loss(empty, empty, empty, empty).item() == 0
    no_search = torch.zeros(4, dtype=torch.bool)
    assert supervised_demand_loss(rows(4, 3), rows(4, 3, seed=1), no_search).item() == 0
