"""Tables of several trainings brought into one space, so that their rows may stand side by side.

The score of a pair in one training is an inner product <u, i>, which any rotation of all of that
training's tables leaves as it is: <uR, iR> = u R R^T i^T = <u, i>. So two trainings that learned
the same thing differ by such a rotation (and by noise), and rows of one mean nothing to rows of the
other until it is undone. For tables A (of the training at hand) and B (the reference), over the
rows that both learned, the rotation that brings them closest is the solution of the orthogonal
Procrustes problem

    R = argmin_{R^T R = I} |A R - B|_F^2 = argmax tr(R^T A^T B) = U V^T   for  A^T B = U S V^T

(Schoenemann, Psychometrika 1966). There is no centring and no scaling: a shift or a stretch would
change inner products and norms inside a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from sargraph.core.types import BoolArray, DoubleArray, FloatArray

Table: TypeAlias = FloatArray | DoubleArray


def rotation_onto(table: Table, reference: Table) -> DoubleArray:
    """The orthogonal R, float64 [dim, dim], that brings `table` [n, dim] closest to `reference`.

    Rows that one of them has not learned must be left out by the caller. Without rows, identity.
    Cost: O(n dim^2 + dim^3).
    """
    left, _, right = np.linalg.svd(table.astype(np.float64).T @ reference.astype(np.float64))
    return np.asarray(left @ right) if len(table) else np.eye(table.shape[1])


def aligned(
    tables: Sequence[dict[str, FloatArray]], learned: Sequence[BoolArray], by: str = "item"
) -> tuple[list[dict[str, FloatArray]], list[float]]:
    """All tables of each training rotated onto those of the first; and how well the rows agree.

    The rotation is found on the rows of `by` that this training and the first both learned
    (`learned`: bool [rows] per training) and applied to every kind. The second result is per
    training the share of the reference that the rotation leaves unexplained,
    |A R - B|_F / |B|_F: 0 = equal up to a rotation; sqrt(2) = nothing in common (equal norms).
    """
    first, found, residuals = tables[0], [], []
    for own, mask in zip(tables, learned, strict=True):
        both = mask & learned[0]
        here, there = own[by][both], first[by][both]
        rotation = rotation_onto(here, there)
        length = float(np.linalg.norm(there))
        gap = float(np.linalg.norm(here @ rotation - there)) / (length or 1.0)
        found.append({k: (v @ rotation).astype(np.float32) for k, v in own.items()})
        residuals.append(gap)
    return found, residuals


def mean_rows(tables: Sequence[Table], learned: Sequence[BoolArray]) -> FloatArray:
    """Mean of each row over the trainings that learned it (over all where none did).

    float32 [rows, dim]; a row that no graph touched would otherwise drag the mean to its start.
    """
    weight = np.stack(learned).astype(np.float64)
    weight[:, ~np.stack(learned).any(axis=0)] = 1.0
    total = sum(w[:, None] * t.astype(np.float64) for w, t in zip(weight, tables, strict=True))
    return np.asarray(total / weight.sum(axis=0)[:, None], dtype=np.float32)
