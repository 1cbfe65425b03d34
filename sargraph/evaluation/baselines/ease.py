"""EASE: a linear model over items in closed form."""

from __future__ import annotations

import numpy as np
from pydantic import Field
from scipy.linalg.lapack import dpotrf, dpotri

from sargraph.core.config import Config
from sargraph.core.errors import BadInputError
from sargraph.core.memory import available_memory, readable_bytes, readable_seconds
from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, DoubleArray, FloatArray, IntArray
from sargraph.evaluation.baselines.blocks import blocks, masked
from sargraph.evaluation.baselines.choices import (
    ChosenBefore,
    Source,
    choice_counts,
    chosen_rows,
)
from sargraph.evaluation.term_matrix import Sparse, binary
from sargraph.events.events import Events
from sargraph.events.split import Split

_BLOCK_ROWS = 256
_BYTES_PER_CELL = 12
"""Eight for the matrix that is inverted in place, four for the weights that are kept."""
_OPERATIONS_PER_SECOND = 2e10
"""What one core inverts by; only the estimate of time rests on it."""


class EASEConfig(Config):
    """Settings of EASE."""

    regularisation: float = Field(250.0, gt=0)
    """Added to the diagonal of the item-item matrix (lambda of the paper)."""
    source: Source = "both"
    """Where the choices were made, in training and in histories."""
    max_history: int | None = Field(None, ge=1)
    """Latest events of a history that are read; none = all."""
    max_memory: float | None = Field(None, gt=0)
    """Bytes that fitting may take; none = half of what is available."""


class EASE:
    """score(i) = sum over items j of the history of B_ji.

    B = argmin |X - X B|^2 + lambda |B|^2 with a diagonal of zeros: with P = (X^T X + lambda I)^-1,
    B_ji = -P_ji / P_ii for j != i. X bool [users, items] holds the training choices. Items that
    nobody chose in training have neither row nor column (their scores are 0, and all are where
    nothing was chosen), so that A, the number of items chosen, sets the price: 12 A^2 bytes and
    about A^3 multiply-adds.

    Raises BadInputError before any of this is spent where it does not fit into `max_memory`.
    Source: Steck, Embarrassingly Shallow Autoencoders for Sparse Data (WWW 2019).
    """

    name = "EASE"

    def __init__(self, events: Events, split: Split, config: EASEConfig | None = None) -> None:
        self.config = config = config or EASEConfig()
        rows = chosen_rows(events, split.is_train, config.source)
        active = np.unique(events.item[rows])
        check_size(len(active), config.max_memory)
        choices = binary(choice_counts(events, split.is_train, config.source))[:, active]
        self._weights = ease_weights(choices, config.regularisation)
        self._active = active
        self._place = np.full(len(events.items) + 1, NO_ROW, dtype=np.int64)
        self._place[active] = np.arange(len(active))
        self._before = ChosenBefore(events, split, config.source, config.max_history)

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Sums of weights from the history, float32 [n, c]; 0 without a history.

        Cost: items chosen in training for each event of a history.
        """
        scores = np.zeros(candidates.shape)
        if len(self._active) == 0:
            return masked(scores, candidates)
        place, everything = self._place[candidates], np.arange(len(requests))
        for block in blocks(len(requests), len(self._active)):
            asked = requests.take(everything[block])
            history = self._before.items(asked)[:, self._active].astype(np.float32)
            found = np.asarray(history @ self._weights)
            at = np.maximum(place[block], 0)
            values = np.take_along_axis(found, at, axis=1)
            scores[block] = np.where(place[block] == NO_ROW, 0.0, values)
        return masked(scores, candidates)


def check_size(num_items: int, max_memory: float | None) -> None:
    """Raise BadInputError where fitting EASE on so many items does not fit into memory."""
    limit = available_memory() / 2 if max_memory is None else max_memory
    needed = _BYTES_PER_CELL * float(num_items) ** 2
    if needed > limit:
        raise BadInputError(
            f"EASE on {num_items:,} items needs {readable_bytes(needed)} of memory and about "
            f"{readable_seconds(float(num_items) ** 3 / _OPERATIONS_PER_SECOND)} on one core, "
            f"expected at most {readable_bytes(limit)}; use 'item_knn', keep items that more users "
            "chose, or set max_memory"
        )


def ease_weights(choices: Sparse, regularisation: float) -> FloatArray:
    """B of EASE, float32 [items, items], from the choices (0 or 1) [users, items].

    The matrix is filled in blocks of rows and inverted in place by its Cholesky factor.
    """
    size = choices.shape[1]
    if size == 0:  # LAPACK refuses a matrix without rows
        return np.zeros((0, 0), dtype=np.float32)
    matrix: DoubleArray = np.zeros((size, size), order="F")
    by_item = choices.T.tocsr()
    for start in range(0, size, _BLOCK_ROWS):
        # A block of columns: the matrix is symmetric, and LAPACK keeps columns together.
        block = slice(start, start + _BLOCK_ROWS)
        matrix[:, block] = (by_item[block] @ choices).toarray().T
    matrix[np.diag_indices(size)] += regularisation
    factor, _ = dpotrf(matrix, lower=True, overwrite_a=True, clean=False)
    inverse, _ = dpotri(factor, lower=True, overwrite_c=True)
    return _divided(inverse)


def _divided(lower: DoubleArray) -> FloatArray:
    """-P_ji / P_ii off the diagonal, from the lower triangle of P."""
    size = len(lower)
    scale = -1 / lower.diagonal()
    weights = np.empty((size, size), dtype=np.float32)
    for start in range(0, size, _BLOCK_ROWS):
        end = min(start + _BLOCK_ROWS, size)
        below = lower[end:, start:end]
        weights[end:, start:end] = below * scale[start:end]
        weights[start:end, end:] = below.T * scale[end:]
        corner = np.tril(lower[start:end, start:end], -1)
        weights[start:end, start:end] = (corner + corner.T) * scale[start:end]
    return weights
