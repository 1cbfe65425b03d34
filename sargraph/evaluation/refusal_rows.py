"""Whose each figure of a table is: its rows as results with labels, for `check_table`."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sargraph.core.errors import BadInputError, nearest
from sargraph.evaluation.refusal import family_of

KEYS = (
    "arm", "candidates", "data", "data set", "method", "model", "part", "protocol", "seed", "slice",
    "split", "task",
)  # fmt: skip
"""Columns that say whose a figure is, unless the caller names them; case, spaces and `_` do not
matter."""

_NO_FIGURE = {"", "-", "--", "\N{EN DASH}", "\N{EM DASH}", "nan", "none", "n/a", "na", "too few"}
_NAME_THEM = "name the columns that tell the results apart, as in keys=['model', 'seed']"


@dataclass(frozen=True)
class Labelled:
    """One result of a table: how a message calls it, its candidates ("" = not said), the texts of
    its other keys, and its figures by metric, NaN = none."""

    name: str
    candidates: str
    others: tuple[str, ...]
    figures: dict[str, float]


def labelled_rows(
    table: pd.DataFrame, where: str, keys: Sequence[str] | None, *, apart: bool = False
) -> list[Labelled]:
    """The results of a wide or long table; the other metrics of a long one are passed over.

    `apart`: `candidates` is a key in any case, and no two rows have the same keys. Raises
    BadInputError: no known metric, a cell that is no number, unknown keys, keys that leave one
    figure with two values.
    """
    frame = table.rename(columns=str)
    names = frame.columns.tolist()
    if len(set(names)) < len(names):
        raise BadInputError(f"{where} has columns {names}, expected each once; rename some")
    is_long = {"metric", "value"} <= set(names)
    metrics = ["metric", "value"] if is_long else [n for n in names if family_of(n)[0]]
    key_columns = _key_columns([n for n in names if n not in metrics], where, keys, apart)
    rows = frame.to_dict("records")
    if is_long:
        rows = [row for row in rows if family_of(str(row["metric"]))[0]]
    if not rows or not metrics:
        raise BadInputError(
            f"{where} has columns {names}, expected one per metric (such as HR@10), or 'metric' "
            "and 'value'"
        )
    named = [({column: str(row[column]) for column in key_columns}, row) for row in rows]
    return _long(named, where, names) if is_long else _wide(named, where, metrics, apart)


def _key_columns(
    names: Sequence[str], where: str, keys: Sequence[str] | None, apart: bool
) -> list[str]:
    """The columns among `names` that say whose a figure is, in their order."""
    for key in keys or ():
        if key not in names:
            raise BadInputError(
                f"{where}: got key '{key}', expected columns that hold no figures; "
                f"{nearest(key, names)}"
            )
    known = {_plain(key) for key in KEYS} if keys is None else set()
    known |= {"candidates"} if apart else set()
    return [name for name in names if name in (keys or ()) or _plain(name) in known]


def _wide(
    named: Sequence[tuple[dict[str, str], dict[Hashable, Any]]],
    where: str,
    metrics: Sequence[str],
    apart: bool,
) -> list[Labelled]:
    rows: list[Labelled] = []
    met = set()
    for number, (labels, row) in enumerate(named, start=1):
        name = ", ".join([where, *(labels.values() or [f"row {number}"])])
        figures = {metric: _number(row[metric], f"{name}: got {metric}") for metric in metrics}
        if apart and tuple(labels.values()) in met:
            raise BadInputError(
                f"{name}: got two rows of the keys {list(labels)}, expected one; {_NAME_THEM}"
            )
        met.add(tuple(labels.values()))
        rows.append(_labelled(name, labels, figures))
    return rows


def _long(
    named: Sequence[tuple[dict[str, str], dict[Hashable, Any]]], where: str, columns: Sequence[str]
) -> list[Labelled]:
    found: dict[tuple[str, ...], Labelled] = {}
    for labels, row in named:
        name, metric = ", ".join([where, *labels.values()]), str(row["metric"]).strip()
        value = _number(row["value"], f"{name}: got {metric}")
        result = found.setdefault(tuple(labels.values()), _labelled(name, labels, {}))
        if metric in result.figures:
            raise BadInputError(
                f"{name}: got {metric} twice ({result.figures[metric]:g} and {value:g}) for the "
                f"keys {list(labels)}, expected once; {_NAME_THEM} (columns: {list(columns)})"
            )
        result.figures[metric] = value
    return list(found.values())


def _labelled(name: str, labels: Mapping[str, str], figures: dict[str, float]) -> Labelled:
    candidates = "".join(text for key, text in labels.items() if _plain(key) == "candidates")
    others = tuple(text for key, text in labels.items() if _plain(key) != "candidates")
    return Labelled(name, candidates, others, figures)


def _plain(name: str) -> str:
    return re.sub(r"[ _-]", "", name).lower()


def _number(cell: Any, what: str) -> float:
    """A cell as a figure, NaN where it holds none. Raises BadInputError."""
    if cell is None or cell is pd.NA or str(cell).strip().lower() in _NO_FIGURE:
        return float("nan")
    try:
        return float(cell)
    except (TypeError, ValueError):
        raise BadInputError(
            f"{what} = {cell!r}, expected a number such as 0.31; write '-' where there is none"
        ) from None
