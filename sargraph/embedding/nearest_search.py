"""The searches under a nearest index: faiss proposes rows, exact cosines put them in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from sargraph.core.errors import ConfigError
from sargraph.core.ranked import Ranked
from sargraph.core.rng import make_rng
from sargraph.core.types import NO_ROW, FloatArray, IntArray
from sargraph.embedding.cosine import pair_cosines
from sargraph.embedding.faiss_threads import faiss_with
from sargraph.embedding.nearest_config import NearestConfig

SPARE = 16
"""Rows proposed beyond those asked for, so that most ties at the end are seen at once."""
MAX_CELLS = 1 << 22
"""Numbers gathered at a time."""


@runtime_checkable
class Approximate(Protocol):
    """Proposes rows that are probably the nearest."""

    def propose(self, faiss: Any, probes: FloatArray, num_rows: int) -> IntArray:
        """Rows [probes, num_rows] for probes of length 1, -1 where none was found."""
        ...


class Hnsw:
    """Vectors linked to near ones in layers, walked greedily from the top (hnsw)."""

    def __init__(self, vectors: FloatArray, config: NearestConfig, seed: int) -> None:
        with faiss_with(config.num_threads) as faiss:
            metric = faiss.METRIC_INNER_PRODUCT
            self.index = faiss.IndexHNSWFlat(vectors.shape[1], config.num_links, metric)
            self.index.hnsw.efConstruction = config.build_width
            self.index.hnsw.rng = faiss.RandomGenerator(_seed(seed))
            self.index.add(vectors)
        self.width = config.search_width

    def propose(self, faiss: Any, probes: FloatArray, num_rows: int) -> IntArray:
        """See `Approximate`."""
        how = faiss.SearchParametersHNSW(efSearch=max(self.width, num_rows))
        return np.asarray(self.index.search(probes, num_rows, params=how)[1], dtype=np.int64)


class Ivf:
    """Vectors in the cells of a spherical k-means, of which the nearest are searched (ivf)."""

    def __init__(self, vectors: FloatArray, config: NearestConfig, seed: int) -> None:
        rows, dim = vectors.shape
        num_cells = config.num_cells or max(1, min(round(4 * rows**0.5), rows // 39))
        if num_cells > rows:
            raise ConfigError(f"num_cells: got {num_cells}, expected at most the {rows} rows")
        with faiss_with(config.num_threads) as faiss:
            self.centres = faiss.IndexFlatIP(dim)  # held: the index below only points to it
            metric = faiss.METRIC_INNER_PRODUCT
            self.index = faiss.IndexIVFFlat(self.centres, dim, num_cells, metric)
            self.index.cp.seed = _seed(seed)
            self.index.cp.min_points_per_centroid = 1  # else it warns on standard error
            self.index.train(vectors)
            self.index.add(vectors)
        self.num_probed = min(config.num_cells_probed, num_cells)

    def propose(self, faiss: Any, probes: FloatArray, num_rows: int) -> IntArray:
        """See `Approximate`."""
        how = faiss.SearchParametersIVF(nprobe=self.num_probed)
        return np.asarray(self.index.search(probes, num_rows, params=how)[1], dtype=np.int64)


BUILDERS: Mapping[str, Callable[[FloatArray, NearestConfig, int], Approximate]] = {
    "hnsw": Hnsw,
    "ivf": Ivf,
}
"""How each approximate method is built from unit vectors [rows, dim], settings and a seed."""


def search_exact(
    vectors: FloatArray, probes: FloatArray, excluded: IntArray, k: int, num_threads: int = 1
) -> Ranked:
    """The k rows with the highest cosine of each probe, ties in row order.

    `vectors` [rows, dim] and `probes` [probes, dim] of length 1 or 0; `excluded` [probes] is the
    row each probe may not find, or -1. faiss proposes k rows and some to spare by float32 products,
    each off by at most ε = (dim + 4) 2⁻²³; where the last one proposed is not worse than the k-th
    best by more than ε, a better or tied row may be missing, and four times as many are asked for.
    Cost: O(probes · rows · dim), and a sort of all rows for probes with very many ties.
    """
    found = _none_found(len(probes), k)
    with faiss_with(num_threads) as faiss:

        def widen(places: IntArray, num_rows: int) -> None:
            num_rows = min(num_rows, len(vectors))
            error = (vectors.shape[1] + 4) * 2.0**-23
            for block in _blocks(places, num_rows * vectors.shape[1]):
                metric = faiss.METRIC_INNER_PRODUCT
                scores, rows = faiss.knn(probes[block], vectors, num_rows, metric=metric)
                ranked = _best(vectors, probes[block], excluded[block], rows, k)
                found.rows[block], found.scores[block] = ranked.rows, ranked.scores
                is_open = scores[:, -1] + error >= ranked.scores[:, -1]
                if num_rows < len(vectors) and is_open.any():
                    widen(block[is_open], 4 * num_rows)

        widen(np.flatnonzero(probes.any(axis=1)), k + 1 + SPARE)
    return _with_zero_probes(found, probes, excluded, len(vectors))


def search_proposed(
    vectors: FloatArray,
    probes: FloatArray,
    excluded: IntArray,
    k: int,
    proposer: Approximate,
    num_threads: int = 1,
) -> Ranked:
    """As `search_exact`, but of the rows that `proposer` proposes, of which some may be missing."""
    found = _none_found(len(probes), k)
    num_rows = min(k + 1, len(vectors))
    with faiss_with(num_threads) as faiss:
        places = np.flatnonzero(probes.any(axis=1))
        for block in _blocks(places, num_rows * vectors.shape[1]):
            rows = proposer.propose(faiss, probes[block], num_rows)
            ranked = _best(vectors, probes[block], excluded[block], rows, k)
            found.rows[block], found.scores[block] = ranked.rows, ranked.scores
    return _with_zero_probes(found, probes, excluded, len(vectors))


def _best(
    vectors: FloatArray, probes: FloatArray, excluded: IntArray, rows: IntArray, k: int
) -> Ranked:
    """The k best of the proposed `rows` [probes, any] by exact cosine, ties in row order."""
    rows = np.sort(rows, axis=1)
    width = rows.shape[1]
    cosines = pair_cosines(vectors[rows.reshape(-1)], np.repeat(probes, width, axis=0))
    scores = cosines.reshape(rows.shape)
    scores[(rows == NO_ROW) | (rows == excluded[:, None])] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    found = _none_found(len(rows), k)
    found.scores[:, : order.shape[1]] = np.take_along_axis(scores, order, axis=1)
    found.rows[:, : order.shape[1]] = np.take_along_axis(rows, order, axis=1)
    found.rows[found.scores == -np.inf] = NO_ROW
    return found


def _with_zero_probes(
    found: Ranked, probes: FloatArray, excluded: IntArray, num_rows: int
) -> Ranked:
    """Answer the probes without a direction: cosine 0 with all, so the first rows but their own."""
    k = found.rows.shape[1]
    for place in np.flatnonzero(~probes.any(axis=1)):
        first = np.arange(min(k + 1, num_rows))
        first = first[first != excluded[place]][:k]
        found.rows[place, : len(first)] = first
        found.scores[place, : len(first)] = 0
    return found


def _blocks(places: IntArray, numbers_each: int) -> list[IntArray]:
    step = max(1, MAX_CELLS // max(numbers_each, 1))
    return [places[start : start + step] for start in range(0, len(places), step)]


def _none_found(num_probes: int, k: int) -> Ranked:
    shape = (num_probes, k)
    return Ranked(np.full(shape, NO_ROW, np.int64), np.full(shape, -np.inf, np.float32))


def _seed(seed: int) -> int:
    """A seed of 31 bits, which is what faiss takes."""
    return int(make_rng(seed, "nearest index").integers(2**31 - 1))
