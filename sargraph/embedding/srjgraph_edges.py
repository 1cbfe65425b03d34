"""The user-item edges that SRJGraph runs over, with what was asked as their attribute."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from sargraph.core.errors import BadInputError
from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW
from sargraph.graph.graph import CLICKED, FOUND, Graph


@dataclass(frozen=True)
class IntentEdges:
    """User-item edges of both sources; parallel edges stay.

    `query` is -1 on recommendation edges and on found edges that name no query. `attribute` is the
    row of what an edge carries: the words of a distinct query, a row of (`terms`, `offsets`), or
    the special attribute, which stands behind the last of them. Memory: about 50 bytes an edge.
    """

    num_users: int
    num_items: int
    user: Int[Tensor, " edges"]
    item: Int[Tensor, " edges"]
    query: Int[Tensor, " edges"]
    attribute: Int[Tensor, " edges"]
    terms: Int[Tensor, " words"]
    offsets: Int[Tensor, " queries_plus_one"]

    def __len__(self) -> int:
        return len(self.user)

    @classmethod
    def build(
        cls,
        user: Int[Tensor, " edges"],
        item: Int[Tensor, " edges"],
        query: Int[Tensor, " edges"],
        query_terms: Ragged,
        sizes: tuple[int, int, int],
    ) -> IntentEdges:
        """Prepare edges over `sizes` = (num_users, num_items, num_terms). Cost: one sort.

        Raises BadInputError for a row outside its table.
        """
        _check_rows("user", user, sizes[0])
        _check_rows("item", item, sizes[1])
        _check_rows("query", query, len(query_terms), lowest=NO_ROW)
        asked = torch.nonzero(query != NO_ROW).flatten()
        queries, of_edge = torch.unique(query[asked], return_inverse=True)
        lists = query_terms.take(queries.numpy())
        terms = torch.from_numpy(lists.values)
        _check_rows("term", terms, sizes[2])
        attribute = torch.full_like(query, len(queries)).index_put((asked,), of_edge)
        offsets = torch.from_numpy(lists.offsets)
        return cls(sizes[0], sizes[1], user, item, query, attribute, terms, offsets)

    @classmethod
    def of(cls, graph: Graph) -> IntentEdges:
        """The clicked edges of a graph, then its found edges.

        Raises BadInputError when there is none.
        """
        kinds = [kind for kind in (CLICKED, FOUND) if kind in graph.edges]
        tables = [graph.edges[kind] for kind in kinds]
        if not sum(map(len, tables)):
            raise BadInputError(
                f"graph '{graph.name}' has no clicked and no found edge, expected at least one; "
                "build it from events with chosen items"
            )
        asked = [
            table.query if kind == FOUND else np.full(len(table), NO_ROW)
            for kind, table in zip(kinds, tables, strict=True)
        ]
        columns = ([table.from_row for table in tables], [table.to_row for table in tables], asked)
        user, item, query = (torch.from_numpy(np.concatenate(parts)) for parts in columns)
        num = graph.num_nodes
        sizes = (num["user"], num["item"], num["term"])
        return cls.build(user, item, query, graph.query_terms, sizes)

    def outside(
        self, user: Int[Tensor, " batch"], item: Int[Tensor, " batch"]
    ) -> Bool[Tensor, " edges"]:
        """True for the edges between none of the given pairs: a training step's message edges.

        The rows that a step predicts are read neither from their own edges nor from parallel ones
        in either source. Cost O((edges + batch) log).
        """
        return ~torch.isin(self.user * self.num_items + self.item, user * self.num_items + item)


def bag_of_words(
    words: Float[Tensor, "terms dim"],
    terms: Int[Tensor, " words"],
    offsets: Int[Tensor, " queries_plus_one"],
    mode: str,
) -> Float[Tensor, "queries dim"]:
    """The sum or mean (`mode`) of each query's word vectors; 0 for a query without a word."""
    if len(terms) == 0:
        return words.new_zeros(len(offsets) - 1, words.shape[1])
    return F.embedding_bag(terms, words, offsets, mode=mode, include_last_offset=True)


def _check_rows(what: str, rows: Tensor, size: int, lowest: int = 0) -> None:
    if len(rows) and (int(rows.min()) < lowest or int(rows.max()) >= size):
        raise BadInputError(
            f"{what} rows of edges: got {int(rows.min())}..{int(rows.max())}, expected "
            f"{lowest}..{size - 1}; look rows up in the vocabulary of the graph"
        )
