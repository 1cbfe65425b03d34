"""Task experts against loops; tasks apart, shared experts together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sargraph.nn.experts import TaskExperts
from sargraph.testing import unisar_oracle as oracle

OWN, COMMON, TASKS = 6, 4, ("search", "recommend")


def experts(tower_dims=(7, 5), head_dims=(9, 3)) -> TaskExperts:
    torch.manual_seed(0)
    model = TaskExperts(OWN + COMMON, TASKS, 3, 2, 8, tower_dims, head_dims)
    return model.double()


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("dims", [((7, 5), (9, 3)), ((), ()), ((4,), ())])
def test_logits_equal_loops(task, dims):
    model = experts(*dims)
    per_candidate, per_request = randn(3, 4, OWN), randn(3, COMMON, seed=1)
    logits, w = model(task, per_candidate, per_request), oracle.weights_of(model)
    for b in range(3):
        for c in range(4):
            features = np.concatenate([per_candidate[b, c].numpy(), per_request[b].numpy()])
            expected = oracle.task_logit(w, task, 3, 2, features)
            assert logits[b, c].item() == pytest.approx(expected, abs=1e-12)


def test_only_the_asked_task_and_the_shared_experts_learn():
    model = experts()
    model("search", randn(2, 3, OWN), randn(2, COMMON, seed=1)).sum().backward()
    learnt = {name for name, p in model.named_parameters() if p.grad is not None}
    assert learnt == {name for name, _ in model.named_parameters() if "recommend" not in name}


def test_equal_candidates_get_equal_logits():
    model = experts()
    same = randn(2, 1, OWN).expand(2, 5, OWN)
    logits = model("recommend", same, randn(2, COMMON, seed=1))
    assert torch.equal(logits, logits[:, :1].expand_as(logits))
