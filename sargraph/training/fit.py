"""The training loop: epochs, validation, patience, time budget, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer

from sargraph.core.config import Config
from sargraph.core.errors import BadInputError, TrainingError
from sargraph.core.progress import progress
from sargraph.core.rng import seed_torch, torch_generator
from sargraph.training.board import Board
from sargraph.training.checkpoint import (
    TrainingState,
    copy_of_weights,
    load_checkpoint,
    save_checkpoint,
)
from sargraph.training.memory import check_memory, training_bytes

Batches = Callable[[int, torch.Generator], Iterable[Any]]
Step = Callable[[Any], dict[str, Tensor]]
Stop = Literal["patience", "epochs", "time"]


class FitConfig(Config):
    """How long to train and when to stop."""

    num_epochs: int = Field(default=50, ge=1)
    """Most epochs."""
    patience: int = Field(default=5, ge=1)
    """Validations in a row without a new best after which training stops."""
    validate_every: int = Field(default=1, ge=1)
    """Epochs between validations."""
    max_seconds: float | None = Field(default=None, gt=0)
    """Time budget, resumed parts included; no epoch starts that would end after it by estimate."""
    clip_norm: float | None = Field(default=None, gt=0)
    """Largest norm of all gradients together; longer ones are scaled down to it."""
    keep: Literal["best", "last"] = "best"
    """Which weights the model ends with; the checkpoint holds both."""
    tensorboard: str | None = None
    """Folder for TensorBoard curves, if the package is installed; none without it."""


@dataclass(frozen=True)
class FitResult:
    """What happened in training.

    `history` has per epoch: `epoch` (from 1), `loss` (mean over steps), `parts` (means of the other
    logged values), `score` (None where not validated), `seconds` and `cpu_seconds`. Without
    validation `best_epoch` is the last epoch and `best_score` None.
    """

    history: list[dict[str, Any]]
    best_epoch: int
    best_score: float | None
    stopped: Stop

    @property
    def seconds(self) -> float:
        """Seconds over all epochs, validation included."""
        return float(sum(entry["seconds"] for entry in self.history))

    @property
    def cpu_seconds(self) -> float:
        """Processor seconds of this process over all epochs, validation included."""
        return float(sum(entry["cpu_seconds"] for entry in self.history))


def fit(
    model: nn.Module,
    optimisers: Sequence[Optimizer],
    batches: Batches,
    step: Step,
    *,
    config: FitConfig,
    seed: int,
    validate: Callable[[], float] | None = None,
    checkpoint: Path | str | None = None,
    resume: bool = False,
    label: str = "training",
    fingerprint: str = "",
    step_bytes: int = 0,
) -> FitResult:
    """Train `model` until it stops getting better, and leave it with its best weights.

    `batches(epoch, generator)` yields the batches of an epoch (from 1); `step(batch)` returns
    "loss" and, if it likes, other scalars to log. The loop owns train and eval mode, gradients and
    the optimisers. `validate()` returns a score, higher is better; without it the last weights
    stay. The generator and torch's own randomness start afresh in each epoch from (seed, epoch),
    so that with `resume` an interrupted run goes on bit for bit (on a CPU) from the last full epoch
    in the file `checkpoint`; where there is no such file yet, training starts at the beginning.
    `step_bytes` is the caller's estimate of one step's activations, for the check of memory.

    Raises TrainingError when a loss, gradient norm, weight or score is not finite, or when memory
    would not do (before a checkpoint is read or a step taken), BadInputError
    for an epoch without batches, ArtifactError when the checkpoint is damaged or was written under
    another `fingerprint`.
    """
    if next(model.parameters()).device.type == "cpu":
        # Asked before loading, which takes the moments and best weights that the estimate holds.
        check_memory(training_bytes(model, optimisers, step_bytes), label=label)
    state = TrainingState()
    if resume and checkpoint is not None and Path(checkpoint).is_file():
        state = load_checkpoint(checkpoint, model, optimisers, fingerprint)
    done = len(state.history)
    with torch.random.fork_rng(), Board(config.tensorboard) as board:
        for epoch in progress(range(done + 1, config.num_epochs + 1), label):
            if _stop(state, config) is not None:
                break
            started = time.perf_counter(), time.process_time()
            seed_torch(seed, "fit", str(epoch))
            todo = batches(epoch, torch_generator(seed, "batches", str(epoch)))
            losses = _epoch(model, optimisers, todo, step, config)
            score = _score(model, validate, epoch, config)
            spent = time.perf_counter() - started[0], time.process_time() - started[1]
            _record(state, model, epoch, losses, score, spent)
            board.write(state.history[-1])
            if checkpoint is not None:
                save_checkpoint(checkpoint, model, optimisers, state, fingerprint)
    if state.best and config.keep == "best":
        model.load_state_dict(state.best)
    model.eval()
    best_epoch = state.best_epoch or len(state.history)
    return FitResult(state.history, best_epoch, state.best_score, _stop(state, config) or "epochs")


def _epoch(
    model: nn.Module,
    optimisers: Sequence[Optimizer],
    batches: Iterable[Any],
    step: Step,
    config: FitConfig,
) -> dict[str, float]:
    """One pass over the batches; the mean of every logged value."""
    model.train()
    sums: dict[str, float] = {}
    steps = 0
    for steps, batch in enumerate(batches, start=1):
        for optimiser in optimisers:
            optimiser.zero_grad(set_to_none=True)
        logged = step(batch)
        for name, value in logged.items():
            sums[name] = sums.get(name, 0.0) + _finite(name, float(value.detach()), steps)
        logged["loss"].backward()
        if config.clip_norm is not None:
            _finite("gradient norm", clip_gradients(model.parameters(), config.clip_norm), steps)
        for optimiser in optimisers:
            optimiser.step()
        del logged  # with it goes the graph, whose memory the next step takes
    if steps == 0:
        raise BadInputError("got an epoch without batches; give data to train on")
    _check_weights(model, steps)
    return {name: total / steps for name, total in sums.items()}


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float) -> float:
    """Scale all gradients together so that their norm is at most `max_norm`; returns the old norm.

    Sparse gradients are counted by their values.
    """
    values = []
    for parameter in parameters:
        if parameter.grad is None:
            continue
        if parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()
        values.append(parameter.grad.values() if parameter.grad.is_sparse else parameter.grad)
    norm = float(torch.stack([value.norm() for value in values]).norm()) if values else 0.0
    if norm > max_norm:
        for value in values:
            value.mul_(max_norm / norm)
    return norm


def _check_weights(model: nn.Module, step: int) -> None:
    """A finite loss can still have a gradient that is not; no checkpoint may hold its effect."""
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            _finite(f"weight {name}", math.nan, step)


def _finite(name: str, value: float, step: int) -> float:
    if not math.isfinite(value):
        raise TrainingError(
            f"{name} became {value} at step {step} of the epoch, expected a finite number; "
            "lower learning_rate or set fit.clip_norm"
        )
    return value


def _score(
    model: nn.Module, validate: Callable[[], float] | None, epoch: int, config: FitConfig
) -> float | None:
    if validate is None or (epoch % config.validate_every and epoch != config.num_epochs):
        return None
    model.eval()
    with torch.no_grad():
        score = float(validate())
    if not math.isfinite(score):
        raise TrainingError(f"validation of epoch {epoch} gave {score}, expected a finite number")
    return score


def _record(
    state: TrainingState,
    model: nn.Module,
    epoch: int,
    losses: dict[str, float],
    score: float | None,
    spent: tuple[float, float],
) -> None:
    """Append the epoch to the history and keep the weights where they are the best so far."""
    parts = {name: value for name, value in losses.items() if name != "loss"}
    entry = {"epoch": epoch, "loss": losses["loss"], "parts": parts}
    state.history.append({**entry, "score": score,
                          "seconds": spent[0], "cpu_seconds": spent[1]})  # fmt: skip
    if score is not None and (state.best_score is None or score > state.best_score):
        state.best_epoch, state.best_score = epoch, score
        state.best = copy_of_weights(model)


def _stop(state: TrainingState, config: FitConfig) -> Stop | None:
    """Why training must stop now, if it must."""
    history = state.history
    if len(history) >= config.num_epochs:
        return "epochs"
    since_best = [e for e in history[state.best_epoch :] if e["score"] is not None]
    if state.best_epoch and len(since_best) >= config.patience:
        return "patience"
    if config.max_seconds is None or not history:
        return None
    used = sum(entry["seconds"] for entry in history)
    estimate = max(entry["seconds"] for entry in history[-3:])
    return "time" if used + estimate > config.max_seconds else None
