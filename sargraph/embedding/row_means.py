"""Means of rows of a table: a query from its words, a user from the items chosen."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from sargraph.core.ragged import Ragged
from sargraph.core.types import FloatArray
from sargraph.embedding.graph_pairs import distinct


def mean_of_rows(lists: Ragged, table: FloatArray) -> FloatArray:
    """The mean of the table's rows that each list names, float32 [lists, dim].

    A row named twice counts once. Rows that are zero stand for what was never learned and do not
    count; a list without any other has the mean 0. Cost: a sort of the lists, O(values dim).
    """
    owner, value = distinct(lists.row_of_value, lists.values, len(lists), len(table))
    known = (table != 0).any(axis=1)[value]
    owner, value = owner[known], value[known]
    counts = np.bincount(owner, minlength=len(lists))
    share = (1.0 / counts[owner]).astype(np.float32)
    matrix = csr_array((share, (owner, value)), shape=(len(lists), len(table)))
    return np.asarray(matrix @ table, dtype=np.float32)
