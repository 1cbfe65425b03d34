"""`Positives`: the items that each user is known to have chosen, sorted, each once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from sargraph.core.errors import DataError
from sargraph.core.types import BoolArray, IntArray
from sargraph.graph.csr import RowArray, first_at_or_after, group_by, row_type
from sargraph.graph.graph import EdgeType, Graph


@dataclass(frozen=True)
class Positives:
    """Known positives: those of user u are `items[indptr[u]:indptr[u + 1]]`, ascending, distinct.

    "User" and "item" stand for the two ends of any edge type.
    """

    indptr: RowArray
    items: RowArray
    num_items: int

    @classmethod
    def build(cls, user: IntArray, item: IntArray, num_users: int, num_items: int) -> Positives:
        """From pairs; a pair may occur many times.

        Cost: two counting sorts, O(pairs + users + items). No product of row numbers is formed,
        so the number of users times items has no limit.
        """
        item_place, _ = group_by(item, num_items)
        order, _ = group_by(user[item_place], num_users)
        order = item_place[order]
        user, item = user[order], item[order]
        is_new = np.ones(len(user), dtype=bool)
        is_new[1:] = (user[1:] != user[:-1]) | (item[1:] != item[:-1])
        indptr = np.zeros(num_users + 1, dtype=row_type(len(user)))
        np.cumsum(np.bincount(user[is_new], minlength=num_users), out=indptr[1:])
        items: RowArray = item[is_new].astype(row_type(num_items))
        return cls(indptr, items, num_items)

    @classmethod
    def of(cls, graph: Graph, edge_types: Sequence[EdgeType]) -> Positives:
        """The pairs that any of the edge types joins. Raises DataError where types do not fit."""
        ends = {(kind[0], kind[2]) for kind in edge_types}
        missing = [kind for kind in edge_types if kind not in graph.edges]
        if len(ends) != 1 or missing:
            raise DataError(
                f"got edge types {list(edge_types)}, expected types of this graph between the "
                f"same two node types; it has {list(graph.edges)}"
            )
        ((source, target),) = ends
        tables = [graph.edges[kind] for kind in edge_types]
        return cls.build(
            np.concatenate([table.from_row for table in tables]),
            np.concatenate([table.to_row for table in tables]),
            graph.num_nodes[source],
            graph.num_nodes[target],
        )

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def count(self, users: IntArray) -> IntArray:
        """Number of positives of each user row, int64 [n]."""
        users = np.asarray(users)
        return (self.indptr[users + 1] - self.indptr[users]).astype(np.int64)

    def contains(self, users: IntArray, items: IntArray) -> BoolArray:
        """True where the item is a known positive of the user, bool [n]. O(log positives) each."""
        result = np.zeros(len(users), dtype=np.bool_)
        _contains(self.indptr, self.items, np.asarray(users), np.asarray(items), result)
        return result


@njit(cache=True, nogil=True, inline="always")
def is_positive(indptr, items, user, item):  # type: ignore[no-untyped-def]
    """True where `item` is among the sorted items of `user`."""
    high = indptr[user + 1]
    place = first_at_or_after(items, indptr[user], high, item)
    return place < high and items[place] == item


@njit(cache=True, nogil=True)
def _contains(indptr, items, user, item, result):  # type: ignore[no-untyped-def]
    for i in range(len(user)):
        result[i] = is_positive(indptr, items, user[i], item[i])
