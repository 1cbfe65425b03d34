"""Refuse a table of figures: a file of somebody's results, or the expectations of an experiment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from sargraph.core.config import read_toml
from sargraph.core.errors import BadInputError
from sargraph.evaluation.refusal import check_nested, check_possible

_ROUND = 12
"""Decimals from which on a figure counts as not rounded."""

_NOT_KEYS = {"value", "tolerance", "published", "low", "high", "seed_low", "seed_high", "p"}


def check_table(
    table: pd.DataFrame | Path | str,
    where: str = "",
    *,
    num_candidates: int | None = None,
    same_requests: bool = False,
) -> int:
    """Refuse a table of figures that no correct evaluation can produce; returns the rows checked.

    A data frame, a CSV file or a TOML file with `[[figures]]`; wide (a column per metric, a row per
    result) or long (columns `metric` and `value`, the other texts say whose they are). Figures are
    taken to be rounded to as many decimals as the longest of them has. `num_candidates`: every
    target ranked among so many. `same_requests`: results that differ only in their column
    `candidates` are one model's on the same requests, so that the catalogue's (`all ...`) may not
    exceed the sampled (`1+99`). Raises ImpossibleResultError, and BadInputError for a table
    without a metric that is known.
    """
    frame = table if isinstance(table, pd.DataFrame) else _read(Path(table))
    where = where or ("table" if isinstance(table, pd.DataFrame) else str(table))
    rows = list(_rows(frame))
    if not any(figures for _, figures in rows):
        raise BadInputError(
            f"{where} has columns {[str(name) for name in frame.columns]}, expected one per metric "
            "(such as HR@10), or 'metric' and 'value'"
        )
    slack = _rounding([value for _, figures in rows for value in figures.values()])
    for labels, figures in rows:
        name = ", ".join([where, *labels.values()])
        check_possible(figures, name, num_candidates=num_candidates, slack=slack)
    if same_requests:
        _check_all_nested(rows, where, slack)
    return len(rows)


Labelled = tuple[dict[str, str], dict[str, float]]


def _read(path: Path) -> pd.DataFrame:
    """A CSV or TOML file as a frame. Raises BadInputError."""
    if path.suffix == ".toml":
        return pd.DataFrame(read_toml(path).get("figures", []))
    try:
        return pd.read_csv(path, sep=None, engine="python")
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise BadInputError(f"{path} is no readable table ({error}); give CSV or TOML") from None


def _rows(frame: pd.DataFrame) -> Iterator[Labelled]:
    """Labels and figures of each result."""
    if {"metric", "value"} <= set(frame.columns):
        texts = [name for name in _texts(frame) if name != "metric"]
        groups = frame.groupby(texts, sort=False, dropna=False) if texts else [((), frame)]
        for key, part in groups:
            labels = dict(zip(texts, map(str, key), strict=True))
            named = zip(part["metric"].astype(str), part["value"].astype(float), strict=True)
            yield labels, {name: value for name, value in named if family_of(name)[0]}
        return
    metrics = [str(name) for name in frame.columns if family_of(str(name))[0]]
    for _, row in frame.iterrows():
        labels = {name: str(row[name]) for name in _texts(frame)}
        yield labels, {name: float(row[name]) for name in metrics}


def _texts(frame: pd.DataFrame) -> list[str]:
    """Columns that say whose the figures are."""
    return [
        str(name)
        for name, column in frame.items()
        if column.dtype.kind not in "f" and name not in _NOT_KEYS
    ]


def _check_all_nested(rows: list[Labelled], where: str, slack: float) -> None:
    """Hold every result over the catalogue against the sampled ones with the same other labels."""
    for labels, full in rows:
        if not labels.get("candidates", "").startswith("all"):
            continue
        for others, sampled in rows:
            is_sampled = re.match(r"1\+\d", others.get("candidates", "")) is not None
            if is_sampled and {**others, "candidates": labels["candidates"]} == labels:
                name = ", ".join([where, *labels.values()])
                check_nested(sampled, full, name, slack=2 * slack)


def _rounding(values: list[float]) -> float:
    """Half a unit of the last decimal of the figure with the most decimals, which are 1 or more.

    A table of nothing but 0 and 1 holds shares that are exact, not ones rounded to whole numbers.
    """
    finite = [value for value in values if np.isfinite(value)]
    texts = [np.format_float_positional(value, trim="-").partition(".")[2] for value in finite]
    decimals = min(max(1, *map(len, texts)) if texts else _ROUND, _ROUND)
    return 0.5000001 * 10.0**-decimals + 1e-12
