"""Virtual queries on the graph: each recommendation edge says what it looks as if searched for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sargraph.core.errors import BadInputError
from sargraph.core.rng import make_rng
from sargraph.core.types import NO_ROW, NO_TIME, BoolArray, IntArray
from sargraph.embedding.embeddings import Embeddings, unit_rows
from sargraph.embedding.model import embedding_model
from sargraph.embedding.virtual_terms import nearest_rows, nearest_terms, searched_terms
from sargraph.graph.graph import CLICKED, FOUND, ISSUED, LED_TO, EdgeTable, Graph, VirtualQueries


def add_virtual_queries(graph: Graph, embeddings: Embeddings, k: int = 5) -> Graph:
    """A child of graph and embeddings whose `clicked` edges carry their virtual queries.

    For each edge: the vector q~(u, i), or q~(u, i, t) of a model whose demand changes, asked as of
    the edge's time (nothing at or after it is read); the k real queries nearest by cosine among
    those that the graph's searches used; the k of their terms that the vector names (see
    `nearest_terms`); and the cosine with the best query as confidence. Training edges have
    taken part in the training: what they are named is a description, not a test (`term_recall`).
    Cost: exact, O(unique (pair, time) · (queries + terms) · dim), in blocks.
    Raises BadInputError when the graph has no clicked edges or no searched queries, when k < 1, or
    when graph and embeddings have different vocabularies.
    """
    _check(graph, embeddings, k)
    clicked = graph.edges[CLICKED]
    asked = np.stack([clicked.to_row, clicked.from_row, clicked.time])
    (item, user, time), of_edge = np.unique(asked, axis=1, return_inverse=True)
    of_edge = of_edge.reshape(-1)
    vector = embedding_model(embeddings.model).demand_from(embeddings, user, item, time)
    is_used = _searched_queries(graph)
    queries, cosine = nearest_rows(vector, embeddings.vectors("query"), is_used, k)
    has_term = searched_terms(embeddings, np.flatnonzero(is_used))
    terms = nearest_terms(embeddings, vector, has_term, k)
    virtual = VirtualQueries(
        vector=vector[of_edge],
        queries=queries[of_edge],
        terms=terms[of_edge],
        confidence=cosine[of_edge, 0],
        model=embeddings.model,
    )
    own = {"graph": graph.content_hash, "embeddings": embeddings.content_hash}
    parents = {**graph.parents, **own}
    return replace(graph, virtual=virtual, parents=parents, content_hash="")


def explain_edge(
    graph: Graph, user_id: str, item_id: str, embeddings: Embeddings | None = None
) -> list[dict[str, Any]]:
    """What each recommendation edge between a user and an item looks as if searched for.

    One dictionary per edge: user, item, time (None = background), queries and terms by name, best
    first, confidence, model; with the `embeddings` also the cosine of every query.
    Raises UnknownIdError for an unknown id, BadInputError when the graph has no virtual queries or
    no such edge.
    """
    virtual = _virtual(graph)
    users, items = graph.vocabularies["user"], graph.vocabularies["item"]
    user, item = users.row(user_id), items.row(item_id)
    clicked = graph.edges[CLICKED]
    edges = np.flatnonzero((clicked.from_row == user) & (clicked.to_row == item))
    if len(edges) == 0:
        raise BadInputError(_no_such_edge(graph, user, item))
    return [
        {
            "user": users.names[user],
            "item": items.names[item],
            "time": None if clicked.time[edge] == NO_TIME else int(clicked.time[edge]),
            "queries": _names(graph, "query", virtual.queries[edge]),
            "terms": _names(graph, "term", virtual.terms[edge]),
            "confidence": float(virtual.confidence[edge]),
            "model": virtual.model,
            **({} if embeddings is None else _cosines(virtual, int(edge), embeddings)),
        }
        for edge in edges
    ]


def virtual_query_words(graph: Graph, n: int, seed: int = 0) -> list[tuple[str, str, str, float]]:
    """A sample of n edges to read: (user, item name, words of the virtual query, confidence).

    Fewer where there are fewer edges. Raises BadInputError without virtual queries.
    """
    virtual = _virtual(graph)
    clicked = graph.edges[CLICKED]
    rng = make_rng(seed, "virtual query words")
    edges = np.sort(rng.choice(len(clicked), size=min(n, len(clicked)), replace=False))
    users, items = graph.vocabularies["user"], graph.vocabularies["item"]
    return [
        (
            users.names[clicked.from_row[edge]],
            items.names[clicked.to_row[edge]],
            ", ".join(_names(graph, "term", virtual.terms[edge])),
            float(virtual.confidence[edge]),
        )
        for edge in edges
    ]


def _check(graph: Graph, embeddings: Embeddings, k: int) -> None:
    if k < 1:
        raise BadInputError(f"k: got {k}, expected at least 1")
    if len(graph.edges.get(CLICKED, ())) == 0:
        raise BadInputError(f"graph '{graph.name}' has no clicked edges to give virtual queries to")
    for kind, vocabulary in graph.vocabularies.items():
        if vocabulary.ids != embeddings.vocabularies[kind].ids:
            raise BadInputError(
                f"the {kind} ids of graph '{graph.name}' are not those of the embeddings; "
                "give the embeddings that were trained on this graph"
            )
    if not _searched_queries(graph).any():
        raise BadInputError(
            f"graph '{graph.name}' has no searches with query terms, so no virtual query can be "
            "named; build it from events with searches"
        )


def _searched_queries(graph: Graph) -> BoolArray:
    """True for queries with terms that an edge of a search of this graph has."""
    used = np.zeros(graph.num_nodes["query"], dtype=np.bool_)
    for edge_type, column in ((FOUND, "query"), (ISSUED, "to_row"), (LED_TO, "from_row")):
        if edge_type in graph.edges:
            rows = getattr(graph.edges[edge_type], column)
            used[rows[rows != NO_ROW]] = True
    return np.asarray(used & (graph.query_terms.lengths > 0))


def _virtual(graph: Graph) -> VirtualQueries:
    if graph.virtual is None:
        raise BadInputError(
            f"graph '{graph.name}' has no virtual queries; make them with "
            "add_virtual_queries or `sargraph virtualise`"
        )
    return graph.virtual


def _names(graph: Graph, kind: str, rows: IntArray) -> list[str]:
    names = graph.vocabularies[kind].names
    return [names[row] for row in rows if row != NO_ROW]


def _cosines(virtual: VirtualQueries, edge: int, embeddings: Embeddings) -> dict[str, list[float]]:
    rows = virtual.queries[edge]
    vectors = unit_rows(embeddings.vectors("query")[rows[rows != NO_ROW]])
    return {"cosines": (vectors @ unit_rows(virtual.vector[edge : edge + 1])[0]).tolist()}


def _no_such_edge(graph: Graph, user: int, item: int) -> str:
    """What there is instead of the edge that was asked for."""
    users, items = graph.vocabularies["user"], graph.vocabularies["item"]
    missing = f"no recommendation edge from user '{users.ids[user]}' to item '{items.ids[item]}'"
    found = graph.edges.get(FOUND, EdgeTable.of(*[np.empty(0, np.int64)] * 2))
    searched = np.flatnonzero((found.from_row == user) & (found.to_row == item))
    if len(searched) and found.query[searched[0]] != NO_ROW:
        query = graph.vocabularies["query"].names[found.query[searched[0]]]
        return f"{missing}; it is a search edge, and its real query is '{query}'"
    clicked = graph.edges[CLICKED]
    some = [items.ids[row] for row in clicked.to_row[clicked.from_row == user][:3]]
    return f"{missing}; this user has edges to: {', '.join(some) or 'nothing'}"
