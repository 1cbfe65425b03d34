"""SRJGraph's network: attributed propagation over users and items, one score head per source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sargraph.core.ragged import Ragged
from sargraph.core.rng import torch_generator
from sargraph.embedding.srjgraph_conv import IntentConv
from sargraph.embedding.srjgraph_edges import IntentEdges, bag_of_words
from sargraph.nn.score import TripleScore


@dataclass(frozen=True)
class SRJGraphSize:
    """What fixes the shapes of the network."""

    num_users: int
    num_items: int
    num_terms: int
    dim: int
    num_layers: int


class SRJGraphHeads(nn.Module):
    """What turns final vectors into scores: two networks, and what stands for no query.

    search: s(u, q, i) = MLP_s [u; i; q];  recommendation: s(u, i) = MLP_r [u; i; special]
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.special = nn.Parameter(torch.zeros(1, dim))
        self.search_score = TripleScore(dim)
        self.recommend_score = TripleScore(dim)


class SRJGraph(nn.Module):
    """Users and items exchange messages over edges whose attribute is the query, if there is one.

    With a_e the sum or mean of the query's word vectors on a search edge and one learned special
    attribute on every recommendation edge, each layer has an `IntentConv` per direction:
    ```
    h_I' = conv_ui(h_U, h_I, a)      h_U' = conv_iu(h_I, h_U, a)      LeakyReLU between layers
    ```
    The vectors of the last layer and the query (or the special attribute) are scored by the head
    of the source (`SRJGraphHeads`). Cost per propagation: O(layers · edges · dim) time and
    memory, and O(layers · (nodes + queries) dim²) products.

    Source: Zhao et al., Joint Learning of E-commerce Search and Recommendation with a Unified Graph
    Neural Network (WSDM 2022, doi 10.1145/3488560.3498414). The graph (users and items as nodes,
    queries as attributes of edges, one special attribute) is theirs. No code is public; ours are
    the form of the aggregator (see `IntentConv`), weights of their own for each direction and
    layer, no activation after the last layer, the heads (the same as UDITSR's, so that the two
    differ in their propagation), ranking by pairs instead of click prediction, and a learned vector
    per user and item instead of their features. A node without an edge starts at 0.
    """

    def __init__(
        self, size: SRJGraphSize, query_words: Literal["mean", "sum"], edges: IntentEdges, seed: int
    ) -> None:
        super().__init__()
        dim = size.dim
        self.query_words = query_words
        self.user = nn.Parameter(torch.empty(size.num_users, dim))
        self.item = nn.Parameter(torch.empty(size.num_items, dim))
        self.word = nn.Parameter(torch.empty(size.num_terms, dim))
        self.to_item = nn.ModuleList(IntentConv(dim) for _ in range(size.num_layers))
        self.to_user = nn.ModuleList(IntentConv(dim) for _ in range(size.num_layers))
        self.heads = SRJGraphHeads(dim)
        self.reset_parameters(torch_generator(seed, "srjgraph"))
        with torch.no_grad():
            for table, rows in ((self.user, edges.user), (self.item, edges.item)):
                table[torch.bincount(rows, minlength=len(table)) == 0] = 0

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw all weights: tables of length about 1, networks uniform in ±1/√inputs."""
        for table in (self.user, self.item, self.word, self.heads.special):
            nn.init.normal_(table, std=table.shape[1] ** -0.5, generator=generator)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                bound = module.in_features**-0.5
                for parameter in module.parameters():
                    nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def queries(self, lists: Ragged) -> Float[Tensor, "queries dim"]:
        """The attribute of queries with these terms."""
        terms, offsets = torch.tensor(lists.values), torch.tensor(lists.offsets)
        return bag_of_words(self.word, terms, offsets, self.query_words)

    def attributes(self, edges: IntentEdges) -> Float[Tensor, "attributes dim"]:
        """What edges carry: every distinct query's vector, then the special attribute."""
        queries = bag_of_words(self.word, edges.terms, edges.offsets, self.query_words)
        return torch.cat([queries, self.heads.special])

    def propagate(
        self,
        edges: IntentEdges,
        attributes: Float[Tensor, "attributes dim"],
        keep: Bool[Tensor, " edges"] | None = None,
    ) -> tuple[Float[Tensor, "users dim"], Float[Tensor, "items dim"]]:
        """Final vectors of users and items; with `keep`, from these edges only."""
        ends, about = torch.stack([edges.user, edges.item]), edges.attribute
        if keep is not None:
            ends, about = ends[:, keep], about[keep]
        back = ends.flip(0)
        user: Tensor = self.user
        item: Tensor = self.item
        for layer, (to_item, to_user) in enumerate(zip(self.to_item, self.to_user, strict=True)):
            if layer > 0:
                user, item = F.leaky_relu(user), F.leaky_relu(item)
            moved = to_user(item, user, attributes, back, about)
            item = to_item(user, item, attributes, ends, about)
            user = moved
        return user, item

    def score_pairs(
        self,
        tables: tuple[Float[Tensor, "users dim"], Float[Tensor, "items dim"]],
        user: Int[Tensor, " n"],
        items: tuple[Int[Tensor, " n"], Int[Tensor, " n"]],
        asked: Float[Tensor, "n dim"],
        is_search: Bool[Tensor, " n"],
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """Scores of two items per row, in a batch; `asked` is the query or special attribute."""
        scores = asked.new_zeros(len(user), 2)
        heads = self.heads
        for search, network in ((True, heads.search_score), (False, heads.recommend_score)):
            rows = torch.nonzero(is_search == search).flatten()
            hidden = network.project_user(tables[0], user[rows])
            hidden = hidden + network.project_query(asked[rows])
            both = [hidden + network.project_item(tables[1], item[rows]) for item in items]
            pairs = torch.stack([network.finish(each) for each in both], dim=1)
            scores = scores.index_put((rows,), pairs)
        return scores[:, 0], scores[:, 1]
