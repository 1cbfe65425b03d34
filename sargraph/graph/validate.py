"""`validate`: a graph whose rows, lengths, weights and times do not fit is refused."""

from __future__ import annotations

import numpy as np

from sargraph.core.errors import DataError
from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.graph.graph import CLICKED, EdgeTable, EdgeType, Graph
from sargraph.graph.interop import REVERSE
from sargraph.graph.rows import LARGEST


def validate(graph: Graph) -> None:
    """Check that every edge can be what it says it is.

    Raises DataError naming the edge type, the first edge at fault and what was expected: a verb
    that is one of a reversed type, an end point of an unknown node type or outside its vocabulary,
    columns of different lengths or of the wrong kind, a weight that is not finite, a timed edge at
    or after the cut, the largest int64 as a time (no time is after it, so that nothing would ever
    see the edge), virtual queries that are not one per `clicked` edge. Cost: O(edges).
    """
    for edge_type, table in graph.edges.items():
        _check_verb(edge_type)
        _check_columns(edge_type, table)
        _check_rows(graph, edge_type, table)
        _check_values(graph, edge_type, table)
    _check_terms(graph, "query", graph.query_terms)
    _check_terms(graph, "item", graph.item_terms)
    _check_virtual(graph)


def _check_verb(edge_type: EdgeType) -> None:
    if edge_type[1].startswith(REVERSE):
        raise DataError(
            f"{_name(edge_type)}: got a verb that begins with '{REVERSE}', which names the view of "
            "a type from its end, expected a stored type; give it another verb"
        )


def _check_columns(edge_type: EdgeType, table: EdgeTable) -> None:
    lengths = {name: column.shape for name, column in vars(table).items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"{_name(edge_type)}: columns must have one length, got {lengths}")
    for name, column in vars(table).items():
        expected = np.float32 if name == "weight" else np.int64
        if column.dtype != expected:
            raise DataError(
                f"{_name(edge_type)}: column '{name}' is {column.dtype}, "
                f"expected {np.dtype(expected)}; make the table with EdgeTable.of"
            )


def _check_rows(graph: Graph, edge_type: EdgeType, table: EdgeTable) -> None:
    source, _, target = edge_type
    for kind, column, lowest in (
        (source, "from_row", 0),
        (target, "to_row", 0),
        ("query", "query", NO_ROW),
    ):
        if kind not in graph.vocabularies:
            raise DataError(
                f"{_name(edge_type)}: unknown node type '{kind}', "
                f"expected one of {sorted(graph.vocabularies)}"
            )
        rows, limit = getattr(table, column), graph.num_nodes[kind]
        at_fault = np.flatnonzero((rows < lowest) | (rows >= limit))
        if len(at_fault):
            first = int(at_fault[0])
            raise DataError(
                f"{_name(edge_type)}: {len(at_fault)} values of '{column}' are out of range "
                f"(edge {first} has {rows[first]}), expected {lowest}..{limit - 1}"
            )


def _check_values(graph: Graph, edge_type: EdgeType, table: EdgeTable) -> None:
    at_fault = np.flatnonzero(~np.isfinite(table.weight))
    if len(at_fault):
        raise DataError(
            f"{_name(edge_type)}: {len(at_fault)} weights are not finite "
            f"(edge {at_fault[0]}), expected numbers; mend or leave out these edges"
        )
    endless = np.flatnonzero(table.time == LARGEST)
    if len(endless):
        raise DataError(
            f"{_name(edge_type)}: {len(endless)} edges are at time 2^63 - 1 (edge {endless[0]}), "
            "expected times before it; leave out these edges or give their times"
        )
    if graph.cut == NO_TIME:
        return
    late = np.flatnonzero(table.time >= graph.cut)
    if len(late):
        raise DataError(
            f"{_name(edge_type)}: {len(late)} edges are at or after the cut {graph.cut} "
            f"(edge {late[0]} at {table.time[late[0]]}), expected training edges only"
        )


def _check_terms(graph: Graph, kind: str, terms: Ragged) -> None:
    if len(terms) != graph.num_nodes[kind]:
        raise DataError(f"{kind}_terms has {len(terms)} rows, expected {graph.num_nodes[kind]}")
    limit = graph.num_nodes["term"]
    if len(terms.values) and not 0 <= terms.values.min() <= terms.values.max() < limit:
        raise DataError(f"{kind}_terms holds a term out of range, expected 0..{limit - 1}")


def _check_virtual(graph: Graph) -> None:
    if graph.virtual is None:
        return
    expected = len(graph.edges[CLICKED]) if CLICKED in graph.edges else 0
    for name in ("vector", "queries", "terms", "confidence"):
        got = len(getattr(graph.virtual, name))
        if got != expected:
            raise DataError(
                f"virtual queries: '{name}' has {got} rows, expected one per clicked edge "
                f"({expected}); make them again from this graph"
            )


def _name(edge_type: EdgeType) -> str:
    return "-".join(edge_type)
