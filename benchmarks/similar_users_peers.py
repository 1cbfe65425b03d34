"""Other ways to the k most similar users, all on the same float32 profiles and one thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from scipy.sparse import csr_array, csr_matrix

from sargraph.core.types import DoubleArray, IntArray

Answer = Callable[[IntArray], DoubleArray]
"""From probes to the similarities of their k best users, best first, float64 [probes, k]."""


def peers(profiles: csr_array, k: int) -> dict[str, Answer]:
    """Every peer by name, ready to answer. Lists are inverted before, as ours are."""
    matrix = csr_matrix(
        (profiles.data.astype(np.float32), profiles.indices, profiles.indptr), profiles.shape
    )
    inverted = csr_matrix(matrix.T.tocsr())
    return {
        "sparse_dot_topn": _sparse_dot_topn(matrix, inverted, k),
        "implicit": _implicit(matrix, inverted, k),
        "scipy": _scipy(matrix, inverted, k),
    }


def _sparse_dot_topn(matrix: Any, inverted: Any, k: int) -> Answer:
    from sparse_dot_topn import sp_matmul_topn

    def answer(probes: IntArray) -> DoubleArray:
        found = sp_matmul_topn(matrix[probes], inverted, k, sort=True, n_threads=1)
        return _padded(found, k)

    return answer


def _implicit(matrix: Any, inverted: Any, k: int) -> Answer:
    """Its cosine recommender: of everybody by `fit`, of some users by the scorer beneath it.

    The scorer reads an [n, n] matrix of float64; ours is made square by empty rows or columns.
    """
    from implicit.nearest_neighbours import NearestNeighboursScorer, all_pairs_knn

    num_users = matrix.shape[0]
    whole = csr_matrix(inverted.astype(np.float64))
    square = whole.copy()
    square.resize((max(matrix.shape), max(matrix.shape)))
    scorer = NearestNeighboursScorer(square)
    indptr, indices, data = matrix.indptr, matrix.indices, matrix.data.astype(np.float64)

    def answer(probes: IntArray) -> DoubleArray:
        if len(probes) == num_users:
            found = all_pairs_knn(whole, K=k, num_threads=1, show_progress=False).tocsr()
            return -np.sort(-_padded(found, k), axis=1)[probes]
        out = np.full((len(probes), k), -np.inf)
        for place, row in enumerate(probes):
            mine = slice(indptr[row], indptr[row + 1])
            bounds = np.array([0, mine.stop - mine.start], dtype=np.int32)
            _, scores = scorer.recommend(
                bounds, indices[mine], data[mine], K=k, remove_own_likes=False
            )
            out[place, : len(scores)] = scores
        return out

    return answer


def _scipy(matrix: Any, inverted: Any, k: int) -> Answer:
    def answer(probes: IntArray) -> DoubleArray:
        out = np.full((len(probes), k), -np.inf)
        for start in range(0, len(probes), 100):
            products = matrix[probes[start : start + 100]] @ inverted
            for row in range(products.shape[0]):
                found = products.data[products.indptr[row] : products.indptr[row + 1]]
                if len(found) > k:
                    found = found[np.argpartition(found, len(found) - k)[-k:]]
                out[start + row, : len(found)] = np.sort(found)[::-1]
        return out

    return answer


@njit(cache=True)
def read_postings(packed: Any, head: Any, tail: Any, entries: Any) -> int:
    """The floor of an exact search: every posting of the entries is read once."""
    total = 0
    last = head.shape[1] - 1
    for entry in entries:
        for at in range(head[entry, 0], head[entry, last]):
            total += packed[at] >> 16
        for at in range(tail[entry, 0], tail[entry, last]):
            total += packed[at] >> 16
    return total


def _padded(found: Any, k: int) -> DoubleArray:
    out = np.full((found.shape[0], k), -np.inf)
    sizes = np.diff(found.indptr)
    place = np.arange(found.nnz) - np.repeat(found.indptr[:-1], sizes)
    out[np.repeat(np.arange(len(sizes)), sizes), place] = found.data
    return out
