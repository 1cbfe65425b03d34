"""What UDITSR reads of a graph: edges of both sources, words of users and items, negatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from sargraph.core.errors import BadInputError
from sargraph.core.types import NO_ROW, IntArray
from sargraph.embedding.frequent_terms import FrequentTerms, only_from_pair
from sargraph.embedding.negatives import FreeItems
from sargraph.embedding.query_history import QueryHistories
from sargraph.graph.graph import CLICKED, FOUND, EdgeTable, EdgeType, Graph
from sargraph.nn.contexts import TimedContexts
from sargraph.nn.edges import TranslationEdges


@dataclass(frozen=True)
class UDITSRData:
    """A graph as UDITSR trains on it.

    `edges` holds clicked edges first, then found edges whose query has terms. `own_user_terms`
    and `own_item_terms` mark, per edge, the frequent words that only this edge's own (user, item)
    pair brought about. `counts` says what was used and what was not.
    """

    edges: TranslationEdges
    user_terms: Int[Tensor, "users user_length"]
    item_terms: Int[Tensor, "items item_length"]
    query_terms: Int[Tensor, "queries length"]
    own_user_terms: Bool[Tensor, "edges user_length"]
    own_item_terms: Bool[Tensor, "edges item_length"]
    free_items: FreeItems
    counts: dict[str, int]
    histories: QueryHistories | None = None
    """What users asked before, where virtual queries are timed."""

    def shuffled(
        self, generator: torch.Generator
    ) -> tuple[Int[Tensor, " rows"], Int[Tensor, " rows"]]:
        """(edges, negative items) of one pass over all edges, in a random order.

        Users who chose every item have nothing to be ranked lower and are left out.
        """
        rows = torch.nonzero(self.free_items.any_for(self.edges.user)).flatten()
        rows = rows[torch.randperm(len(rows), generator=generator)]
        return rows, self.free_items.draw(self.edges.user[rows], generator)


def uditsr_data(
    graph: Graph,
    max_query_terms: int,
    num_user_terms: int,
    num_item_terms: int,
    missing: int = NO_ROW,
    history_length: int | None = None,
) -> UDITSRData:
    """Prepare a graph for UDITSR.

    Words are counted over found edges as published: the `num_user_terms` and `num_item_terms` most
    frequent, of queries cut to `max_query_terms`. Items with fewer are filled up from their text.
    `missing` is the term row that stands where there is no word (published: word 0). With
    `history_length` each edge knows its user's last so many queries before its time instead.
    Raises BadInputError when there is no edge to learn from. Cost: a few sorts of the edges.
    """
    sizes = graph.num_nodes
    query_terms = graph.query_terms.to_padded(max_query_terms)
    clicked, found = _edges(graph, CLICKED), _edges(graph, FOUND)
    searched = _with_terms(found, query_terms)
    _check_edges(graph, len(clicked) + len(searched))
    queries = query_terms[searched.query]
    by_user = FrequentTerms.count(searched.from_row, queries, sizes["user"], num_user_terms)
    by_item = FrequentTerms.count(
        searched.to_row, queries, sizes["item"], num_item_terms, graph.item_terms
    )
    user, item = _ends(clicked, searched)
    pair = np.unique(user * sizes["item"] + item, return_inverse=True)[1]
    asked = pair[len(clicked) :]
    histories, timed = _timed(graph, user, (clicked, searched), query_terms, history_length)
    edges = TranslationEdges.build(
        torch.from_numpy(user),
        torch.from_numpy(item),
        torch.arange(len(user)) >= len(clicked),
        _words(np.concatenate([np.full((len(clicked), max_query_terms), -1), queries]), missing),
        (sizes["user"], sizes["item"], sizes["term"]),
        timed,
    )
    own_user_terms = only_from_pair(by_user, user, pair, asked, queries)
    if histories is not None:
        own_user_terms[:] = False  # queries strictly before an edge are never its own
    return UDITSRData(
        edges=edges,
        user_terms=_words(by_user.terms, missing),
        item_terms=_words(by_item.terms, missing),
        query_terms=_words(query_terms, missing),
        own_user_terms=torch.from_numpy(own_user_terms),
        own_item_terms=torch.from_numpy(only_from_pair(by_item, item, pair, asked, queries)),
        free_items=_free_items(*_ends(clicked, found), graph),
        counts=_counts(clicked, found, searched),
        histories=histories,
    )


def _timed(
    graph: Graph,
    user: IntArray,
    tables: tuple[EdgeTable, EdgeTable],
    query_terms: IntArray,
    length: int | None,
) -> tuple[QueryHistories | None, tuple[Tensor, TimedContexts] | None]:
    """The query histories, the context of each edge and the contexts; nothing without a length."""
    if length is None:
        return None, None
    histories = QueryHistories.of(graph, query_terms, length)
    context, contexts = histories.contexts(user, np.concatenate([each.time for each in tables]))
    return histories, (torch.from_numpy(context), contexts)


def _counts(clicked: EdgeTable, found: EdgeTable, searched: EdgeTable) -> dict[str, int]:
    return {
        "recommendation_edges": len(clicked),
        "search_edges": len(searched),
        "search_edges_without_terms": len(found) - len(searched),
    }


def _with_terms(found: EdgeTable, query_terms: IntArray) -> EdgeTable:
    """The found edges whose query has a term."""
    asked = found.take(found.query != NO_ROW)
    return asked.take((query_terms[asked.query] >= 0).any(axis=1))


def _ends(left: EdgeTable, right: EdgeTable) -> tuple[IntArray, IntArray]:
    """Users and items of both tables, one after the other."""
    return (
        np.concatenate([left.from_row, right.from_row]),
        np.concatenate([left.to_row, right.to_row]),
    )


def _free_items(user: IntArray, item: IntArray, graph: Graph) -> FreeItems:
    sizes = graph.num_nodes
    return FreeItems.build(
        torch.from_numpy(user), torch.from_numpy(item), sizes["user"], sizes["item"]
    )


def _check_edges(graph: Graph, num_edges: int) -> None:
    if num_edges == 0:
        raise BadInputError(
            f"graph '{graph.name}' has no clicked edge and no found edge with query terms, "
            "expected at least one; build it from events with chosen items"
        )


def _edges(graph: Graph, edge_type: EdgeType) -> EdgeTable:
    """The table of a type, empty where the graph has none."""
    none = np.empty(0, dtype=np.int64)
    return graph.edges.get(edge_type, EdgeTable.of(none, none))


def _words(rows: IntArray, missing: int) -> Tensor:
    """Term rows as a tensor, with `missing` where there is no word."""
    return torch.from_numpy(np.where(rows < 0, missing, rows).astype(np.int64))
