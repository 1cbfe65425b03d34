"""The softmax over the catalogue: the loss and both gradients of the plain form, block by block."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from sargraph.nn import catalogue_softmax as module
from sargraph.nn.catalogue_softmax import catalogue_softmax_loss
from sargraph.testing.sasrec_oracle import softmax_loss


def inputs(rows=37, items=23, dim=5, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(rows, dim, generator=generator, dtype=dtype, requires_grad=True)
    table = torch.randn(items, dim, generator=generator, dtype=dtype, requires_grad=True)
    return states, table, torch.randint(items, (rows,), generator=generator)


@pytest.mark.parametrize("cells", [1, 23, 100, 1 << 20])
def test_loss_and_gradients_are_those_of_the_plain_form(monkeypatch, cells):
    monkeypatch.setattr(module, "BLOCK_CELLS", cells)
    states, table, target = inputs()
    loss = 3 * catalogue_softmax_loss(states, table, target)
    got = torch.autograd.grad(loss, (states, table))
    plain = 3 * F.cross_entropy(states @ table.t(), target)
    expected = torch.autograd.grad(plain, (states, table))
    assert loss.item() == pytest.approx(plain.item(), rel=1e-12)
    for ours, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_loss_is_the_naive_one():
    states, table, target = inputs(rows=6)
    rows = zip(states.detach().numpy(), target.tolist(), strict=True)
    naive = [softmax_loss(state, table.detach().numpy(), item) for state, item in rows]
    got = catalogue_softmax_loss(states, table, target).item()
    assert got == pytest.approx(sum(naive) / len(naive), rel=1e-12)


def test_large_scores_do_not_overflow():
    states, table, target = inputs(dtype=torch.float32)
    loss = catalogue_softmax_loss(states * 1e4, table, target)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(states.grad).all()


def test_no_row_gives_no_loss_and_no_gradient():
    states, table, target = inputs(rows=0)
    loss = catalogue_softmax_loss(states, table, target)
    loss.backward()
    assert loss.item() == 0 and states.grad.shape == (0, 5)
