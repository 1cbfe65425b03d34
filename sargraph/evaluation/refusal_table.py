"""Refuse a table of figures: a file of somebody's results, or the expectations of an experiment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from sargraph.core.config import read_toml
from sargraph.core.errors import BadInputError
from sargraph.evaluation.refusal import check_nested, check_possible
from sargraph.evaluation.refusal_rows import Labelled, labelled_rows

_ROUND = 12
"""Decimals from which on a figure counts as not rounded."""


def check_table(
    table: pd.DataFrame | Path | str,
    where: str = "",
    *,
    keys: Sequence[str] | None = None,
    num_candidates: int | None = None,
    same_requests: bool = False,
) -> int:
    """Refuse a table of figures that no correct evaluation can produce; returns the rows checked.

    A data frame, a CSV file or a TOML file with `[[figures]]`; wide (a column per metric, a row per
    result) or long (columns `metric` and `value`). `keys` names the columns that say whose a figure
    is, by default those of `refusal_rows.KEYS`; figures with the same keys are one result, whatever
    the other columns (notes, numbers of users) hold. Cells such as "too few" and "-" are no
    figures; others are taken to be rounded to as many decimals as the longest of them has.
    `num_candidates`: every target ranked among so many. `same_requests`: results that differ only
    in their column `candidates` are one model's on the same requests, so that the catalogue's
    (`all ...`) may not exceed the sampled (`1+99`).
    Raises ImpossibleResultError, and BadInputError for a table without a metric that is known, a
    cell that is no number, a key that is no column, or keys that leave one figure with two values.
    """
    frame = table if isinstance(table, pd.DataFrame) else _read(Path(table))
    where = where or ("table" if isinstance(table, pd.DataFrame) else str(table))
    rows = labelled_rows(frame, where, keys, apart=same_requests)
    slack = _rounding([value for row in rows for value in row.figures.values()])
    for row in rows:
        check_possible(row.figures, row.name, num_candidates=num_candidates, slack=slack)
    if same_requests:
        for sampled, full in _nested_pairs(rows):
            check_nested(sampled.figures, full.figures, full.name, slack=2 * slack)
    return len(rows)


def _read(path: Path) -> pd.DataFrame:
    """A CSV or TOML file as a frame. Raises BadInputError."""
    if path.suffix == ".toml":
        return pd.DataFrame(read_toml(path).get("figures", []))
    try:
        return pd.read_csv(path, sep=None, engine="python")
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise BadInputError(f"{path} is no readable table ({error}); give CSV or TOML") from None


def _nested_pairs(rows: Sequence[Labelled]) -> Iterator[tuple[Labelled, Labelled]]:
    """Each result over sampled candidates with that over the catalogue of the same other keys."""
    for full in rows:
        if not full.candidates.startswith("all"):
            continue
        for sampled in rows:
            is_sampled = re.match(r"1\+\d", sampled.candidates) is not None
            if is_sampled and sampled.others == full.others:
                yield sampled, full


def _rounding(values: list[float]) -> float:
    """Half a unit of the last decimal of the figure with the most decimals, which are 1 or more.

    A table of nothing but 0 and 1 holds shares that are exact, not ones rounded to whole numbers.
    """
    finite = [value for value in values if np.isfinite(value)]
    texts = [np.format_float_positional(value, trim="-").partition(".")[2] for value in finite]
    decimals = min(max(1, *map(len, texts)) if texts else _ROUND, _ROUND)
    return 0.5000001 * 10.0**-decimals + 1e-12
