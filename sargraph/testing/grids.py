"""A tiny grid for tests: two baselines and two trained models on a simulated log of seconds."""

from __future__ import annotations

import copy
import json
from typing import Any

from sargraph.core.config import parse_config
from sargraph.pipeline.grid.checks import check_grid
from sargraph.pipeline.grid.config import GridConfig

TINY: dict[str, Any] = {
    "name": "tiny",
    "title": "A tiny grid",
    "question": "Does it work?",
    "min_requests": 5,
    "min_users": 2,
    "validation_requests": 50,
    "data": {"world": {"recipe": "synthetic", "simulate": {"num_users": 40, "num_days": 6}}},
    "models": {
        "popularity": {"model": "popularity", "tasks": ["recommend"]},
        "term_match": {"model": "term_match", "tasks": ["search"], "label": "term match"},
        "uditsr": {"model": "uditsr", "config": {"dim": 8, "num_epochs": 3, "validate_every": 1}},
    },
    "protocols": [{"num_negatives": 20}, {"candidates": "full", "max_requests": 30}],
    "claims": {"baseline": {"recommend": "popularity", "search": "term_match"}},
}
UNISAR: dict[str, Any] = {
    "model": "unisar",
    "init": "uditsr",
    "tasks": ["recommend"],
    "config": {
        "num_contrast": 8,
        "model": {"dim": 8, "id_dim": 8, "max_rec": 4, "max_search": 4},
        "fit": {"num_epochs": 1},
    },
}


def tiny_grid(**changes: Any) -> GridConfig:
    """The tiny grid with some of its sections replaced. Raises ConfigError."""
    config = parse_config(GridConfig, {**copy.deepcopy(TINY), **changes}, "tiny")
    check_grid(config, "tiny")
    return config


def grid_toml(data: dict[str, Any]) -> str:
    """A grid's dictionary as the text of its file."""
    plain = {key: value for key, value in data.items() if not isinstance(value, dict | list)}
    lines = [f"{key} = {_inline(value)}" for key, value in plain.items()]
    for kind in ("data", "models"):
        for name, part in data[kind].items():
            lines += [f"[{kind}.{name}]", *_lines(part)]
    for protocol in data["protocols"]:
        lines += ["[[protocols]]", *_lines(protocol)]
    return "\n".join([*lines, "[claims]", *_lines(data["claims"]), ""])


def _lines(part: dict[str, Any]) -> list[str]:
    return [f"{key} = {_inline(value)}" for key, value in part.items()]


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(_lines(value)) + " }"
    return json.dumps(value)
