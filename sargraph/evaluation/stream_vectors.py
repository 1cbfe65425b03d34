"""Scores of vector models: matrix products of one size, in which equal vectors get equal scores."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sargraph.core.errors import BadInputError
from sargraph.core.progress import progress
from sargraph.core.rng import make_rng
from sargraph.core.scorer import Requests, VectorScorer
from sargraph.core.types import Array, FloatArray, IntArray

SHARED = 256
"""Requests encoded at once."""
PRODUCT_CELLS, PRODUCT_ROWS = 1 << 20, (8, 64)
"""Scores of one product (they stay in the cache), and the fewest and most requests of one."""


def products(
    scorer: VectorScorer, requests: Requests, num_items: int
) -> Iterator[tuple[slice, FloatArray]]:
    """Rows of consecutive requests and their scores, float32 [rows, num_items].

    The scores are valid until the next are asked for. All products are of one size, the last
    filled up, because those of other sizes may differ in the last bit; so may two columns of one
    product, therefore an item whose vector is that of another takes its score. A target and its
    rivals are read from the same product. Raises BadInputError for vectors of another shape.
    Cost: O(n items dim). Memory: the vectors of the catalogue and at least 8 rows of scores.
    """
    catalogue = _vectors(scorer, "item_vectors", scorer.item_vectors(), num_items)
    dim = catalogue.shape[1]
    copies, originals = twins(catalogue)
    height, most = PRODUCT_ROWS
    while 2 * height <= most and 2 * height * num_items <= PRODUCT_CELLS:
        height *= 2
    vectors = np.zeros((SHARED, dim), dtype=np.float32)
    scores = np.empty((height, num_items), dtype=np.float32)
    starts = range(0, len(requests), SHARED)
    for start in progress(starts, f"evaluating {scorer.name}", len(starts)):
        stop = min(start + SHARED, len(requests))
        encoded = scorer.encode(requests.take(np.arange(start, stop)))
        vectors[: stop - start] = _vectors(scorer, "encode", encoded, stop - start, dim)
        for first in range(start, stop, height):
            within = slice(first - start, first - start + height)
            np.matmul(vectors[within], catalogue.T, out=scores)
            scores[:, copies] = scores[:, originals]
            rows = slice(first, min(first + height, stop))
            yield rows, scores[: rows.stop - rows.start]


def twins(vectors: FloatArray) -> tuple[IntArray, IntArray]:
    """Rows that equal an earlier row, and the first such row of each, both int64 [k].

    Found by a 64-bit hash and then compared; rows with NaN equal nothing.
    Cost: O(rows dim + rows log rows).
    """
    dim = vectors.shape[1]
    factors = make_rng(0, "twins").integers(2**64, size=(dim,), dtype=np.uint64)
    marks = np.zeros(len(vectors), dtype=np.uint64)
    for place in range(dim):
        marks ^= marks >> np.uint64(29)
        bits = (vectors[:, place] + np.float32(0)).view(np.uint32)  # -0 becomes 0
        marks += bits * (factors[place] | np.uint64(1))
    _, first, inverse = np.unique(marks, return_index=True, return_inverse=True)
    original = first[inverse].astype(np.int64)
    copies = np.flatnonzero(original != np.arange(len(vectors)))
    equal = (vectors[copies] == vectors[original[copies]]).all(axis=1)
    return copies[equal], original[copies[equal]]


def _vectors(
    scorer: VectorScorer, method: str, given: Array, num_rows: int, dim: int | None = None
) -> FloatArray:
    found = np.asarray(given)
    fits = found.ndim == 2 and len(found) == num_rows and found.dtype.kind == "f"
    if not fits or dim not in (None, found.shape[1]):
        expected = f"({num_rows}, {'dim' if dim is None else dim})"
        raise BadInputError(
            f"scorer '{scorer.name}' gave {found.dtype} vectors of shape {found.shape}, expected "
            f"float32 of shape {expected}; mend its {method} method"
        )
    return np.ascontiguousarray(found, dtype=np.float32)
