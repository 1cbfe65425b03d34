"""The distinct pairs of rows that the edges of a graph join."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from sargraph.core.types import NO_ROW, IntArray
from sargraph.graph.graph import CLICKED, CONTAINS, FOUND, ISSUED, LED_TO, EdgeType, Graph
from sargraph.graph.pairs import pair_keys

Pairs: TypeAlias = tuple[IntArray, IntArray]
"""(first, second), both int64 [n]."""

CHOSEN: tuple[EdgeType, ...] = (CLICKED, FOUND)
"""The edge types that say what a user chose."""


def distinct(first: IntArray, second: IntArray, num_first: int, num_second: int) -> Pairs:
    """The distinct pairs in the order of pairs. Cost: one sort."""
    width = max(num_second, 1)
    keys = np.unique(pair_keys(first, second, num_first, width))
    return keys // width, keys % width


def chosen_pairs(graph: Graph, edge_types: Sequence[EdgeType] = CHOSEN) -> Pairs:
    """Users and items of the distinct pairs that any edge of the types joins."""
    user, item = _ends(graph, edge_types)
    return distinct(user, item, graph.num_nodes["user"], graph.num_nodes["item"])


def query_pairs(graph: Graph) -> dict[EdgeType, Pairs]:
    """The distinct pairs of the types issued, led_to and contains.

    Found edges count as issued and led_to of the query that they name, so that a graph without
    these types has them too. Only queries that a training edge names have their terms here: the
    words of one that was asked later are read when it is asked, and not before.
    """
    sizes = graph.num_nodes
    user, item, query = _searches(graph)
    issued = _joined([_ends(graph, [ISSUED]), (user, query)])
    led_to = _joined([_ends(graph, [LED_TO]), (query, item)])
    is_known = np.zeros(sizes["query"], dtype=np.bool_)
    is_known[np.concatenate([issued[1], led_to[0]])] = True
    owner, term = graph.query_terms.row_of_value, graph.query_terms.values
    contains = owner[is_known[owner]], term[is_known[owner]]
    found = {ISSUED: issued, LED_TO: led_to, CONTAINS: contains}
    return {kind: distinct(*pairs, sizes[kind[0]], sizes[kind[2]]) for kind, pairs in found.items()}


def _searches(graph: Graph) -> tuple[IntArray, IntArray, IntArray]:
    """User, item and query of the found edges that name a query."""
    if FOUND not in graph.edges:
        none = np.empty(0, dtype=np.int64)
        return none, none, none
    table = graph.edges[FOUND]
    table = table.take(table.query != NO_ROW)
    return table.from_row, table.to_row, table.query


def _ends(graph: Graph, edge_types: Sequence[EdgeType]) -> Pairs:
    """Both ends of all edges of the types, parallel ones too; nothing of types not there."""
    tables = [graph.edges[kind] for kind in edge_types if kind in graph.edges]
    return _joined([(table.from_row, table.to_row) for table in tables])


def _joined(parts: Sequence[Pairs]) -> Pairs:
    none = np.empty(0, dtype=np.int64)
    first, second = (np.concatenate([none, *(part[side] for part in parts)]) for side in (0, 1))
    return first, second
