"""What LightGCN reads of a graph: undirected edges, rows to learn from, words of queries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from sargraph.core.errors import BadInputError
from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, IntArray
from sargraph.embedding.graph_pairs import CHOSEN, Pairs, chosen_pairs, distinct, query_pairs
from sargraph.embedding.negatives import FreeItems
from sargraph.embedding.node_rows import NodeRows
from sargraph.embedding.symmetric import FixedMatrix, SymmetricEdges
from sargraph.graph.graph import CONTAINS, ISSUED, LED_TO, Graph
from sargraph.graph.pairs import pair_keys
from sargraph.nn.sparse import SparsePattern


@dataclass(frozen=True)
class LightGCNBatch:
    """Rows of one step, as rows of their own kinds; `query` is -1 where nothing was asked."""

    user: Int[Tensor, " n"]
    item: Int[Tensor, " n"]
    negative: Int[Tensor, " n"]
    query: Int[Tensor, " n"]


@dataclass(frozen=True)
class LightGCNData:
    """A graph as LightGCN trains on it.

    `user`, `item`, `query` are the distinct positives (`query` -1 where none was asked or queries
    are not read). `words` [queries, terms] holds 1 / number of distinct terms for the queries of
    the graph; None where queries are not read.
    """

    nodes: NodeRows
    edges: SymmetricEdges
    user: Int[Tensor, " positives"]
    item: Int[Tensor, " positives"]
    query: Int[Tensor, " positives"]
    free_items: FreeItems
    query_terms: Ragged
    words: FixedMatrix | None

    @classmethod
    def build(cls, graph: Graph, queries: bool) -> LightGCNData:
        """Prepare a graph, with or without its queries and terms as nodes.

        Raises BadInputError where there is nothing to learn from, or no term though `queries` is
        set. Cost: a few sorts of the edges.
        """
        sizes = graph.num_nodes
        kinds = ("user", "item", "query", "term") if queries else ("user", "item")
        nodes = NodeRows({kind: sizes[kind] for kind in kinds})
        if queries and sizes["term"] == 0:
            raise BadInputError(
                f"graph '{graph.name}' has no terms, but LightGCN with queries = true learns from "
                "the words of queries; give events whose queries have a text, or queries = false"
            )
        chosen_user, chosen_item = map(torch.from_numpy, chosen_pairs(graph))
        free = FreeItems.build(chosen_user, chosen_item, sizes["user"], sizes["item"])
        user, item, query = map(torch.from_numpy, _positives(graph, queries))
        useful = free.any_for(user)
        if not useful.any():
            raise BadInputError(
                f"graph '{graph.name}' has no user with an item chosen and one not chosen, "
                "expected at least one; build it from more events"
            )
        return cls(
            nodes,
            _edges(graph, nodes),
            user[useful],
            item[useful],
            query[useful],
            free,
            graph.query_terms,
            _words(graph) if queries else None,
        )

    def batches(self, size: int, generator: torch.Generator) -> Iterator[LightGCNBatch]:
        """All positives once, in a random order, each with one item the user never chose."""
        order = torch.randperm(len(self.user), generator=generator)
        user, item, query = self.user[order], self.item[order], self.query[order]
        columns = (user, item, self.free_items.draw(user, generator), query)
        for parts in zip(*(column.split(size) for column in columns), strict=True):
            yield LightGCNBatch(*parts)

    def own_edges(self, batch: LightGCNBatch) -> tuple[Tensor, Tensor]:
        """The edges that a batch asks about: its users and items, and its queries and items."""
        item = self.nodes.of("item", batch.item)
        first, second = [self.nodes.of("user", batch.user)], [item]
        if self.words is not None:  # queries stand behind items
            asked = batch.query != NO_ROW
            first.append(item[asked])
            second.append(self.nodes.of("query", batch.query[asked]))
        return torch.cat(first), torch.cat(second)


def _positives(graph: Graph, queries: bool) -> tuple[IntArray, IntArray, IntArray]:
    """The distinct (user, item, query) of all choices, query -1 where there is none."""
    if not queries:
        user, item = chosen_pairs(graph)
        return user, item, np.full(len(user), NO_ROW)
    tables = [graph.edges[kind] for kind in CHOSEN if kind in graph.edges]
    user, item, query = (
        np.concatenate([np.empty(0, np.int64), *(getattr(table, name) for table in tables)])
        for name in ("from_row", "to_row", "query")
    )
    pairs, place = np.unique(
        pair_keys(user, item, graph.num_nodes["user"], graph.num_nodes["item"]),
        return_inverse=True,
    )
    place, asked = distinct(place, query + 1, len(pairs), graph.num_nodes["query"] + 1)
    num_items = max(graph.num_nodes["item"], 1)
    return pairs[place] // num_items, pairs[place] % num_items, asked - 1


def _edges(graph: Graph, nodes: NodeRows) -> SymmetricEdges:
    """Every pair of nodes that is joined, once, the kind that stands first in front."""
    joined: list[tuple[str, str, Pairs]] = [("user", "item", chosen_pairs(graph))]
    if "query" in nodes.sizes:
        found = query_pairs(graph)
        joined += [
            ("user", "query", found[ISSUED]),
            ("item", "query", found[LED_TO][::-1]),
            ("query", "term", found[CONTAINS]),
        ]
    first = np.concatenate([nodes.of(kind, pairs[0]) for kind, _, pairs in joined])
    second = np.concatenate([nodes.of(kind, pairs[1]) for _, kind, pairs in joined])
    return SymmetricEdges.build(torch.from_numpy(first), torch.from_numpy(second), len(nodes))


def _words(graph: Graph) -> FixedMatrix:
    """[queries, terms]: the mean over the distinct terms of each query that the graph names."""
    query, term = query_pairs(graph)[CONTAINS]
    sizes = graph.num_nodes
    share = 1.0 / np.bincount(query, minlength=sizes["query"])[query]
    pattern = SparsePattern.build(
        torch.from_numpy(query), torch.from_numpy(term), sizes["query"], sizes["term"]
    )
    return FixedMatrix(pattern, torch.from_numpy(share))
