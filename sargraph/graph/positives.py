"""`Positives`: the items that each user is known to have chosen, sorted, each once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from sargraph.core.errors import DataError
from sargraph.core.types import BoolArray, IntArray
from sargraph.graph.csr import RowArray, first_at_or_after, group_by, row_type
from sargraph.graph.fan_out import forward_of
from sargraph.graph.graph import EdgeType, Graph
from sargraph.graph.rows import rows_of


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

        Raises DataError for rows out of range or columns of different lengths. Cost: two counting
        sorts, O(pairs + users + items). No product of row numbers is formed, so the number of
        users times items has no limit.
        """
        user = rows_of("users", user, num_users)
        item = rows_of("items", item, num_items, len(user))
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
        """The pairs that any of the edge types joins; a reversed type gives its pairs swapped.

        Raises DataError for an unknown type, or types of other ends. Cost: that of `build`.
        """
        ends = {(kind[0], kind[2]) for kind in edge_types}
        missing = [kind for kind in edge_types if forward_of(kind) not in graph.edges]
        if len(ends) != 1 or missing:
            raise DataError(
                f"got edge types {list(edge_types)}, expected types of this graph between the "
                f"same two node types; it has {list(graph.edges)}"
            )
        ((source, target),) = ends
        columns = [_ends(graph, kind) for kind in edge_types]
        return cls.build(
            np.concatenate([column[0] for column in columns]),
            np.concatenate([column[1] for column in columns]),
            graph.num_nodes[source],
            graph.num_nodes[target],
        )

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def count(self, users: IntArray) -> IntArray:
        """Number of positives of each user row, int64 [n]. Raises DataError for unknown rows."""
        users = rows_of("users", users, len(self))
        return (self.indptr[users + 1] - self.indptr[users]).astype(np.int64)

    def contains(self, users: IntArray, items: IntArray) -> BoolArray:
        """True where the item is a known positive of the user, bool [n]. O(log positives) each.

        Raises DataError for rows out of range or columns of different lengths.
        """
        users = rows_of("users", users, len(self))
        items = rows_of("items", items, self.num_items, len(users))
        result = np.zeros(len(users), dtype=np.bool_)
        _contains(self.indptr, self.items, users, items, result)
        return result


def _ends(graph: Graph, edge_type: EdgeType) -> tuple[IntArray, IntArray]:
    """The rows of the source and of the target of each edge of a type, forward or reversed."""
    forward = forward_of(edge_type)
    table = graph.edges[forward]
    ends = table.from_row, table.to_row
    return ends if forward == edge_type else (ends[1], ends[0])


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
