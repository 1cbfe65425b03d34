"""Progressive layered extraction: shared and own experts, one gate, tower and head per task."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


def relu_stack(in_dim: int, dims: Sequence[int]) -> nn.Sequential:
    """Linear layers of the given widths, each followed by a ReLU."""
    layers: list[nn.Module] = []
    for out_dim in dims:
        layers += [nn.Linear(in_dim, out_dim), nn.ReLU()]
        in_dim = out_dim
    return nn.Sequential(*layers)


class TaskBranch(nn.Module):
    """What belongs to one task alone: experts, gate over all experts, tower and head."""

    def __init__(
        self,
        in_dim: int,
        num_experts: int,
        num_shared: int,
        expert_dim: int,
        tower_dims: Sequence[int],
        head_dims: Sequence[int],
    ) -> None:
        super().__init__()
        self.experts = nn.ModuleList(nn.Linear(in_dim, expert_dim) for _ in range(num_experts))
        self.gate = nn.Linear(in_dim, num_experts + num_shared)
        self.tower = relu_stack(expert_dim, tower_dims)
        tower_dim = [expert_dim, *tower_dims][-1]
        self.head = relu_stack(tower_dim, head_dims)
        self.out = nn.Linear([tower_dim, *head_dims][-1], 1)


class TaskExperts(nn.Module):
    """One layer of PLE for several tasks; only the asked task is computed.

    f = [per_candidate; per_request]; e_k = relu(W_k f + b_k); g = softmax(W_g f + b_g) over the
    task's own experts, then the shared ones; logit = head(tower(sum_k g_k e_k)).
    The part of f that all candidates of a request share is projected once per request.
    Source: Tang et al., Progressive Layered Extraction (RecSys 2020).
    """

    def __init__(
        self,
        in_dim: int,
        tasks: Sequence[str],
        num_experts: int = 4,
        num_shared: int = 4,
        expert_dim: int = 64,
        tower_dims: Sequence[int] = (128, 64),
        head_dims: Sequence[int] = (200, 80),
    ) -> None:
        super().__init__()
        self.expert_dim = expert_dim
        self.shared = nn.ModuleList(nn.Linear(in_dim, expert_dim) for _ in range(num_shared))
        self.branches = nn.ModuleDict(
            {
                task: TaskBranch(in_dim, num_experts, num_shared, expert_dim, tower_dims, head_dims)
                for task in tasks
            }
        )

    def forward(
        self,
        task: str,
        per_candidate: Float[Tensor, "batch candidates own"],
        per_request: Float[Tensor, "batch common"],
    ) -> Float[Tensor, "batch candidates"]:
        """Logit of every candidate of every request, for one task."""
        branch = self.branches[task]
        assert isinstance(branch, TaskBranch)
        layers = [*branch.experts, *self.shared, branch.gate]
        # One matrix product for all experts and the gate.
        joint = _project(layers, per_candidate, per_request)
        num_gates = branch.gate.out_features
        experts = torch.relu(joint[..., :-num_gates]).unflatten(-1, (num_gates, self.expert_dim))
        gate = torch.softmax(joint[..., -num_gates:], dim=-1)
        mixed = (gate.unsqueeze(-2) @ experts).flatten(-2)
        out: Tensor = branch.out(branch.head(branch.tower(mixed)))
        return out.flatten(-2)


def _project(layers: Sequence[nn.Module], per_candidate: Tensor, per_request: Tensor) -> Tensor:
    weight = torch.cat([layer.get_parameter("weight") for layer in layers])
    bias = torch.cat([layer.get_parameter("bias") for layer in layers])
    own = per_candidate.shape[-1]
    common = F.linear(per_request, weight[:, own:], bias)
    return F.linear(per_candidate, weight[:, :own]) + common.unsqueeze(1)
