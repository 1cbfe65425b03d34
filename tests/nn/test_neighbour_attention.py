"""Attention to neighbours against plain loops; what it must not depend on; where it starts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sargraph.core.errors import ConfigError
from sargraph.nn.neighbour_attention import NeighbourAttention, NeighbourMemory
from sargraph.nn.neighbour_contrast import neighbour_contrast
from sargraph.testing.attention_oracle import attended
from sargraph.testing.leak_modules import assert_every_parameter_trains

DIM, QUERIES, NEIGHBOURS, TOKENS = 6, 5, 4, 3


def scene(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, NeighbourMemory]:
    """Requests of which the last has no token, and some have fewer neighbours."""
    generator = torch.Generator().manual_seed(seed)
    shape = (QUERIES, NEIGHBOURS * TOKENS)
    item = torch.randint(-1, 9, shape, generator=generator)
    similarity = torch.rand(QUERIES, NEIGHBOURS, generator=generator).double() ** 4 + 1e-3
    item.view(QUERIES, NEIGHBOURS, TOKENS)[2, 1:] = -1
    similarity[2, 1:] = 0.0
    item[-1], similarity[-1] = -1, 0.0
    memory = NeighbourMemory(
        item=item,
        step=torch.randint(-TOKENS, TOKENS + 1, shape, generator=generator),
        similarity=similarity,
        activity=torch.tensor([0.0, 1.0, 5.0, 30.0, 2.0]).double(),
        neighbour=torch.arange(QUERIES * NEIGHBOURS).view(QUERIES, NEIGHBOURS),
        user=torch.arange(QUERIES) + 100,
    )
    z = torch.randn(QUERIES, DIM, generator=generator).double()
    vectors = torch.randn(*shape, DIM, generator=generator).double()
    return z, vectors, memory


def module_of(seed: int = 0, away: bool = True) -> NeighbourAttention:
    torch.manual_seed(seed)
    module = NeighbourAttention(DIM, TOKENS).double()
    if away:
        with torch.no_grad():
            for weight in module.parameters():
                weight += 0.3 * torch.randn_like(weight)
    return module


@pytest.mark.parametrize("seed", range(3))
def test_it_is_what_plain_loops_give(seed):
    module, (z, vectors, memory) = module_of(seed), scene(seed)
    expected = torch.tensor(attended(module, z, vectors, memory)).double()
    torch.testing.assert_close(module(z, vectors, memory), expected)


def test_gradients_are_those_of_differences():
    module, (z, vectors, memory) = module_of(), scene()
    z.requires_grad_()
    vectors.requires_grad_()
    weights = list(module.parameters())
    assert torch.autograd.gradcheck(
        lambda z, vectors, *_: module(z, vectors, memory), (z, vectors, *weights)
    )


def test_every_weight_trains():
    module, (z, vectors, memory) = module_of(), scene()
    assert_every_parameter_trains(module, lambda: module(z, vectors, memory).square().sum())


def test_the_order_of_neighbours_does_not_matter():
    module, (z, vectors, memory) = module_of(), scene()
    order = torch.tensor([2, 0, 3, 1])

    def moved(tensor):
        parts = tensor.unflatten(1, (NEIGHBOURS, TOKENS))[:, order]
        return parts.flatten(1, 2)

    again = NeighbourMemory(
        moved(memory.item), moved(memory.step), memory.similarity[:, order], memory.activity,
        memory.neighbour[:, order], memory.user,
    )  # fmt: skip
    torch.testing.assert_close(module(z, moved(vectors), again), module(z, vectors, memory))


def test_without_tokens_nothing_changes_to_the_bit():
    module, (z, vectors, memory) = module_of(), scene()
    assert torch.equal(module(z, vectors, memory)[-1], z[-1])
    none = replace(memory, item=torch.full_like(memory.item, -1))
    assert torch.equal(module(z, vectors, none), z)
    narrow = NeighbourMemory(
        memory.item[:, :0], memory.step[:, :0], memory.similarity[:, :0], memory.activity,
        memory.neighbour[:, :0], memory.user,
    )  # fmt: skip
    assert torch.equal(module(z, vectors[:, :0], narrow), z)
    assert neighbour_contrast(z, vectors[:, :0], narrow).item() == 0


def test_vectors_of_padding_are_not_read():
    module, (z, vectors, memory) = module_of(), scene()
    other = torch.where(memory.valid.unsqueeze(2), vectors, 1e3)
    torch.testing.assert_close(module(z, other, memory), module(z, vectors, memory))


def test_the_gate_starts_where_it_is_told_and_the_bias_is_log_similarity():
    module, (z, vectors, memory) = module_of(away=False), scene()
    found = module.read(z, vectors, memory)
    torch.testing.assert_close(
        module.gate_of(z, found, memory), torch.full((QUERIES, DIM), 0.1).double()
    )
    alike = vectors[:, :1].expand_as(vectors)
    with torch.no_grad():
        module.step_table.zero_()
        module.bucket_table.zero_()
    assert module.log_weight.item() == 1.0
    torch.testing.assert_close(module.read(z, alike, memory)[0], module.value(alike[0, 0]))


def test_a_gate_that_starts_at_an_end_is_refused():
    for share in (0.0, 1.0):
        with pytest.raises(ConfigError, match="gate_start"):
            NeighbourAttention(DIM, gate_start=share)
