"""The contrast of a request with what its first neighbour chose."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sargraph.nn.neighbour_attention import NeighbourMemory
from sargraph.nn.neighbour_contrast import neighbour_contrast
from sargraph.testing.attention_oracle import contrasted

DIM, QUERIES, NEIGHBOURS, TOKENS = 5, 12, 3, 2


def scene(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, NeighbourMemory]:
    """Few users, so that requests share neighbours; gaps, and a request without a token."""
    generator = torch.Generator().manual_seed(seed)
    shape = (QUERIES, NEIGHBOURS * TOKENS)
    item = torch.randint(-2, 9, shape, generator=generator).clamp(min=-1)
    item[-1] = -1
    item[3, :TOKENS] = -1
    memory = NeighbourMemory(
        item=item,
        step=torch.zeros(shape, dtype=torch.long),
        similarity=torch.rand(QUERIES, NEIGHBOURS, generator=generator).double(),
        activity=torch.ones(QUERIES).double(),
        neighbour=torch.randint(0, 8, (QUERIES, NEIGHBOURS), generator=generator),
        user=torch.randint(0, 8, (QUERIES,), generator=generator),
    )
    z = torch.randn(QUERIES, DIM, generator=generator).double()
    return z, torch.randn(*shape, DIM, generator=generator).double(), memory


@pytest.mark.parametrize("seed", range(5))
def test_it_is_what_plain_loops_give(seed):
    z, vectors, memory = scene(seed)
    found = neighbour_contrast(z, vectors, memory, 0.3)
    assert found.item() == pytest.approx(contrasted(z, vectors, memory, 0.3))
    assert found.item() > 0


def test_gradients_are_those_of_differences():
    z, vectors, memory = scene()
    z.requires_grad_()
    vectors.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda z, vectors: neighbour_contrast(z, vectors, memory, 0.3), (z, vectors)
    )


def test_nobody_is_pushed_from_a_neighbour_or_from_the_own_choices():
    """Where all others are alike there is nothing to tell apart, and the loss is 0."""
    z, vectors, memory = scene()
    same = replace(memory, neighbour=torch.zeros_like(memory.neighbour))
    assert neighbour_contrast(z, vectors, same).item() == 0
    item = memory.item.clamp(min=0)
    two = replace(memory, item=item, neighbour=torch.arange(QUERIES).unsqueeze(1).expand(
        -1, NEIGHBOURS))  # fmt: skip
    nobody = replace(two, user=torch.full((QUERIES,), 99))
    others = replace(two, user=(torch.arange(QUERIES) + 1) % QUERIES)
    assert neighbour_contrast(z, vectors, others) < neighbour_contrast(z, vectors, nobody)


def test_vectors_of_padding_and_requests_without_a_token_are_not_read():
    z, vectors, memory = scene()
    other = torch.where(memory.valid.unsqueeze(2), vectors, 1e3)
    expected = neighbour_contrast(z, vectors, memory)
    torch.testing.assert_close(neighbour_contrast(z, other, memory), expected)
    z = z.clone()
    z[-1] = 50.0
    torch.testing.assert_close(neighbour_contrast(z, vectors, memory), expected)


def test_no_request_with_a_neighbour_costs_nothing():
    z, vectors, memory = scene()
    none = replace(memory, item=torch.full_like(memory.item, -1))
    assert neighbour_contrast(z, vectors, none).item() == 0
