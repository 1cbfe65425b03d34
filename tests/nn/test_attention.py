"""Attention layers against loops, torch's own layers, and the edge of seeing nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sargraph.nn.attention import (
    DecoderLayer,
    EncoderLayer,
    MultiHeadAttention,
    TargetAttention,
    masked_softmax,
)
from sargraph.nn.dropout import ByteDropout
from sargraph.testing import unisar_oracle as oracle

DIM, HEADS = 8, 2


def shaken(module: nn.Module) -> nn.Module:
    """Float64, every parameter away from its plain start (biases are not 0, gains not 1)."""
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        parameter.data = parameter.data.double()
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator).double()
    return module.eval()


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some_mask(batch: int, queries: int, keys: int) -> torch.Tensor:
    mask = torch.rand(batch, queries, keys, generator=torch.Generator().manual_seed(2)) < 0.6
    mask[0, 0] = False
    return mask


def test_masked_softmax_of_nothing_is_zero():
    scores = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    visible = torch.tensor([[False, False, False], [True, False, True]])
    weights = masked_softmax(scores, visible)
    assert weights[0].tolist() == [0.0, 0.0, 0.0]
    assert weights[1, 1] == 0.0
    assert weights[1].sum().item() == pytest.approx(1.0)


def test_attention_equals_loops():
    attention = shaken(MultiHeadAttention(DIM, HEADS))
    x, memory, mask = randn(3, 4, DIM), randn(3, 5, DIM, seed=1), some_mask(3, 4, 5)
    w = {f"a.{name}": value for name, value in oracle.weights_of(attention).items()}
    out = attention(x, memory, mask).detach().numpy()
    for b in range(3):
        for i in range(4):
            keys = [memory[b, j].numpy() for j in range(5) if mask[b, i, j]]
            expected = oracle.attend(w, "a", HEADS, x[b, i].numpy(), keys)
            np.testing.assert_allclose(out[b, i], expected, atol=1e-12)


def test_who_sees_nothing_receives_zero_and_passes_no_nan():
    attention = shaken(MultiHeadAttention(DIM, HEADS))
    x = randn(2, 3, DIM).requires_grad_()
    mask = torch.ones(2, 1, 3, dtype=torch.bool)
    mask[0] = False
    out = attention(x, x, mask)
    assert out[0].abs().max() == 0
    out.sum().backward()
    assert torch.isfinite(x.grad).all()
    assert x.grad[0].abs().max() == 0


def test_encoder_layer_equals_torch():
    ours = shaken(EncoderLayer(DIM, HEADS))
    theirs = nn.TransformerEncoderLayer(
        DIM, HEADS, DIM, dropout=0.0, batch_first=True, dtype=torch.float64
    ).eval()
    renamed = {
        name.replace("attention.", "self_attn.").replace("feed_forward.", ""): value
        for name, value in ours.state_dict().items()
    }
    theirs.load_state_dict(renamed)
    x = randn(2, 5, DIM)
    valid = torch.tensor([[True] * 5, [True, True, True, False, False]])
    expected = theirs(x, src_key_padding_mask=~valid)
    torch.testing.assert_close(ours(x, x, valid.unsqueeze(1))[valid], expected[valid])


def test_decoder_layer_equals_loops():
    layer = shaken(DecoderLayer(DIM, HEADS))
    x, memory = randn(2, 4, DIM), randn(2, 4, DIM, seed=1)
    causal = torch.ones(4, 4, dtype=torch.bool).tril().expand(2, 4, 4)
    w = {f"d.{name}": value for name, value in oracle.weights_of(layer).items()}
    out = layer(x, memory, causal).detach().numpy()
    for b in range(2):
        for i in range(4):
            own, other = (list(side[b, : i + 1].numpy()) for side in (x, memory))
            expected = oracle.decode(w, "d", HEADS, own, other, at=i)
            np.testing.assert_allclose(out[b, i], expected, atol=1e-12)


def test_target_attention_equals_loops_and_empty_gives_zero():
    pooling = shaken(TargetAttention(DIM))
    states, candidates = randn(3, 5, DIM), randn(3, 4, DIM, seed=1)
    length = [5, 2, 0]
    valid = torch.arange(5) < torch.tensor(length).unsqueeze(1)
    out = pooling(states, valid, candidates).detach().numpy()
    weight = pooling.weight.detach().numpy()
    for b in range(3):
        for c in range(4):
            kept = list(states[b, : length[b]].numpy())
            expected = oracle.pool(weight, kept, candidates[b, c].numpy())
            np.testing.assert_allclose(out[b, c], expected, atol=1e-12)


def test_byte_dropout_keeps_the_mean_and_its_share():
    torch.manual_seed(0)
    dropout, x = ByteDropout(0.1), torch.ones(1000, 999)
    out = dropout(x)
    assert (out == 0).float().mean().item() == pytest.approx(26 / 256, abs=2e-3)
    assert out.mean().item() == pytest.approx(1.0, abs=3e-3)
    assert (out == 0).float().mean(0).std().item() < 0.011  # no column is favoured
    assert dropout.eval()(x) is x
    assert ByteDropout(0.0)(x) is x


@pytest.mark.parametrize("share", [0.9981, 0.9999, 1.0])
def test_byte_dropout_keeps_something_however_large_its_share(share):
    torch.manual_seed(0)
    out = ByteDropout(share)(torch.ones(1000, 1000))
    assert bool(torch.isfinite(out).all())
    assert set(out.unique().tolist()) == {0.0, 256.0}
    assert out.mean().item() == pytest.approx(1, abs=0.05)


def test_byte_dropout_passes_gradient_where_it_kept():
    torch.manual_seed(0)
    x = torch.ones(64, 3, requires_grad=True)
    out = ByteDropout(0.5)(x)
    out.sum().backward()
    torch.testing.assert_close(x.grad, out.detach())


def test_byte_dropout_repeats_with_its_seed():
    draws = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        draws.append(ByteDropout(0.3)(torch.ones(500)))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
