"""The edges that translation runs over, prepared once so that every step is only products."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sargraph.core.errors import BadInputError
from sargraph.nn.sparse import SparsePattern


@dataclass(frozen=True)
class TranslationEdges:
    """User-item edges of both sources; parallel edges stay.

    A search edge carries its query's words, a recommendation edge the virtual query of its
    (user, item) pair. Each unique pair of recommendation edges has one row in `pair_user` and
    `pair_item`, sorted by item, and `pair` leads from an edge to it (-1 on search edges).
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
    pair_user: Int[Tensor, " pairs"]
    pair_item: Int[Tensor, " pairs"]
    pair_edge: Int[Tensor, " rec_edges"]
    """The recommendation edges: the entries of `user_pair` and `item_pair`."""
    term_edge: Int[Tensor, " query_words"]
    """The edge of each query word: the entries of `user_term` and `item_term`."""
    item_user: SparsePattern
    user_pair: SparsePattern
    item_pair: SparsePattern
    user_term: SparsePattern
    item_term: SparsePattern

    @classmethod
    def build(
        cls,
        user: Int[Tensor, " edges"],
        item: Int[Tensor, " edges"],
        is_search: Bool[Tensor, " edges"],
        query_terms: Int[Tensor, "edges length"],
        sizes: tuple[int, int, int],
    ) -> TranslationEdges:
        """Prepare edges over `sizes` = (num_users, num_items, num_terms).

        Cost O(edges log edges). Raises BadInputError for a row outside its table.
        """
        num_users, num_items, num_terms = sizes
        check_rows("edge user", user, num_users)
        check_rows("edge item", item, num_items)
        check_rows("edge query term", query_terms, num_terms, padding=True)
        pair_edge = torch.nonzero(~is_search).flatten()
        codes, of_edge = torch.unique(
            item[pair_edge] * num_users + user[pair_edge], return_inverse=True
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
            pair_user=codes % num_users,
            pair_item=codes // num_users,
            pair_edge=pair_edge,
            term_edge=term_edge,
            item_user=SparsePattern.build(item, user, num_items, num_users),
            user_pair=SparsePattern.build(user[pair_edge], of_edge, num_users, len(codes)),
            item_pair=SparsePattern.build(item[pair_edge], of_edge, num_items, len(codes)),
            user_term=SparsePattern.build(user[term_edge], term, num_users, num_terms),
            item_term=SparsePattern.build(item[term_edge], term, num_items, num_terms),
        )

    def mean_weights(
        self, dtype: torch.dtype, keep: Bool[Tensor, " edges"] | None = None
    ) -> tuple[Float[Tensor, " edges"], Float[Tensor, " edges"]]:
        """Each edge's share in the mean at its user and at its item; a left-out edge has none."""
        kept = torch.ones_like(self.user, dtype=dtype) if keep is None else keep.to(dtype)
        return _shares(kept, self.user, self.num_users), _shares(kept, self.item, self.num_items)

    def outside(
        self, user: Int[Tensor, " batch"], item: Int[Tensor, " batch"]
    ) -> Bool[Tensor, " edges"]:
        """True for the edges between none of the given pairs: a training step's message edges.

        The rows that a step predicts must not be read from the graph that predicts them, nor from
        a parallel edge in either source. Cost O((edges + batch) log). A batch should hold a small
        part of all edges: what it predicts carries no messages in that step.
        """
        return ~torch.isin(self.user * self.num_items + self.item, user * self.num_items + item)


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
