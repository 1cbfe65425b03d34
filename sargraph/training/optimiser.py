"""Adam for large tables: a row that a step does not touch does not move."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class RowAdam(Optimizer):
    """Adam that updates, per step, only the rows of a table that have a gradient.

    Per touched row, t counting its own updates: m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
    w = (1 - lr weight_decay) w - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps).
    Where every row is touched in every step this is AdamW exactly. Dense Adam goes on moving
    untouched rows by their old momentum and, with coupled L2, by about lr per step whatever their
    size, which wipes out rare rows. Takes sparse gradients and dense ones (a row of zeros counts
    as untouched). Cost: O(touched rows * dim), plus one scan of a dense gradient.
    Source: Kingma and Ba, Adam (ICLR 2015); Loshchilov and Hutter, AdamW (ICLR 2019).
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update the touched rows of every table."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None:
                    rows, gradient = touched_rows(table.grad)
                    self._update(table, rows, gradient, group)
        return loss

    def _update(self, table: Tensor, rows: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[table]
        if not state:
            state["exp_avg"] = torch.zeros_like(table)
            state["exp_avg_sq"] = torch.zeros_like(table)
            state["row_steps"] = table.new_zeros(len(table))
        first, second = group["betas"]
        steps = state["row_steps"][rows] + 1
        mean = state["exp_avg"][rows].lerp_(gradient, 1 - first)
        square = state["exp_avg_sq"][rows].mul_(second)
        square.addcmul_(gradient, gradient, value=1 - second)
        state["row_steps"][rows] = steps
        state["exp_avg"][rows] = mean
        state["exp_avg_sq"][rows] = square
        steps = steps.view(-1, *[1] * (table.dim() - 1))
        scale = (square / (1 - second**steps)).sqrt_().add_(group["eps"])
        move = mean.div_(1 - first**steps).div_(scale)
        kept = table[rows].mul_(1 - group["lr"] * group["weight_decay"])
        table[rows] = kept.sub_(move, alpha=group["lr"])


def touched_rows(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of a (sparse or dense) gradient that are not all zero, and their values."""
    if gradient.is_sparse:
        gradient = gradient.coalesce()
        rows, values = gradient.indices()[0], gradient.values()
        touched = (values != 0).flatten(1).any(1)
        return rows[touched], values[touched]
    rows = (gradient != 0).flatten(1).any(1).nonzero().flatten()
    return rows, gradient[rows]
