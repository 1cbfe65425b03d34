"""Memory: what a training will hold, estimated before it starts; refused where it will not do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn
from torch.optim import Optimizer

from sargraph.core.errors import TrainingError

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


def check_memory(needed: int, available: int | None = None, label: str = "training") -> None:
    """Raise TrainingError where the estimate is beyond what the machine has free now.

    `available` in bytes; None asks the machine, and a machine that cannot say refuses nothing.
    """
    available = available_bytes() if available is None else available
    if available is not None and needed > available:
        raise TrainingError(
            f"{label} needs about {needed / 2**30:.1f} GiB, got {available / 2**30:.1f} GiB free; "
            "lower batch_size, dim or the lengths of histories, or free memory"
        )


def available_bytes() -> int | None:
    """Memory that a new process could take without swapping; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    free = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return min([*free, *_group_limit()]) if free else None


def _group_limit() -> list[int]:
    """What the control group (a container) leaves, where there is a limit."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = int((folder / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return []
    return [] if limit == "max" else [max(int(limit) - used, 0)]


def _weights(optimiser: Optimizer) -> list[Tensor]:
    return [weight for group in optimiser.param_groups for weight in group["params"]]


def _sparse(part: nn.Module) -> list[Tensor]:
    is_sparse = isinstance(part, nn.Embedding | nn.EmbeddingBag) and part.sparse
    return list(part.parameters(recurse=False)) if is_sparse else []
