"""The audit of graphs: no edge, in no direction and by no road, knows of a held-out event."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from sargraph.core.types import NO_ROW
from sargraph.events.events import Events
from sargraph.events.split import TEST, TRAIN, VALID, Split, requests_for
from sargraph.graph.graph import CONTAINS, EdgeType, Graph
from sargraph.graph.interop import REVERSE
from sargraph.graph.sample import NeighbourSampler

Pair = tuple[str, int, str, int]
"""(node type, row, node type, row), the types in alphabetical order."""


def assert_no_reverse_edge(
    make_graph: Callable[[Events, Split], Graph], events: Events, split: Split
) -> None:
    """No edge joins what only held-out events join, nor names a query that only they asked.

    A held-out event joins its user to its item, its user to its query and its query to its item;
    where no training event joins the same two (a user and an item with `split.twins`: even where
    one does), an edge between them in any type is a leak: stored, in `graph.to_pyg()` (`rev_`
    types too), or drawn by the neighbour sampler around the users, items and queries of test
    requests at their times, which also must give no edge at or after that time. A query that no
    training event asked may have edges to its terms (its text is no label) but none to users or
    items, and may be the `query` of no edge. Tables given as extra edges are edges like any other.
    Raises AssertionError with the road and the edge type. Cost: loops; for small worlds.
    """
    graph = make_graph(events, split)
    held_out = _pairs(events, np.isin(split.part, (VALID, TEST)))
    secret = held_out - _pairs(events, split.part == TRAIN)
    if split.twins:
        secret |= {pair for pair in held_out if (pair[0], pair[2]) == ("item", "user")}
    asked = set(events.query[(split.part == TRAIN) & (events.query != NO_ROW)].tolist())
    edges = [*_stored(graph), *_in_pyg(graph), *_sampled(graph, events, split)]
    for road, (source, verb, target), start, end, query in edges:
        where = f"{road} edge {source}-{verb}-{target} from {start} to {end}"
        if _pair(source, start, target, end) in secret:
            raise AssertionError(f"{where} joins a held-out pair")
        ends = {source: start, target: end}
        is_text = verb.removeprefix(REVERSE) == CONTAINS[1]
        if not is_text and "query" in ends and ends["query"] not in asked:
            raise AssertionError(f"{where} leads to a query that only held-out events asked")
        if query != NO_ROW and query not in asked:
            raise AssertionError(f"{where} carries query {query}, which only held-out events asked")


def graph_columns(graph: Graph) -> dict[str, Any]:
    """The columns of every edge table by name, for `assert_training_unread`.

    The numbers of the events are left out: they move when another event is deleted.
    """
    return {
        f"{'-'.join(edge_type)}.{name}": column
        for edge_type, table in graph.edges.items()
        for name, column in vars(table).items()
        if name != "event"
    }


Edge = tuple[str, EdgeType, int, int, int]
"""(road, edge type, row of its start, row of its end, its query)."""


def _pair(source: str, start: int, target: str, end: int) -> Pair:
    return (source, start, target, end) if source <= target else (target, end, source, start)


def _pairs(events: Events, mask: Any) -> set[Pair]:
    """What the masked events join."""
    found: set[Pair] = set()
    for row in np.flatnonzero(mask).tolist():
        user, item, query = (int(events.columns[k][row]) for k in ("user", "item", "query"))  # type: ignore[call-overload]
        chosen = bool(events.is_positive[row])
        if chosen:
            found.add(_pair("user", user, "item", item))
        if query != NO_ROW:
            found.add(_pair("user", user, "query", query))
        if chosen and query != NO_ROW:
            found.add(_pair("query", query, "item", item))
    return found


def _stored(graph: Graph) -> Iterator[Edge]:
    for kind, table in graph.edges.items():
        columns = (table.from_row, table.to_row, table.query)
        for start, end, query in zip(*(c.tolist() for c in columns), strict=True):
            yield "stored", kind, start, end, query


def _in_pyg(graph: Graph) -> Iterator[Edge]:
    data = graph.to_pyg()
    for kind in data.edge_types:
        store = data[kind]
        columns = (*store.edge_index, store.query)
        for start, end, query in zip(*(c.tolist() for c in columns), strict=True):
            yield "PyG", kind, start, end, query


def _sampled(graph: Graph, events: Events, split: Split) -> Iterator[Edge]:
    """Two hops around the ends of every test request, as of its time."""
    sampler = NeighbourSampler(graph, [-1, -1])
    for task in ("search", "recommend"):
        requests = requests_for(events, split, TEST, task)  # type: ignore[arg-type]
        for kind, rows in (
            ("user", requests.user), ("item", requests.target), ("query", requests.query)
        ):  # fmt: skip
            known = rows != NO_ROW
            sample = sampler.sample(kind, rows[known], as_of=requests.as_of[known])
            for edge_type, edge in sample.edge.items():
                source, _, target = edge_type
                table = graph.edges[_forward(edge_type)]
                limit = requests.as_of[known][sample.tree[target][sample.col[edge_type]]]
                if np.any(table.time[edge] >= limit):
                    raise AssertionError(f"sampled edges {edge_type} are not before the request")
                starts = sample.node[source][sample.row[edge_type]].tolist()
                ends = sample.node[target][sample.col[edge_type]].tolist()
                for start, end, query in zip(starts, ends, table.query[edge].tolist(), strict=True):
                    yield "sampled", edge_type, start, end, query


def _forward(edge_type: EdgeType) -> EdgeType:
    source, verb, target = edge_type
    return (target, verb.removeprefix(REVERSE), source) if verb.startswith(REVERSE) else edge_type
