"""ALS: matrix factorisation with confidences, its factors from the library `implicit`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any

import numpy as np
from pydantic import Field
from scipy.sparse import csr_matrix

from sargraph.core.config import Config
from sargraph.core.errors import BadInputError
from sargraph.core.rng import make_rng
from sargraph.core.scorer import Requests
from sargraph.core.types import FloatArray, IntArray
from sargraph.evaluation.baselines.blocks import score_by_vectors
from sargraph.evaluation.baselines.choices import ChosenBefore, Source, choice_counts
from sargraph.evaluation.term_matrix import Sparse
from sargraph.events.events import Events
from sargraph.events.split import Split

_BLOCK = 1024


class ALSConfig(Config):
    """Settings of ALS."""

    dim: int = Field(64, ge=1)
    """Length of every vector."""
    num_epochs: int = Field(15, ge=1)
    """Times that users and items are solved for in turn."""
    confidence: float = Field(10.0, ge=0)
    """What one more choice adds to the weight 1 of an unchosen item (alpha of the paper)."""
    regularisation: float = Field(30.0, gt=0)
    """Weight of the squared lengths of the vectors (lambda of the paper)."""
    source: Source = "both"
    """Where the choices were made, in training and in histories."""
    max_history: int | None = Field(None, ge=1)
    """Latest events of a history that are read; none = all."""
    seed: int = 0
    """Fixes the start; one thread gives the same bits."""


class ALS:
    """score(i) = <x_r, y_i> with x_r folded in from the history of request r.

    Training minimises sum over all users and items of c_ui (p_ui - <x_u, y_i>)^2
    + lambda (sum |x_u|^2 + sum |y_i|^2), p_ui = 1 where chosen else 0, c_ui = 1 + alpha n_ui.
    A request is answered by the closed form of one more user step over its own history,

        x_r = (Y^T Y + sum over j of (c_j - 1) y_j y_j^T + lambda I)^-1 sum over j of c_j y_j,

    so that users unknown in training are answered too; without a history x_r = 0.
    Cost: O((users + items) dim^3 + choices dim^2) per epoch, O(dim^3 + history dim^2) per request.
    Raises BadInputError where `implicit` is not installed.
    Source: Hu, Koren and Volinsky, Collaborative Filtering for Implicit Feedback Datasets (ICDM
    2008).
    """

    name = "ALS"

    def __init__(self, events: Events, split: Split, config: ALSConfig | None = None) -> None:
        self.config = config = config or ALSConfig()
        counts = choice_counts(events, split.is_train, config.source)
        counts.sum_duplicates()
        self._items = item_factors(counts, config)
        self._gram = (self._items.T @ self._items).astype(np.float64)
        self._gram[np.diag_indices(config.dim)] += config.regularisation
        self._before = ChosenBefore(events, split, config.source, config.max_history)

    def encode(self, requests: Requests) -> FloatArray:
        """The vector of each request from its history, float32 [n, dim]."""
        parts = [np.zeros((0, self.config.dim), dtype=np.float32)]
        everything = np.arange(len(requests))
        for start in range(0, len(requests), _BLOCK):
            counts = self._before.counts(requests.take(everything[start : start + _BLOCK]))
            counts.sum_duplicates()
            parts.append(self._folded_in(counts))
        return np.concatenate(parts)

    def item_vectors(self) -> FloatArray:
        """The vector of each item, float32 [items, dim]."""
        return self._items

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Products of the request's and the candidates' vectors, float32 [n, c]."""
        return score_by_vectors(self.encode(requests), self._items, candidates)

    def _folded_in(self, counts: Sparse) -> FloatArray:
        """Solve for the user vectors of some histories [n, items], float32 [n, dim]."""
        size, dim = counts.shape[0], self.config.dim
        left, right = np.empty((size, dim, dim)), np.empty((size, dim, 1))
        for row in range(size):
            at = slice(counts.indptr[row], counts.indptr[row + 1])
            vectors = self._items[counts.indices[at]].astype(np.float64)
            extra = self.config.confidence * counts.data[at]
            left[row] = self._gram + (vectors.T * extra) @ vectors
            right[row, :, 0] = (1 + extra) @ vectors
        return np.linalg.solve(left, right)[:, :, 0].astype(np.float32)


def item_factors(counts: Sparse, config: ALSConfig) -> FloatArray:
    """Y of ALS trained on counts [users, items], float32 [items, dim]. One thread, seeded."""
    data = (1 + config.confidence * counts.data).astype(np.float32)
    # The library takes SciPy's matrices only, no sparse arrays.
    confidences = csr_matrix((data, counts.indices, counts.indptr), shape=counts.shape)
    rng = make_rng(config.seed, "als")
    users, items = (starting_factors(rng, size, config.dim) for size in counts.shape)
    library, one_thread = _libraries()
    with one_thread():
        model = library.AlternatingLeastSquares(
            factors=config.dim,
            regularization=config.regularisation,
            iterations=config.num_epochs,
            use_cg=False,
            num_threads=1,
        )
        model.user_factors, model.item_factors = users, items
        model.fit(confidences, show_progress=False)
    return np.asarray(model.item_factors, dtype=np.float32)


def starting_factors(rng: np.random.Generator, size: int, dim: int) -> FloatArray:
    """Small random vectors, float32 [size, dim]."""
    return (rng.standard_normal((size, dim)) * 0.01).astype(np.float32)


def _libraries() -> tuple[Any, Callable[[], AbstractContextManager[Any]]]:
    """`implicit`, and what holds the linear algebra under it to one thread."""
    try:
        library, limits = import_module("implicit.cpu.als"), import_module("threadpoolctl")
    except ImportError:
        raise BadInputError(
            "got no library 'implicit', which the baseline 'als' needs; pip install 'sargraph[als]'"
        ) from None
    return library, lambda: limits.threadpool_limits(1, "blas")
