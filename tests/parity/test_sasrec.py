"""SASRec equals torch's own encoder layers; there is no published file of numbers for it."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from sargraph.sequence.sasrec import SASRec, SASRecConfig

SIZES = SASRecConfig(dim=12, num_heads=3, num_layers=2, inner_dim=20, max_events=9)


def test_states_equal_those_of_torchs_encoder_layers():
    model = SASRec(17, SIZES, seed=0).double().eval()
    items = torch.from_numpy(np.random.default_rng(0).integers(0, 17, (5, 9)))
    layers = [_torch_layer(layer) for layer in model.layers]
    x = model.norm(model.item_table(items) + model.position_table.weight)
    hidden = torch.ones(9, 9, dtype=torch.bool).triu(1)
    for layer in layers:
        x = layer(x, src_mask=hidden)
    torch.testing.assert_close(model(items), x, rtol=1e-10, atol=1e-10)


def _torch_layer(ours: nn.Module) -> nn.TransformerEncoderLayer:
    theirs = nn.TransformerEncoderLayer(
        SIZES.dim, SIZES.num_heads, SIZES.inner_dim, dropout=0.0, activation="gelu",
        batch_first=True, norm_first=False,
    ).double().eval()  # fmt: skip
    names = {"attention": "self_attn", "feed_forward.linear": "linear"}
    state = {}
    for name, value in ours.state_dict().items():
        for old, new in names.items():
            name = name.replace(old, new)
        state[name] = value
    theirs.load_state_dict(state)
    return theirs
