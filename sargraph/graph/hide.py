"""What no tree may hold: excluded edges, and the edges that one event left in several types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from sargraph.core.errors import DataError
from sargraph.core.types import NO_ROW, IntArray
from sargraph.graph.fan_out import stored_type
from sargraph.graph.graph import EdgeTable, EdgeType, Graph
from sargraph.graph.rows import rows_of

Exclude: TypeAlias = Mapping[EdgeType, Any]
"""Edges that no tree may hold, in either direction: per type, forward or `rev_`, the rows in the
edge table of the forward type, or a mask over it."""

Hidden: TypeAlias = dict[EdgeType, IntArray]
"""Edge rows per forward type."""


def read_exclude(graph: Graph, exclude: Exclude | None) -> Hidden:
    """The excluded edge rows of each forward type; both directions of a type count as one.

    Raises DataError for an unknown type, a mask of another length, or rows out of range.
    Cost: O(rows given).
    """
    hidden: Hidden = {}
    for edge_type, given in (exclude or {}).items():
        forward = stored_type(graph.edges, edge_type, "exclude")
        rows = _edge_rows(forward, graph.edges[forward], given)
        hidden = united(hidden, {forward: rows})
    return hidden


def _edge_rows(edge_type: EdgeType, table: EdgeTable, given: Any) -> IntArray:
    what = f"excluded {'-'.join(edge_type)} edges"
    array = np.asarray(given)
    if array.dtype != np.bool_:
        return rows_of(what, array, len(table))
    if array.shape != (len(table),):
        raise DataError(f"{what}: got a mask of shape {array.shape}, expected ({len(table)},)")
    return np.flatnonzero(array)


def united(left: Hidden, right: Hidden) -> Hidden:
    """The edges that either hides."""
    parts = {kind: [each[kind] for each in (left, right) if kind in each] for kind in left | right}
    return {kind: np.concatenate(rows) for kind, rows in parts.items()}


class EventTwins:
    """Edges that name the same event, such as `found`, `led_to` and `issued` of one search click.

    The look-up of a type is built when it is first needed and then kept: one sort of its events,
    O(edges log edges) at worst and O(edges) where they are in order, 16 bytes an edge.
    """

    def __init__(self, graph: Graph, edge_types: set[EdgeType]) -> None:
        """Twins are looked for in the stored `edge_types`."""
        self._graph = graph
        self._edge_types = edge_types
        self._by_event: dict[EdgeType, tuple[IntArray, IntArray]] = {}

    def hidden_with(self, edge_type: EdgeType, edge: IntArray) -> Hidden:
        """The given edges of a stored type, and all edges that name an event of theirs.

        Cost: O(log edges) per edge given and type, and O(1) per edge found.
        """
        event = self._graph.edges[edge_type].event[edge]
        events = np.unique(event[event != NO_ROW])
        twins = {kind: self._of(kind, events) for kind in self._edge_types if len(events)}
        return united({edge_type: edge}, twins)

    def _of(self, edge_type: EdgeType, events: IntArray) -> IntArray:
        """The edges of a type that name one of the distinct `events`."""
        if edge_type not in self._by_event:
            event = self._graph.edges[edge_type].event
            named = np.flatnonzero(event != NO_ROW)
            edge = named[np.argsort(event[named], kind="stable")]
            self._by_event[edge_type] = event[edge], edge
        event, edge = self._by_event[edge_type]
        first = np.searchsorted(event, events)
        number = np.searchsorted(event, events, side="right") - first
        within = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
        return np.asarray(edge[np.repeat(first, number) + within])
