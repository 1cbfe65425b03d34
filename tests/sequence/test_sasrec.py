"""SASRec's mathematics, slot by slot, and what it must not read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional as F

from sargraph.sequence.sasrec import SASRec, SASRecConfig
from sargraph.testing.sasrec_oracle import softmax_loss, states
from sargraph.testing.unisar_oracle import weights_of

ITEMS = 11
SIZES = SASRecConfig(dim=8, num_heads=2, num_layers=2, inner_dim=12, max_events=6, init_std=0.4)


@pytest.fixture
def model() -> SASRec:
    found = SASRec(ITEMS, SIZES, seed=3).double().eval()
    with torch.no_grad():  # norms and biases away from their trivial start
        for weight in found.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    return found


HISTORIES = torch.tensor([[3, 7, 1, 0, 5, 9], [4, -1, -1, -1, -1, -1], [2, 2, 8, -1, -1, -1]])


def test_states_are_those_of_the_oracle(model):
    got = model(HISTORIES).detach().numpy()
    weights = weights_of(model)
    for row, items in enumerate(HISTORIES.tolist()):
        real = [item for item in items if item >= 0]
        expected = states(weights, real, SIZES.num_layers, SIZES.num_heads)
        np.testing.assert_allclose(got[row, : len(real)], expected, rtol=1e-9, atol=1e-11)


def test_a_state_reads_no_later_item_and_no_padding(model):
    before = model(HISTORIES)
    edited = HISTORIES.clone()
    edited[0, 3:] = 10
    edited[2, 3:] = 6
    after = model(edited)
    assert torch.equal(before[0, :3], after[0, :3])
    assert not torch.equal(before[0, 3:], after[0, 3:])
    assert torch.equal(before[2, :3], after[2, :3])


def test_encode_takes_the_last_real_state(model):
    got = model.encode(HISTORIES)
    whole = model(HISTORIES)
    assert torch.equal(got, torch.stack([whole[0, 5], whole[1, 0], whole[2, 2]]))


def test_an_empty_history_has_a_state_of_its_own(model):
    nothing = torch.full((2, 3), -1)
    assert torch.equal(model.encode(nothing), model.empty.expand(2, -1))
    assert torch.equal(model.encode(nothing[:, :0]), model.empty.expand(2, -1))


def test_the_loss_is_the_mean_over_the_given_targets(model):
    row, slot, target = torch.tensor([0, 0, 2]), torch.tensor([1, 4, 2]), torch.tensor([9, 0, 4])
    got = model.next_item_losses(HISTORIES, row, slot, target)[0].item()
    weights, whole = weights_of(model), model(HISTORIES).detach().numpy()
    naive = [
        softmax_loss(whole[r, s], weights["item_table.weight"], t)
        for r, s, t in zip(row.tolist(), slot.tolist(), target.tolist(), strict=True)
    ]
    assert got == pytest.approx(np.mean(naive), rel=1e-9)


def test_first_items_teach_the_empty_state_alone(model):
    share = torch.rand(ITEMS, dtype=torch.float64)
    share /= share.sum()
    loss = model.first_item_loss(share)
    scores = model.item_table.weight @ model.empty
    assert loss.item() == pytest.approx(F.cross_entropy(scores, share).item(), rel=1e-12)
    loss.backward()
    assert model.empty.grad.abs().sum() > 0
    assert all(w.grad is None for name, w in model.named_parameters() if name != "empty")


def test_every_weight_gets_a_gradient():
    model = SASRec(ITEMS, SIZES.model_copy(update={"dropout": 0.0}), seed=0)
    rows = torch.tensor([0, 1])
    loss, _ = model.next_item_losses(
        HISTORIES[:2], rows, torch.tensor([5, 0]), torch.tensor([1, 2])
    )
    (loss + model.first_item_loss(torch.full((ITEMS,), 1 / ITEMS))).backward()
    unused = [n for n, w in model.named_parameters() if w.grad is None or not w.grad.abs().sum()]
    assert unused == []


def test_seed_fixes_the_start_and_leaves_the_global_state():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second, third = (SASRec(ITEMS, SIZES, seed=s) for s in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(first.item_table.weight, second.item_table.weight)
    assert not torch.equal(first.item_table.weight, third.item_table.weight)


def test_heads_that_do_not_divide_are_refused():
    with pytest.raises(ValidationError, match="must divide dim 10"):
        SASRecConfig(dim=10, num_heads=4)
