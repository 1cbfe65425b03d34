"""Sparse matrices of queries, terms and items, and reading single cells from them in bulk."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from scipy.sparse import csr_array

from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, BoolArray, DoubleArray, IntArray
from sargraph.events.events import Events

Sparse: TypeAlias = "csr_array[np.float64, tuple[int, int]]"

_DENSE_SHARE = 4


def term_counts(terms: Ragged, num_terms: int) -> Sparse:
    """Row r holds how often each term stands in list r; a last, empty row is "none" (-1)."""
    offsets = np.append(terms.offsets, terms.offsets[-1])
    shape = (len(terms) + 1, num_terms)
    columns = terms.values.copy()  # SciPy merges repeated terms in place
    counts = csr_array((np.ones(len(columns)), columns, offsets), shape=shape)
    counts.sum_duplicates()
    return counts


def term_sets(terms: Ragged, num_terms: int) -> Sparse:
    """Row r holds 1 for each distinct term of list r; a last, empty row stands for "none" (-1)."""
    return _ones(term_counts(terms, num_terms))


def pair_counts(rows: IntArray, columns: IntArray, shape: tuple[int, int]) -> Sparse:
    """How often each (row, column) pair occurs."""
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)


def search_clicks(events: Events, is_train: BoolArray) -> IntArray:
    """Rows of the training events in which a search with a query led to a chosen item."""
    chosen = is_train & events.is_search & events.is_positive & (events.query != NO_ROW)
    return np.flatnonzero(chosen)


def clicks_by_term(events: Events, is_train: BoolArray) -> Sparse:
    """n(t, i): training search clicks on item i with term t in the query, [terms, items]."""
    rows = search_clicks(events, is_train)
    queries = term_sets(events.query_terms, len(events.terms))[events.query[rows]]
    places = np.arange(len(rows))
    items = pair_counts(places, events.item[rows], (len(rows), len(events.items)))
    return csr_array(queries.T @ items)


def binary(matrix: Sparse) -> Sparse:
    """1 wherever the matrix is not zero."""
    return _ones(matrix.copy())


def scale_rows(matrix: Sparse, factors: DoubleArray) -> Sparse:
    """Each row times its factor."""
    scaled = matrix.copy()
    scaled.data = scaled.data * np.repeat(factors, np.diff(matrix.indptr))
    return scaled


def inverse(values: DoubleArray) -> DoubleArray:
    """1 / value, and 0 where the value is 0."""
    return np.divide(1.0, values, out=np.zeros(len(values)), where=values != 0)


def cells(matrix: Sparse, columns: IntArray) -> DoubleArray:
    """`matrix[r, columns[r, c]]` for every r and c, float64 [n, c]; 0 for column -1.

    Cost: n times the width of the matrix where most columns are asked for, or where all rows ask
    for the same ones (a view of stride 0); else one binary search per cell.
    """
    valid = columns != NO_ROW
    if columns.size == 0 or matrix.shape[1] == 0:
        return np.zeros(columns.shape)
    if columns.strides[0] == 0:
        return np.where(valid, matrix.toarray()[:, columns[0]], 0.0)
    if columns.shape[1] * _DENSE_SHARE >= matrix.shape[1]:
        found = np.take_along_axis(matrix.toarray(), np.where(valid, columns, 0), axis=1)
        return np.where(valid, found, 0.0)
    matrix.sort_indices()
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    keys = rows * matrix.shape[1] + matrix.indices
    wanted = np.arange(len(columns))[:, None] * matrix.shape[1] + columns
    if len(keys) == 0:
        return np.zeros(columns.shape)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(valid & (keys[place] == wanted), matrix.data[place], 0.0)


def _ones(matrix: Sparse) -> Sparse:
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix
