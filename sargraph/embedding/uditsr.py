"""UDITSR: unified dual-intent translation for joint search and recommendation."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from sargraph.core.config import Config
from sargraph.core.errors import BadInputError
from sargraph.core.rng import torch_generator
from sargraph.embedding.uditsr_step import TrainingBatch, UDITSRLosses, UDITSRTables
from sargraph.nn.edges import TranslationEdges, check_rows
from sargraph.nn.intent import DemandIntent, query_vector
from sargraph.nn.loss import bpr_loss, supervised_demand_loss, translation_contrast_loss
from sargraph.nn.score import TripleScore
from sargraph.nn.translation import TranslationPropagation, combine_layers, layer_weights

__all__ = ["UDITSR", "TrainingBatch", "UDITSRConfig", "UDITSRLosses", "UDITSRTables"]


class UDITSRConfig(Config):
    """Settings of UDITSR; the defaults mend the defects of the published implementation."""

    dim: int = Field(default=64, ge=4)
    """Length of every user, item and word vector."""
    num_layers: int = Field(default=2, ge=0)
    """Translation layers."""
    supervised_weight: float = Field(default=1.5, ge=0)
    """Weight of the supervised demand loss."""
    translation_weight: float = Field(default=0.2, ge=0)
    """Weight of the translation contrast loss."""
    chunk_size: int = Field(default=4096, ge=1)
    """Pairs whose virtual queries are computed at a time; bounds memory, changes no number."""
    parity: bool = False
    """Behave as published: word 0 pads and is trained, the score ends in a LeakyReLU, layer weights
    do not sum to one, the supervised loss is divided by the whole batch."""
    seed: int = 0
    """Seed of the initial weights."""


class UDITSR(nn.Module):
    """Learns users, items and words so that inherent plus demand intent leads to the item.

    Search edges carry their query, recommendation edges a generated virtual query q~(u, i)
    (`DemandIntent`); translation (`TranslationPropagation`) gives `e* = Σ_l w_l h_l`. With the
    intent g = q on a search row and q~(u, i) on a recommendation row,
    ```
    s(u, i) = MLP_source [e*_u; e*_i; g]
    L = L_bpr + 1.5 · L_SG + 0.2 · L_CL
    ```
    One step costs 2·(P + B)·8 d² multiply-adds forward, thrice that backward with recomputation,
    for P unique recommendation pairs and B rows: take large batches. Limits: everything but the
    per-edge indices is dense, so all tables must fit in memory.

    Source: KDD 2024, arXiv 2407.00912. `config.parity` reproduces the published implementation.
    """

    user_terms: Tensor
    item_terms: Tensor

    def __init__(
        self,
        num_users: int,
        num_items: int,
        num_terms: int,
        config: UDITSRConfig,
        user_terms: Int[Tensor, "users user_length"],
        item_terms: Int[Tensor, "items item_length"],
    ) -> None:
        super().__init__()
        _check_terms("user_terms", user_terms, num_users, num_terms, config.parity)
        _check_terms("item_terms", item_terms, num_items, num_terms, config.parity)
        dim = config.dim
        self.config = config
        self.user_embedding = nn.Embedding(num_users, dim)
        self.item_embedding = nn.Embedding(num_items, dim)
        self.term_embedding = nn.Embedding(num_terms, dim)
        self.intent = DemandIntent(dim, user_terms.shape[1], config.chunk_size)
        self.translation = TranslationPropagation(config.num_layers)
        self.search_score = TripleScore(dim, activate_last=config.parity)
        self.recommend_score = TripleScore(dim, activate_last=config.parity)
        self.register_buffer("user_terms", user_terms)
        self.register_buffer("item_terms", item_terms)
        self.reset_parameters(torch_generator(config.seed, "uditsr"))

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw all weights: Xavier normal tables, uniform ±1/√inputs networks."""
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.xavier_normal_(module.weight, generator=generator)
            elif isinstance(module, nn.Linear):
                bound = module.in_features**-0.5
                for parameter in module.parameters():
                    nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def query_vector(self, terms: Int[Tensor, "queries length"]) -> Float[Tensor, "queries dim"]:
        """The demand intent that a real query states: the sum of its word vectors."""
        return query_vector(self.term_embedding.weight, terms)

    def demand(
        self, user: Int[Tensor, " pairs"], item: Int[Tensor, " pairs"]
    ) -> Float[Tensor, "pairs dim"]:
        """The virtual query of each (user, item) pair."""
        users, of_user = torch.unique(user, return_inverse=True)
        items, of_item = torch.unique(item, return_inverse=True)
        tables = self.intent.tables(
            self.user_embedding(users),
            self.item_embedding(items),
            self.term_embedding.weight,
            self.user_terms[users],
            self.item_terms[items],
        )
        virtual: Tensor = self.intent(tables, of_user, of_item)
        return virtual

    def propagate(
        self, edges: TranslationEdges, keep: Bool[Tensor, " edges"] | None = None
    ) -> UDITSRTables:
        """Run the translation over the edges where `keep` is True (all by default).

        In training pass `keep=edges.outside(batch.user, batch.item)`, so that no row is predicted
        from its own edge. A node without edges keeps its raw embedding, weighted as layer 0.
        """
        user, item = self.user_embedding.weight, self.item_embedding.weight
        words = self.term_embedding.weight
        intent = self.intent.tables(user, item, words, self.user_terms, self.item_terms)
        demand = self.intent(intent, edges.pair_user, edges.pair_item)
        layers = self.translation(edges, user, item, demand, words, keep)
        weights = layer_weights(self.config.num_layers, normalise=not self.config.parity)
        return UDITSRTables(
            user=combine_layers([layer[0] for layer in layers], weights),
            item=combine_layers([layer[1] for layer in layers], weights),
            demand=demand,
            intent=intent,
            layers=layers,
        )

    def edge_intent(
        self, edges: TranslationEdges, tables: UDITSRTables
    ) -> Float[Tensor, "edges dim"]:
        """q_e of every edge: the real query on a search edge, the virtual one otherwise."""
        virtual = tables.demand[edges.pair[edges.pair_edge]]
        return self.query_vector(edges.query_terms).index_put((edges.pair_edge,), virtual)

    def score(
        self,
        user: Int[Tensor, " n"],
        item: Int[Tensor, " n"],
        is_search: Bool[Tensor, " n"],
        query_terms: Int[Tensor, "n length"],
        tables: UDITSRTables,
    ) -> Float[Tensor, " n"]:
        """How well each item answers its user's query, or the user now where there is none."""
        rec = torch.nonzero(~is_search).flatten()
        virtual = self.intent(tables.intent, user[rec], item[rec])
        intent = self.query_vector(query_terms).index_put((rec,), virtual)
        return self._score(user, item, is_search, intent, tables)

    @torch.no_grad()
    def score_candidates(
        self,
        user: Int[Tensor, " n"],
        item: Int[Tensor, "n candidates"],
        is_search: Bool[Tensor, " n"],
        query_terms: Int[Tensor, "n length"],
        tables: UDITSRTables,
    ) -> Float[Tensor, "n candidates"]:
        """Scores of many candidates for each request, in chunks and without gradient.

        A search request costs one pass of the small score network per candidate, a
        recommendation request the virtual query of every (user, candidate) pair as well.
        """
        scores = tables.user.new_empty(item.shape)
        step = max(1, 4 * self.config.chunk_size // max(1, item.shape[1]))
        for search, network in ((True, self.search_score), (False, self.recommend_score)):
            for rows in torch.nonzero(is_search == search).flatten().split(step):
                hidden = network.project_user(tables.user, user[rows])
                if search:
                    query = self.query_vector(query_terms[rows])
                    hidden = hidden + network.project_query(query)
                candidates = item[rows].flatten()
                hidden = hidden.repeat_interleave(item.shape[1], dim=0)
                hidden += network.project_item(tables.item, candidates)
                if not search:
                    who = user[rows].repeat_interleave(item.shape[1])
                    hidden += network.project_query(self.intent(tables.intent, who, candidates))
                scores[rows] = network.finish(hidden).view(len(rows), item.shape[1])
        return scores

    def losses(self, batch: TrainingBatch, tables: UDITSRTables) -> UDITSRLosses:
        """The weighted losses of a batch; one backward pass through `total` trains everything."""
        config, search = self.config, batch.is_search
        query = self.query_vector(batch.query_terms)
        demand, of_negative = self._batch_demand(batch, tables)
        intent = torch.where(search.unsqueeze(1), query, demand)
        scores = self._score(
            torch.cat([batch.user, batch.user]),
            torch.cat([batch.item, batch.negative]),
            torch.cat([search, search]),
            torch.cat([intent, torch.where(search.unsqueeze(1), query, of_negative)]),
            tables,
        )
        bpr = bpr_loss(*scores.chunk(2))
        supervised = config.supervised_weight * supervised_demand_loss(
            demand, query, search, per_batch=config.parity
        )
        translation = config.translation_weight * translation_contrast_loss(
            tables.user[batch.user], intent, tables.item[batch.item], tables.item[batch.negative]
        )
        return UDITSRLosses(bpr, supervised, translation, bpr + supervised + translation)

    def _batch_demand(self, batch: TrainingBatch, tables: UDITSRTables) -> tuple[Tensor, Tensor]:
        """q~ of every positive and, on recommendation rows, of every negative (zero elsewhere)."""
        known = torch.nonzero(batch.pair >= 0).flatten()
        fresh = torch.nonzero(batch.pair < 0).flatten()
        rec = torch.nonzero(~batch.is_search).flatten()
        made = self.intent(
            tables.intent,
            torch.cat([batch.user[fresh], batch.user[rec]]),
            torch.cat([batch.item[fresh], batch.negative[rec]]),
        )
        zeros = tables.user.new_zeros(len(batch.user), self.config.dim)
        positive = zeros.index_put((known,), tables.demand[batch.pair[known]])
        positive = positive.index_put((fresh,), made[: len(fresh)])
        return positive, zeros.index_put((rec,), made[len(fresh) :])

    def _score(
        self, user: Tensor, item: Tensor, is_search: Tensor, intent: Tensor, tables: UDITSRTables
    ) -> Tensor:
        scores = tables.user.new_zeros(len(user))
        for search, network in ((True, self.search_score), (False, self.recommend_score)):
            rows = torch.nonzero(is_search == search).flatten()
            hidden = network.project_user(tables.user, user[rows])
            hidden = hidden + network.project_item(tables.item, item[rows])
            hidden = hidden + network.project_query(intent[rows])
            scores = scores.index_put((rows,), network.finish(hidden))
        return scores


def _check_terms(name: str, terms: Tensor, num_rows: int, num_terms: int, parity: bool) -> None:
    if len(terms) != num_rows:
        raise BadInputError(f"{name}: got {len(terms)} rows, expected {num_rows}; one for each")
    check_rows(name, terms, num_terms, padding=not parity)
