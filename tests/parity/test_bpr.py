"""BPR trained by plain gradient steps: the module and the loops of the paper stay together."""

from __future__ import annotations

import numpy as np
import torch

from sargraph.embedding.bpr import BPR
from sargraph.testing.bpr_oracle import BPROracle


def test_fifty_gradient_steps_end_in_the_same_place() -> None:
    module = BPR(6, 9, 4, seed=0).double()
    arrays = (p.detach().numpy().copy() for p in (module.user, module.item, module.item_bias))
    oracle = BPROracle(*arrays)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.5)
    rng = np.random.default_rng(1)
    for _ in range(50):
        triples = [(int(rng.integers(6)), *rng.permutation(9)[:2].tolist()) for _ in range(5)]
        optimiser.zero_grad()
        sum(module.loss(*(torch.tensor(c) for c in zip(*triples, strict=True)), 0.01)).backward()
        optimiser.step()
        for array, gradient in zip(
            (oracle.user, oracle.item, oracle.bias), oracle.gradient(triples, 0.01), strict=True
        ):
            array -= 0.5 * gradient
    for found, expected in zip(
        (module.user, module.item, module.item_bias),
        (oracle.user, oracle.item, oracle.bias), strict=True,
    ):  # fmt: skip
        np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-8, atol=1e-10)
    assert float(module.user.detach().abs().max()) > 0.1
