"""The audit of modules: every weight is registered, reached by the loss, and moved by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

NOISE = 1e-10
"""A gradient smaller than this share of the largest one is rounding, not learning (in float64)."""


def assert_every_parameter_trains(
    module: nn.Module,
    loss: Tensor | Callable[[], Tensor],
    excused: Mapping[str, str] | None = None,
    *,
    noise: float = NOISE,
) -> None:
    """Every named parameter gets a finite gradient that is not zero from one batch's loss.

    `loss` is the loss of one batch, or what computes it. `excused` maps parameter names to the
    reason why the loss does not reach them; an excused parameter that does train is an error too,
    so that the list stays true. A gradient below `noise` times the largest entry of all gradients
    counts as zero: a bias in front of a softmax gets rounding errors. Give a module in float64
    (`module.double()`), or a larger `noise`. Modules and parameters in plain lists, tuples, sets,
    dictionaries or dataclasses, which `named_parameters` cannot see, are errors.
    Raises AssertionError with the names.
    """
    reasons = dict(excused or {})
    hidden = list(unregistered(module))
    if hidden:
        raise AssertionError(f"not registered as part of the module: {hidden}; use nn.ModuleList")
    named = dict(module.named_parameters())
    unknown = sorted(set(reasons) - set(named))
    if unknown:
        raise AssertionError(f"excused parameters that do not exist: {unknown}")
    sizes = _gradient_sizes(module, loss)
    if not all(torch.isfinite(torch.tensor(list(sizes.values())))):
        bad = [name for name, size in sizes.items() if not size < float("inf")]
        raise AssertionError(f"gradients that are not finite: {bad}")
    least = noise * max(sizes.values(), default=0.0)
    dead = [name for name, size in sizes.items() if size <= least and name not in reasons]
    if dead:
        raise AssertionError(f"parameters that the loss does not train: {dead}")
    alive = [name for name in reasons if sizes[name] > least]
    if alive:
        raise AssertionError(f"excused, but trained by the loss: {alive}; take them off the list")


def _gradient_sizes(module: nn.Module, loss: Tensor | Callable[[], Tensor]) -> dict[str, float]:
    """The largest absolute entry of each parameter's gradient; 0 where there is none."""
    module.zero_grad(set_to_none=True)
    (loss if isinstance(loss, Tensor) else loss()).backward()  # type: ignore[no-untyped-call]
    sizes = {}
    for name, weight in module.named_parameters():
        gradient = weight.grad
        if gradient is not None and gradient.is_sparse:
            gradient = gradient.coalesce().values()
        known = gradient is not None and gradient.numel() > 0
        sizes[name] = float(gradient.abs().max()) if known and gradient is not None else 0.0
    module.zero_grad(set_to_none=True)
    return sizes


def unregistered(module: nn.Module) -> Iterator[str]:
    """Attributes that hold modules or parameters where `named_parameters` does not look."""
    known = {id(part) for part in module.modules()} | {id(p) for p in module.parameters()}
    for name, part in module.named_modules():
        for attribute, value in vars(part).items():
            if attribute not in ("_modules", "_parameters", "_buffers"):
                for path in _outside(value, known, set()):
                    yield f"{name}.{attribute}{path}".removeprefix(".")


def _outside(value: Any, known: set[int], visited: set[int]) -> Iterator[str]:
    """Paths below a value to modules and parameters that are not known."""
    if id(value) in visited:
        return
    visited.add(id(value))
    if isinstance(value, nn.Module | nn.Parameter):
        if id(value) not in known:
            yield ""
        return
    for key, member in _members(value):
        for path in _outside(member, known, visited):
            yield f"{key}{path}"


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((f"[{key!r}]", member) for key, member in value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((f"[{place}]", member) for place, member in enumerate(value))
    elif is_dataclass(value) and not isinstance(value, type):
        yield from ((f".{field.name}", getattr(value, field.name)) for field in fields(value))
