"""RowAdam against AdamW and against a plain loop; untouched rows stay where they are."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from sargraph.training.optimiser import RowAdam, touched_rows


def _table(rows: int = 6, dim: int = 3, seed: int = 0) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed)))


def _gradient(step: int, rows: int = 6, dim: int = 3) -> torch.Tensor:
    return torch.randn(rows, dim, generator=torch.Generator().manual_seed(100 + step))


def test_equals_adamw_where_every_row_is_touched() -> None:
    ours, theirs = _table(), _table()
    row_adam = RowAdam([ours], lr=0.01, weight_decay=0.1)
    adamw = torch.optim.AdamW([theirs], lr=0.01, weight_decay=0.1)
    for step in range(20):
        ours.grad, theirs.grad = _gradient(step), _gradient(step)
        row_adam.step()
        adamw.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("sparse", [False, True])
def test_equals_a_loop_over_rows_with_own_step_counts(sparse: bool) -> None:
    table = _table()
    expected = table.detach().double().clone()
    lr, b1, b2, eps, decay = 0.05, 0.9, 0.99, 1e-8, 0.02
    optimiser = RowAdam([table], lr=lr, betas=(b1, b2), eps=eps, weight_decay=decay)
    mean, square = torch.zeros(6, 3).double(), torch.zeros(6, 3).double()
    count = [0] * 6
    for step in range(12):
        rows = sorted({step % 4, (step * step) % 4})
        gradient = torch.zeros(6, 3)
        gradient[rows] = _gradient(step)[rows]
        table.grad = gradient.to_sparse(1) if sparse else gradient
        optimiser.step()
        for row in rows:
            count[row] += 1
            for d in range(3):
                g = float(gradient[row, d])
                mean[row, d] = b1 * mean[row, d] + (1 - b1) * g
                square[row, d] = b2 * square[row, d] + (1 - b2) * g * g
                m = mean[row, d] / (1 - b1 ** count[row])
                v = square[row, d] / (1 - b2 ** count[row])
                kept = (1 - lr * decay) * expected[row, d]
                expected[row, d] = kept - lr * m / (math.sqrt(v) + eps)
    torch.testing.assert_close(table.detach().double(), expected, rtol=1e-5, atol=1e-6)


def test_u1_rows_without_gradient_do_not_move() -> None:
    """Dense Adam with coupled L2 erases rare rows; here they keep their bits."""
    ours, published = _table(), _table()
    before = ours.detach().clone()
    row_adam = RowAdam([ours], lr=0.01, weight_decay=0.1)
    coupled = torch.optim.Adam([published], lr=0.01, weight_decay=1e-5)
    for step in range(30):
        gradient = torch.zeros(6, 3)
        gradient[:2] = _gradient(step)[:2]
        ours.grad, published.grad = gradient.clone(), gradient.clone()
        row_adam.step()
        coupled.step()
    assert torch.equal(ours[2:], before[2:])
    assert not torch.equal(ours[:2], before[:2])
    assert (published[2:] - before[2:]).abs().max() > 0.1  # the defect is real


def test_a_row_touched_once_keeps_still_afterwards() -> None:
    table = _table()
    optimiser = RowAdam([table], lr=0.1)
    table.grad = torch.zeros(6, 3).index_fill_(0, torch.tensor([1]), 1.0)
    optimiser.step()
    after = table.detach().clone()
    for _ in range(3):
        table.grad = torch.zeros(6, 3).index_fill_(0, torch.tensor([4]), 1.0)
        optimiser.step()
    assert torch.equal(table[1], after[1])


def test_touched_rows_leaves_out_rows_of_zeros_and_sums_repeats() -> None:
    repeated = torch.sparse_coo_tensor(
        torch.tensor([[3, 1, 3, 0]]),
        torch.tensor([[1.0], [2.0], [4.0], [0.0]]),
        (5, 1),
        check_invariants=True,
    )
    rows, values = touched_rows(repeated)
    assert rows.tolist() == [1, 3]
    assert values.flatten().tolist() == [2.0, 5.0]
    assert touched_rows(torch.zeros(3, 2))[0].tolist() == []
