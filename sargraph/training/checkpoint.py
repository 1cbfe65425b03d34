"""Checkpoints: one safetensors file with everything an interrupted training needs to go on.

Weights, best weights and optimiser states are its tensors; history, scalars and the fingerprint of
the run are JSON in its header. It is written beside its place, synced and renamed, so that an
interruption at any moment leaves the previous checkpoint whole.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from sargraph.core.errors import ArtifactError

FORMAT = "sargraph-checkpoint-1"


@dataclass
class TrainingState:
    """How far a training has come.

    `history` holds one entry per finished epoch. `best` holds the weights of the epoch that scored
    best; while nothing was validated it is empty, `best_epoch` 0 and `best_score` None.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    best_score: float | None = None
    best: dict[str, Tensor] = field(default_factory=dict)


def save_checkpoint(
    path: Path | str,
    model: nn.Module,
    optimisers: Sequence[Optimizer],
    state: TrainingState,
    fingerprint: str = "",
) -> None:
    """Write the checkpoint whole or not at all.

    `fingerprint` names the run (a hash of its configuration and parents): only a run with the same
    one may go on from here. Cost: weights, best weights and optimiser states, written and synced.
    """
    tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"best/{name}": value for name, value in state.best.items()}
    counters: dict[str, float] = {}
    for number, optimiser in enumerate(optimisers):
        for parameter, values in optimiser.state_dict()["state"].items():
            for name, value in values.items():
                key = f"optimiser/{number}/{parameter}/{name}"
                (tensors if isinstance(value, Tensor) else counters)[key] = value
    about = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "history": state.history,
        "best_epoch": state.best_epoch,
        "best_score": state.best_score,
        "optimisers": [optimiser.state_dict()["param_groups"] for optimiser in optimisers],
        "counters": counters,
    }
    _write_whole(Path(path), tensors, json.dumps(about))


def load_checkpoint(
    path: Path | str, model: nn.Module, optimisers: Sequence[Optimizer], fingerprint: str = ""
) -> TrainingState:
    """Put model and optimisers back to where the checkpoint was written.

    Raises ArtifactError when the file is missing, damaged or cut short, was written by a run with
    another fingerprint, or does not fit the model or the optimisers.
    """
    tensors, about = _read(Path(path))
    if about["fingerprint"] != fingerprint:
        raise ArtifactError(
            f"{path} was written by a run with another configuration or other data "
            f"(fingerprint {about['fingerprint'][:12]!r}, expected {fingerprint[:12]!r}); "
            "start without resuming, or give the configuration and data it was started with"
        )
    try:
        model.load_state_dict(_under(tensors, "model/"))
        for number, (optimiser, groups) in enumerate(
            zip(optimisers, about["optimisers"], strict=True)
        ):
            prefix = f"optimiser/{number}/"
            state = _nested({**_under(tensors, prefix), **_under(about["counters"], prefix)})
            optimiser.load_state_dict({"state": state, "param_groups": groups})
    except (RuntimeError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise ArtifactError(f"{path} does not fit this model ({reason}); start anew") from None
    return TrainingState(
        about["history"], about["best_epoch"], about["best_score"], _under(tensors, "best/")
    )


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if not path.is_file():
        raise ArtifactError(f"no checkpoint at {path}; start without resuming")
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("about", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as error:
        raise ArtifactError(
            f"checkpoint {path} is damaged or cut short ({error}); remove it and start anew"
        ) from None
    if about.get("format") != FORMAT:
        raise ArtifactError(
            f"{path} is no checkpoint of this version (format {about.get('format')!r}, expected "
            f"{FORMAT!r}); remove it and start anew"
        )
    return tensors, about


def _under(named: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {key.removeprefix(prefix): v for key, v in named.items() if key.startswith(prefix)}


def _nested(flat: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """Optimiser state by parameter number, from keys like "3/exp_avg"."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in flat.items():
        parameter, _, name = key.partition("/")
        state.setdefault(int(parameter), {})[name] = value
    return state


def _write_whole(path: Path, tensors: Mapping[str, Tensor], about: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    draft = Path(name)
    try:
        arrays = {key: value.detach().cpu().contiguous().numpy() for key, value in tensors.items()}
        save_file(arrays, draft, metadata={"about": about})
        _sync(draft)
        draft.replace(path)
        _sync(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy_of_weights(model: nn.Module) -> dict[str, Tensor]:
    """The model's weights and buffers, detached from it."""
    return {name: torch.clone(value.detach()) for name, value in model.state_dict().items()}
