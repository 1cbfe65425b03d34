"""What a stored training says of its end, and whether it may go on where there is more time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sargraph.core.artifact import Manifest
from sargraph.pipeline.grid.config import GridConfig
from sargraph.pipeline.grid.kinds import kind_of


def time_limit(config: GridConfig, model: str) -> float:
    """Most seconds that a training may take: those of its cell, or fewer by its own settings."""
    settings = config.models[model].config
    if kind_of(config.models[model].model) == "sequence":
        settings = settings.get("fit", {})
    return min(config.seconds(model), settings.get("max_seconds") or float("inf"))


def training_of(path: Path, manifest: Manifest) -> dict[str, Any]:
    """How a saved model's training went: epochs, losses, best, why it stopped, seconds, limit."""
    about = manifest.config
    is_embedding = manifest.kind == "embeddings"
    outcome = about["report"] if is_embedding else about["fitted"]
    settings = about["training"] if is_embedding else about["training"].get("fit", {})
    history = json.loads((path / "history.json").read_text(encoding="utf-8"))
    losses = [entry["loss"] for entry in history] or [float("nan")]
    names = ("best_epoch", "best_score", "stopped", "seconds")
    return {
        "epochs": len(history),
        "first_loss": losses[0],
        "last_loss": losses[-1],
        **{name: outcome.get(name) for name in names},
        "max_seconds": settings.get("max_seconds"),
    }


def is_cut_short(training: dict[str, Any], config: GridConfig, model: str) -> bool:
    """True where time ended this training, or one that it rests on, and there is more time now."""
    limit = training.get("max_seconds") or 0
    if training.get("stopped") == "time" and time_limit(config, model) > limit:
        return True
    part = config.models[model]
    others = (("start", part.init), ("added", part.add))
    return any(
        other and is_cut_short(training.get(key, {}), config, other) for key, other in others
    )


def time_note(training: dict[str, Any]) -> str:
    """A line for a reader where time ended a training, or one that it rests on; else empty."""
    if training.get("stopped") == "time":
        return f"training stopped by its {(training.get('max_seconds') or 0) / 60:g} minutes"
    for key, what in (("start", "started from embeddings"), ("added", "adds a model")):
        note = time_note(training[key]) if key in training else ""
        if note:
            return f"{what} whose {note}"
    return ""
