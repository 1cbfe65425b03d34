"""Refusal: figures that no correct evaluation can produce never leave the house."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from sargraph.core.errors import ImpossibleResultError
from sargraph.core.types import BoolArray, DoubleArray

_SLACK = 1e-9


def check_possible(figures: Mapping[str, float | DoubleArray], where: str = "results") -> None:
    """Refuse figures (metric name -> value or values) that break an identity of one target.

    0 <= value <= 1; NDCG@k <= HR@k; NDCG@1 = HR@1; HR@k and NDCG@k never fall as k grows.
    Figures that are NaN ("too few") and other names are passed over.
    Raises ImpossibleResultError.
    """
    values = {name.upper(): np.asarray(value, np.float64) for name, value in figures.items()}
    for name, value in values.items():
        if name.partition("@")[0] in ("HR", "NDCG", "MRR", "AUC"):
            _refuse((value < -_SLACK) | (value > 1 + _SLACK), name, value, "0 to 1", where)
    for family in ("HR", "NDCG"):
        cutoffs = sorted(int(n.partition("@")[2]) for n in values if n.startswith(f"{family}@"))
        for low, high in pairwise(cutoffs):
            smaller, larger = values[f"{family}@{low}"], values[f"{family}@{high}"]
            rule = f"at least {family}@{low} = {_show(smaller)}"
            _refuse(larger < smaller - _SLACK, f"{family}@{high}", larger, rule, where)
    for name, gain in values.items():
        hits = values.get(name.replace("NDCG@", "HR@"))
        if name.startswith("NDCG@") and hits is not None:
            rule = f"at most HR@{name[5:]} = {_show(hits)}"
            _refuse(gain > hits + _SLACK, name, gain, rule, where)
            if name == "NDCG@1":
                rule = f"HR@1 = {_show(hits)}"
                _refuse(np.abs(gain - hits) > _SLACK, name, gain, rule, where)


def _refuse(broken: BoolArray, name: str, value: DoubleArray, rule: str, where: str) -> None:
    """Raise where a rule is broken; NaN breaks none."""
    if np.any(broken):
        raise ImpossibleResultError(
            f"{where}: got {name} = {_show(value)}, expected {rule}; no correct evaluation gives "
            "this, so the figures are refused: look for a mistake in the metric or the file"
        )


def _show(value: DoubleArray) -> str:
    return f"{float(value):.6g}" if value.ndim == 0 else f"{len(value)} values"
