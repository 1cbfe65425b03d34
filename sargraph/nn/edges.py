"""The edges that translation runs over, prepared once so that every step is only products."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from sargraph.core.errors import BadInputError
from sargraph.nn.contexts import TimedContexts
from sargraph.nn.sparse import SparseMatrix, SparsePattern


@dataclass(frozen=True)
class EdgeMeans:
    """Matrices whose rows sum to the share of such edges at a node, 1 where it has no others."""

    to_item: SparseMatrix
    """[items, users]: the mean over an item's edges of their users."""
    to_user: SparseMatrix
    """[users, items]: the mean over a user's edges of their items."""
    pairs: SparseMatrix
    """[users + items, pairs]: the virtual queries' part in the mean demand of a node."""
    terms: SparseMatrix
    """[users + items, terms]: the real queries' part in it."""


@dataclass(frozen=True)
class TranslationEdges:
    """User-item edges of both sources; parallel edges stay.

    A search edge carries its query's words, a recommendation edge the virtual query of its
    (context, item) pair; the context is the user, or the user at the edge's time (`contexts`). Each
    unique pair of recommendation edges has one row in `pair_context` and `pair_item`, sorted by
    item, and `pair` leads from an edge to it (-1 on search edges).
    Memory: about 150 bytes an edge.
    """

    num_users: int
    num_items: int
    num_terms: int
    user: Int[Tensor, " edges"]
    item: Int[Tensor, " edges"]
    is_search: Bool[Tensor, " edges"]
    query_terms: Int[Tensor, "edges length"]
    """Term rows of the query; -1 is padding. Read on search edges only."""
    pair: Int[Tensor, " edges"]
    context: Int[Tensor, " edges"]
    """What of the user's history an edge knows: a row of `contexts`, or the user where None."""
    contexts: TimedContexts | None
    pair_context: Int[Tensor, " pairs"]
    pair_item: Int[Tensor, " pairs"]
    pair_edge: Int[Tensor, " rec_edges"]
    """The recommendation edges: the entries of `node_pair`, once for users, once for items."""
    term_edge: Int[Tensor, " query_words"]
    """The edge of each query word: the entries of `node_term`, once for users, once for items."""
    item_user: SparsePattern
    node_pair: SparsePattern
    """[users + items, pairs]: which pairs a node's recommendation edges have."""
    node_term: SparsePattern
    """[users + items, terms]: which words a node's search edges have."""
    of_all: dict[torch.dtype, EdgeMeans] = field(default_factory=dict, compare=False, repr=False)
    """The means over all edges, once they were asked for."""

    @classmethod
    def build(
        cls,
        user: Int[Tensor, " edges"],
        item: Int[Tensor, " edges"],
        is_search: Bool[Tensor, " edges"],
        query_terms: Int[Tensor, "edges length"],
        sizes: tuple[int, int, int],
        timed: tuple[Int[Tensor, " edges"], TimedContexts] | None = None,
    ) -> TranslationEdges:
        """Prepare edges over `sizes` = (num_users, num_items, num_terms).

        `timed` gives the context of each edge, and the contexts. Cost O(edges log edges).
        Raises BadInputError for a row outside its table.
        """
        num_users, num_items, num_terms = sizes
        check_rows("edge user", user, num_users)
        check_rows("edge item", item, num_items)
        check_rows("edge query term", query_terms, num_terms, padding=True)
        pair_edge = torch.nonzero(~is_search).flatten()
        context, contexts = timed if timed is not None else (user, None)
        width = max(num_users, len(contexts) if contexts is not None else 0, 1)
        codes, of_edge = torch.unique(
            item[pair_edge] * width + context[pair_edge], return_inverse=True
        )
        term_edge, place = torch.nonzero((query_terms >= 0) & is_search.unsqueeze(1), as_tuple=True)
        term = query_terms[term_edge, place]
        return cls(
            num_users=num_users,
            num_items=num_items,
            num_terms=num_terms,
            user=user,
            item=item,
            is_search=is_search,
            query_terms=query_terms,
            pair=torch.full_like(user, -1).index_put((pair_edge,), of_edge),
            context=context,
            contexts=contexts,
            pair_context=codes % width,
            pair_item=codes // width,
            pair_edge=pair_edge,
            term_edge=term_edge,
            item_user=SparsePattern.build(item, user, num_items, num_users),
            node_pair=_of_nodes(user[pair_edge], item[pair_edge], of_edge, sizes, len(codes)),
            node_term=_of_nodes(user[term_edge], item[term_edge], term, sizes, num_terms),
        )

    def means(self, dtype: torch.dtype, keep: Bool[Tensor, " edges"] | None = None) -> EdgeMeans:
        """The means over the edges where `keep` is True; those over all edges are made once."""
        if keep is None and dtype in self.of_all:
            return self.of_all[dtype]
        kept = torch.ones_like(self.user, dtype=dtype) if keep is None else keep.to(dtype)
        at_user = _shares(kept, self.user, self.num_users)
        at_item = _shares(kept, self.item, self.num_items)
        found = EdgeMeans(
            to_item=self.item_user.weighted(at_item),
            to_user=self.item_user.flipped().weighted(at_user),
            pairs=self.node_pair.weighted(_both(at_user, at_item, self.pair_edge)),
            terms=self.node_term.weighted(_both(at_user, at_item, self.term_edge)),
        )
        if keep is None:
            self.of_all[dtype] = found
        return found

    def outside(
        self, user: Int[Tensor, " batch"], item: Int[Tensor, " batch"]
    ) -> Bool[Tensor, " edges"]:
        """True for the edges between none of the given pairs: a training step's message edges.

        The rows that a step predicts must not be read from the graph that predicts them, nor from
        a parallel edge in either source. Cost O((edges + batch) log). A batch should hold a small
        part of all edges: what it predicts carries no messages in that step.
        """
        return ~torch.isin(self.user * self.num_items + self.item, user * self.num_items + item)


def _of_nodes(
    user: Tensor, item: Tensor, column: Tensor, sizes: tuple[int, int, int], num_columns: int
) -> SparsePattern:
    """One entry at the user and one at the item of every edge; items stand below the users."""
    row = torch.cat([user, item + sizes[0]])
    return SparsePattern.build(row, torch.cat([column, column]), sizes[0] + sizes[1], num_columns)


def _both(at_user: Tensor, at_item: Tensor, edge: Tensor) -> Tensor:
    """The shares of edges at their users, then at their items: the entries of `_of_nodes`."""
    return torch.cat([at_user[edge], at_item[edge]])


def _shares(kept: Tensor, node: Tensor, num_nodes: int) -> Tensor:
    degree = kept.new_zeros(num_nodes).index_add_(0, node, kept)
    return kept / degree.clamp(min=1)[node]


def check_rows(name: str, rows: Tensor, size: int, padding: bool = False) -> None:
    """Raise BadInputError unless all rows lie in [0, size); `padding` allows -1 as well."""
    lowest = -1 if padding else 0
    if rows.numel() and (int(rows.min()) < lowest or int(rows.max()) >= size):
        raise BadInputError(
            f"{name}: got rows {int(rows.min())}..{int(rows.max())}, "
            f"expected {lowest}..{size - 1}; look rows up in the vocabulary of these tables"
        )
