"""UDITSR of library layers, edge by edge: what the fast path is measured and checked against."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sargraph.embedding.uditsr_step import TrainingBatch
from sargraph.nn.edges import TranslationEdges
from sargraph.nn.translation import TranslationConv


class PlainUDITSR(nn.Module):
    """The published mathematics (arXiv 2407.00912) as one would write it with PyTorch and PyG.

    The virtual query of every recommendation edge comes from one batched pass of `nn.Linear`
    layers over the edges' own [e_u; e_i; words; context], each layer sends one message per edge,
    and autograd does the rest. Nothing is split, shared or recomputed; parallel edges are computed
    twice. The published code does the same for search edges, too, whose result it throws away:
    here they are left out. Parameters are named as in `UDITSR`, so that weights can be exchanged.
    """

    def __init__(
        self,
        sizes: tuple[int, int, int],
        dim: int,
        num_layers: int,
        user_terms: Int[Tensor, "users user_length"],
        item_terms: Int[Tensor, "items item_length"],
    ) -> None:
        super().__init__()
        self.num_layers = num_layers
        self.user_embedding = nn.Embedding(sizes[0], dim)
        self.item_embedding = nn.Embedding(sizes[1], dim)
        self.term_embedding = nn.Embedding(sizes[2], dim)
        self.intent = nn.ModuleDict(
            {
                "key": nn.Linear((1 + user_terms.shape[1]) * dim, dim),
                "attention": nn.Linear(dim, dim, bias=False),
                "first": nn.Linear(4 * dim, 2 * dim),
                "second": nn.Linear(2 * dim, 2 * dim),
                "third": nn.Linear(2 * dim, dim),
            }
        )
        self.search_score, self.recommend_score = _head(dim), _head(dim)
        self.to_item, self.to_user = TranslationConv(sign=+1), TranslationConv(sign=-1)
        self.register_buffer("user_terms", user_terms)
        self.register_buffer("item_terms", item_terms)

    def demand(self, user: Int[Tensor, " n"], item: Int[Tensor, " n"]) -> Float[Tensor, "n dim"]:
        """q~ of each pair, every pair on its own."""
        e_user, e_item = self.user_embedding(user), self.item_embedding(item)
        x = self.term_embedding(self.get_buffer("user_terms")[user])
        y = self.term_embedding(self.get_buffer("item_terms")[item])
        key = self.intent["key"](torch.cat([e_user, x.flatten(1)], dim=1))
        logits = torch.einsum("nd,ntd->nt", key, self.intent["attention"](y))
        context = torch.einsum("nt,ntd->nd", logits.softmax(1), y)
        hidden = self.intent["first"](torch.cat([e_user, e_item, x.sum(1), context], dim=1))
        demand: Tensor = self.intent["third"](self.intent["second"](hidden.tanh()).tanh())
        return demand

    def layers(self, edges: TranslationEdges) -> list[tuple[Tensor, Tensor]]:
        """The (user, item) tables of every layer, raw embeddings first."""
        rec = torch.nonzero(~edges.is_search).flatten()
        intent = self.term_embedding(edges.query_terms).sum(1)
        intent = intent.index_put((rec,), self.demand(edges.user[rec], edges.item[rec]))
        forth = torch.stack([edges.user, edges.item])
        found = [(self.user_embedding.weight, self.item_embedding.weight)]
        for _ in range(self.num_layers):
            user, item = found[-1]
            to_item = self.to_item(user, forth, intent, edges.num_items)
            to_user = self.to_user(item, forth.flip(0), intent, edges.num_users)
            found.append((to_user, to_item))
        return found

    def final(self, edges: TranslationEdges) -> tuple[Tensor, Tensor]:
        """e* of users and items: the layers weighed by 1, 1/2, 1/3, .."""
        user, item = (torch.stack(side) for side in zip(*self.layers(edges), strict=True))
        share = 1 / torch.arange(1, len(user) + 1, dtype=user.dtype).view(-1, 1, 1)
        return (share * user).sum(0), (share * item).sum(0)

    def losses(self, batch: TrainingBatch, edges: TranslationEdges) -> dict[str, Tensor]:
        """The weighted losses of a batch."""
        user, item = self.final(edges)
        query = self.term_embedding(batch.query_terms).sum(1)
        demand = self.demand(batch.user, batch.item)
        other = self.demand(batch.user, batch.negative)
        search = batch.is_search.unsqueeze(1)
        intent, of_negative = torch.where(search, query, demand), torch.where(search, query, other)
        u, i, j = user[batch.user], item[batch.item], item[batch.negative]
        margin = self._score(u, i, intent, batch) - self._score(u, j, of_negative, batch)
        near, far = ((u + intent - each).square().mean(1) for each in (i, j))
        found = {
            "bpr": -F.logsigmoid(margin).mean(),
            "supervised": 1.5 * ((demand - query).square().mean(1) * batch.is_search).mean(),
            "translation": -0.2 * F.logsigmoid(far - near).mean(),
        }
        return {**found, "total": sum(found.values(), torch.zeros(()))}

    def _score(self, user: Tensor, item: Tensor, intent: Tensor, batch: TrainingBatch) -> Tensor:
        x = torch.cat([user, item, intent], dim=1)
        scores = [
            F.leaky_relu(
                head["third"](F.leaky_relu(head["second"](F.leaky_relu(head["first"](x)))))
            )
            for head in (self.search_score, self.recommend_score)
        ]
        return torch.where(batch.is_search, scores[0].squeeze(1), scores[1].squeeze(1))


def plain_flops(num_rec_edges: int, dim: int, num_item_terms: int, num_user_terms: int) -> int:
    """GEMM FLOPs of one step's propagation, forward and backward (twice forward).

    Per recommendation edge: K 2 (1 + s) d d, A over t words 2 t d d, the attention 4 t d, W1
    2 (4 d)(2 d), W2 2 (2 d)(2 d), W3 2 (2 d) d.
    """
    d = dim
    linear = (1 + num_user_terms) * d * d + num_item_terms * d * d + 8 * d * d + 4 * d * d
    return 3 * num_rec_edges * 2 * (linear + 2 * d * d + 2 * num_item_terms * d)


def _head(dim: int) -> nn.ModuleDict:
    widths = (3 * dim, 3 * dim // 2, 3 * dim // 4, 1)
    names = ("first", "second", "third")
    return nn.ModuleDict(
        {name: nn.Linear(widths[n], widths[n + 1]) for n, name in enumerate(names)}
    )
