"""`build_graph`: training events become typed edges in one vectorised pass."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from sargraph.core.config import Config
from sargraph.core.errors import DataError
from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, NO_TIME, BoolArray, IntArray
from sargraph.events.events import Events
from sargraph.events.searches import searches
from sargraph.events.split import Split
from sargraph.events.vocabulary import Vocabulary
from sargraph.graph.graph import (
    BELONGS_TO,
    CLICKED,
    CONTAINS,
    FOLLOWS,
    FOUND,
    ISSUED,
    LED_TO,
    EdgeTable,
    EdgeType,
    Graph,
)
from sargraph.graph.validate import validate

Verb: TypeAlias = Literal[
    "clicked", "found", "issued", "led_to", "contains", "belongs_to", "follows"
]
Relation: TypeAlias = Literal["belongs_to", "follows"]


ALL_EVENTS = "none, all events"
"""Stands for the split of a graph that holds every event."""


class GraphConfig(Config):
    """Which edges are built from the events."""

    verbs: tuple[Verb, ...] = ("clicked", "found", "issued", "led_to", "contains")
    """Edge types to build, by verb; a log without categories or follows is an error where
    `belongs_to` or `follows` is named here."""
    where_present: tuple[Relation, ...] = ()
    """Further verbs, built only where the log has what they need."""
    contains: Literal["all", "training"] = "all"
    """Queries whose terms become edges: every known query (its text is no label), or only those
    that a training event issued."""


def build_graph(
    events: Events,
    split: Split | None = None,
    *,
    config: GraphConfig | None = None,
    extra_edges: dict[EdgeType, EdgeTable] | None = None,
) -> Graph:
    """Build the user-query-item graph of the training events (of all events without a split).

    `clicked` and `found` are the chosen items of recommendation and of search, the latter with
    the query; `issued` is one edge per search, with or without a click; `led_to` joins the query
    of a search to each item chosen in it; `contains` joins a query to its terms and has no time.
    On request `belongs_to` joins an item to each of its categories (which then are nodes) and
    `follows` a user to the users followed, both without a time and once per pair. Other parallel
    edges stay. Each edge keeps the row of its event. `extra_edges` adds ready-made tables, such as
    similar users. Every timed edge is before `split.cut_valid`.

    Raises DataError when the log lacks a wanted relation, or an extra edge type is already built
    or does not fit the nodes.
    Cost: O(events + edges), a few passes over the columns.
    """
    config = config or GraphConfig()
    training = np.ones(len(events), dtype=bool) if split is None else split.is_train
    verbs = _wanted(events, config)
    edges = _edges(events, training, config, verbs)
    _add_extra(edges, extra_edges or {})
    graph = Graph(
        vocabularies=_vocabularies(events, verbs),
        edges=edges,
        query_terms=events.query_terms,
        item_terms=events.item_terms,
        name=events.name,
        time_kind=events.time_kind,
        cut=NO_TIME if split is None else split.cut_valid,
        parents=_parents(events, split),
    )
    validate(graph)
    return graph


def _parents(events: Events, split: Split | None) -> dict[str, str]:
    """The events, and the split whose held-out choices the graph does not hold."""
    of_split = ALL_EVENTS if split is None else split.content_hash
    of_events = {"events": events.content_hash} if events.content_hash else {}
    return {**of_events, "split": of_split}


def _add_extra(edges: dict[EdgeType, EdgeTable], extra_edges: dict[EdgeType, EdgeTable]) -> None:
    for edge_type, table in extra_edges.items():
        if edge_type in edges:
            raise DataError(
                f"extra edge type {'-'.join(edge_type)} is built from the events already; "
                "give it another verb or leave the verb out of GraphConfig.verbs"
            )
        edges[edge_type] = table


def _wanted(events: Events, config: GraphConfig) -> set[str]:
    """The verbs to build. Raises DataError for a named verb that the log has nothing for."""
    present = {"belongs_to": events.categories is not None, "follows": events.follows is not None}
    for verb, is_present in present.items():
        if verb in config.verbs and not is_present:
            what = "categories" if verb == "belongs_to" else "follows"
            raise DataError(
                f"log '{events.name}' has no {what}, which the verb '{verb}' needs; leave it out "
                "of GraphConfig.verbs or name it in where_present"
            )
    return {*config.verbs, *(verb for verb in config.where_present if present[verb])}


def _vocabularies(events: Events, verbs: set[str]) -> dict[str, Vocabulary]:
    """The nodes; categories are nodes only where edges lead to them."""
    vocabularies = dict(events.vocabularies)
    if "belongs_to" in verbs and events.categories is not None:
        vocabularies["category"] = events.categories.vocabulary
    return vocabularies


def _edges(
    events: Events, training: BoolArray, config: GraphConfig, verbs: set[str]
) -> dict[EdgeType, EdgeTable]:
    """The tables of the wanted verbs, in the order of the verbs of the design."""
    chosen = training & events.is_positive
    found = np.flatnonzero(chosen & events.is_search)
    issued = searches(events, training)
    makers = {
        CLICKED: lambda: _from_events(
            events, CLICKED, np.flatnonzero(chosen & events.is_recommend)
        ),
        FOUND: lambda: _from_events(events, FOUND, found),
        ISSUED: lambda: _from_events(events, ISSUED, issued),
        LED_TO: lambda: _from_events(events, LED_TO, found[events.query[found] != NO_ROW]),
        CONTAINS: lambda: _contains(events, issued if config.contains == "training" else None),
        BELONGS_TO: lambda: _background(
            None if events.categories is None else events.categories.of_item
        ),
        FOLLOWS: lambda: _background(events.follows),
    }
    return {kind: make() for kind, make in makers.items() if kind[1] in verbs}


def _background(relation: Ragged | None) -> EdgeTable:
    """Edges without a time from each row to its values; a fact listed twice is one edge."""
    relation = relation or Ragged.from_lists([])
    row, value = relation.row_of_value, relation.values
    is_new = ~pd.DataFrame({"row": row, "value": value}).duplicated().to_numpy()
    return EdgeTable.of(row[is_new], value[is_new])


def _from_events(events: Events, edge_type: EdgeType, rows: IntArray) -> EdgeTable:
    """One edge per event row; its end points are the event's columns of those names."""
    source, _, target = edge_type
    columns = events.columns
    return EdgeTable.of(
        columns[source][rows].astype(np.int64),
        columns[target][rows].astype(np.int64),
        time=events.time[rows],
        weight=columns["weight"][rows],
        query=events.query[rows] if edge_type in (CLICKED, FOUND) else np.full(len(rows), NO_ROW),
        position=columns["position"][rows],
        event=rows,
    )


def _contains(events: Events, issued: IntArray | None) -> EdgeTable:
    """Background edges from queries to their terms: of all queries, or of the issued ones."""
    query, term = events.query_terms.row_of_value, events.query_terms.values
    if issued is not None:
        is_issued = np.zeros(len(events.queries), dtype=bool)
        is_issued[events.query[issued]] = True
        query, term = query[is_issued[query]], term[is_issued[query]]
    return EdgeTable.of(query, term)
