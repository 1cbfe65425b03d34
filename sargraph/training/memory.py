"""Memory: what a training will hold, estimated before it starts; refused where it will not do."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.optim import Optimizer

from sargraph.core.errors import TrainingError
from sargraph.core.memory import available_memory

_STATES = 2
"""Moments that Adam and its kin keep per weight."""


def training_bytes(model: nn.Module, optimisers: Sequence[Optimizer], step_bytes: int = 0) -> int:
    """Bytes that training holds at its height, on the device of the model.

    weights x (1 + 1 best copy + 1 gradient where it is dense + 2 optimiser moments) + step_bytes,
    where `step_bytes` is the caller's estimate of one step's activations. An estimate: allocators
    keep some more.
    """
    trained = {id(w) for optimiser in optimisers for w in _weights(optimiser)}
    sparse = {id(w) for part in model.modules() for w in _sparse(part)}
    total = step_bytes
    for weight in (*model.parameters(), *model.buffers()):
        copies = 2
        if id(weight) in trained:
            copies += _STATES + (id(weight) not in sparse)
        total += copies * weight.numel() * weight.element_size()
    return total


def check_memory(needed: int, available: float | None = None, label: str = "training") -> None:
    """Raise TrainingError where the estimate is beyond what is free now.

    `available` in bytes; None asks the machine (see `available_memory`).
    """
    available = available_memory() if available is None else available
    if needed > available:
        raise TrainingError(
            f"{label} needs about {needed / 2**30:.1f} GiB, got {available / 2**30:.1f} GiB free; "
            "lower batch_size, dim or the lengths of histories, or free memory"
        )


def _weights(optimiser: Optimizer) -> list[Tensor]:
    return [weight for group in optimiser.param_groups for weight in group["params"]]


def _sparse(part: nn.Module) -> list[Tensor]:
    is_sparse = isinstance(part, nn.Embedding | nn.EmbeddingBag) and part.sparse
    return list(part.parameters(recurse=False)) if is_sparse else []
