"""The quickstart: a planted world walked from raw logs to a finished report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sargraph.core.config import apply_overrides, parse_config
from sargraph.pipeline.config import RunConfig
from sargraph.pipeline.run import Outcome, run


def quickstart(
    out: Path, num_users: int, num_days: int, seed: int = 0, overrides: Sequence[str] = ()
) -> Outcome:
    """Simulate a platform and run the whole road on it; everything is kept in `out`.

    A few minutes on two cores for 1,000 users and 21 days.
    """
    data = apply_overrides(_settings(out.name, num_users, num_days, seed), overrides)
    return run(parse_config(RunConfig, data, "quickstart"), out.parent)


def _settings(name: str, num_users: int, num_days: int, seed: int) -> dict[str, Any]:
    """One setting of each kind that a newcomer would want to change; the rest are defaults."""
    return {
        "name": name,
        "title": "sargraph quickstart",
        "question": "A simulated platform with search and recommendation, from its raw logs to "
        "graph embeddings, a sequence model and similar users.",
        "seed": seed,
        "simulate": {"num_users": num_users, "num_days": num_days},
        "ingest": {"recipe": "synthetic"},
        "train": {"config": {"dim": 32, "num_epochs": 30, "validate_every": 5}},
        "fit": {"config": {"fit": {"num_epochs": 2}, "num_contrast": 256}},
        "evaluate": {"max_requests": 500, "validation_requests": 500,
                     "min_requests": 100, "min_users": 30},
    }  # fmt: skip
