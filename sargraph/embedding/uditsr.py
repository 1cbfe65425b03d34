"""UDITSR: unified dual-intent translation for joint search and recommendation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from sargraph.core.rng import torch_generator
from sargraph.embedding.uditsr_config import UDITSRConfig
from sargraph.embedding.uditsr_parts import check_terms, intent_of, is_all, permutations
from sargraph.embedding.uditsr_step import StepRows, TrainingBatch, UDITSRLosses, UDITSRTables
from sargraph.nn.contexts import Contexts, WordContexts
from sargraph.nn.edges import EdgeMeans, TranslationEdges
from sargraph.nn.intent import IntentTables, query_vector
from sargraph.nn.loss import (
    bpr_loss,
    naming_loss,
    supervised_demand_loss,
    translation_contrast_loss,
)
from sargraph.nn.score import TripleScore
from sargraph.nn.sparse import SparseMatrix
from sargraph.nn.translation import TranslationPropagation, combine_layers, layer_weights

__all__ = ["UDITSR", "TrainingBatch", "UDITSRConfig", "UDITSRLosses", "UDITSRTables"]

SCORED_AT_ONCE = 16384
"""Candidates whose scores are computed together."""


class UDITSR(nn.Module):
    """Learns users, items and words so that inherent plus demand intent leads to the item.

    Search edges carry their query, recommendation edges a generated virtual query q~(u, i)
    (`DemandIntent`); translation (`TranslationPropagation`) gives `e* = Σ_l w_l h_l`. With the
    intent g = q on a search row and q~(u, i) on a recommendation row,
    ```
    s(u, i) = MLP_source [e*_u; e*_i; g]
    L = L_bpr + 1.5 · L_SG + 0.2 · L_CL
    ```
    One full step costs (P + 2 B)·6 d² multiply-adds forward and twice that backward for P unique
    recommendation pairs and B rows: take large batches, or stale or sampled propagation. Limits:
    all tables are dense and must fit in memory.

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
        check_terms("user_terms", user_terms, num_users, num_terms, config.mask_padding)
        check_terms("item_terms", item_terms, num_items, num_terms, config.mask_padding)
        dim = config.dim
        self.config = config
        self.user_embedding = nn.Embedding(num_users, dim)
        self.item_embedding = nn.Embedding(num_items, dim)
        self.term_embedding = nn.Embedding(num_terms, dim)
        self.intent = intent_of(config, user_terms.shape[1])
        self.translation = TranslationPropagation(config.num_layers)
        self.search_score = TripleScore(dim, activate_last=not config.linear_score)
        self.recommend_score = TripleScore(dim, activate_last=not config.linear_score)
        self.register_buffer("user_terms", user_terms)
        self.register_buffer("item_terms", item_terms)
        self._asked = permutations(config, num_users, num_items)
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

    def contexts(self, users: Int[Tensor, " users"] | None = None) -> WordContexts:
        """What the generator knows of users (all by default) whatever the time."""
        if users is None:
            users = torch.arange(len(self.user_terms), device=self.user_terms.device)
        asked = users if self._asked is None else self._asked[0][users]
        return WordContexts(asked, self.user_terms[asked])

    def asked_items(self, items: Int[Tensor, " items"]) -> Int[Tensor, " items"]:
        """The items that the generator is asked about: these, unless it is permuted."""
        return items if self._asked is None else self._asked[1][items]

    def demand(
        self, user: Int[Tensor, " pairs"], item: Int[Tensor, " pairs"]
    ) -> Float[Tensor, "pairs dim"]:
        """The virtual query of each (user, item) pair, or (context, item) pair of timed edges."""
        virtual: Tensor = self.intent(self.intent_tables(), user, item)
        return virtual

    def intent_tables(self, contexts: Contexts | None = None) -> IntentTables:
        """The generator's parts of contexts (all users by default), all items and words."""
        user, item, terms = self.user_embedding.weight, self.item_embedding.weight, self.item_terms
        if contexts is None:
            contexts = self.contexts()
        if self._asked is not None:
            item, terms = item[self._asked[1]], terms[self._asked[1]]
        if contexts is not None and not is_all(contexts, len(user)):
            user = user[contexts.user]
        words = self.term_embedding.weight
        found: IntentTables = self.intent.tables(user, item, words, contexts, terms)
        return found

    def propagate(
        self, edges: TranslationEdges, keep: Bool[Tensor, " edges"] | None = None
    ) -> UDITSRTables:
        """Run the translation over the edges where `keep` is True (all by default).

        In training pass `keep=edges.outside(batch.user, batch.item)`, so that no row is predicted
        from its own edge. A node without edges keeps its raw embedding, weighted as layer 0.
        """
        intent = self.intent_tables(edges.contexts)
        weights = self.layer_weights()
        user, item = combine_layers(
            self.translation(*self._translated(edges, intent, keep)), weights
        )
        return UDITSRTables(user=user, item=item, intent=intent)

    def layers(
        self, edges: TranslationEdges, keep: Bool[Tensor, " edges"] | None = None
    ) -> list[tuple[Float[Tensor, "users dim"], Float[Tensor, "items dim"]]]:
        """The (user, item) tables of every layer of `propagate`, raw embeddings first."""
        given = self._translated(edges, self.intent_tables(edges.contexts), keep)
        return list(self.translation(*given))

    def layer_weights(self) -> list[float]:
        """The weight of each layer in the final vectors, raw embeddings first."""
        return layer_weights(self.config.num_layers, normalise=self.config.normalise_layers)

    def vectors_of(
        self,
        rows: StepRows,
        edges: TranslationEdges,
        keep: Bool[Tensor, " edges"] | None = None,
    ) -> tuple[Float[Tensor, "users dim"], Float[Tensor, "items dim"]]:
        """What `propagate` gives the users and items of a step; its last layer for them alone."""
        given = self._translated(edges, self.intent_tables(edges.contexts), keep)
        layers = self.translation.at((rows.users, rows.items), *given)
        return combine_layers(layers, self.layer_weights())

    def _translated(
        self, edges: TranslationEdges, intent: IntentTables, keep: Tensor | None
    ) -> tuple[EdgeMeans, Tensor, Tensor, Callable[[SparseMatrix], Tensor], Tensor]:
        """What the translation over the kept edges reads."""
        user, item = self.user_embedding.weight, self.item_embedding.weight
        demand = partial(self.intent.mean_demand, intent, edges.pair_context, edges.pair_item)
        return edges.means(user.dtype, keep), user, item, demand, self.term_embedding.weight

    def edge_intent(self, edges: TranslationEdges) -> Float[Tensor, "edges dim"]:
        """q_e of every edge: the real query on a search edge, the virtual one otherwise."""
        tables = self.intent_tables(edges.contexts)
        virtual = self.intent(tables, edges.pair_context, edges.pair_item)
        virtual = virtual[edges.pair[edges.pair_edge]]
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
        return self._score(user, item, is_search, intent, (tables.user, tables.item))

    @torch.no_grad()
    def score_candidates(
        self,
        user: Int[Tensor, " n"],
        item: Int[Tensor, "n candidates"],
        is_search: Bool[Tensor, " n"],
        query_terms: Int[Tensor, "n length"],
        tables: UDITSRTables,
        context: Int[Tensor, " n"] | None = None,
    ) -> Float[Tensor, "n candidates"]:
        """Scores of many candidates for each request, in chunks and without gradient.

        A search request costs one pass of the small score network per candidate, a
        recommendation request the virtual query of every (user, candidate) pair as well.
        `context` is the row of each request in the tables of the generator, by default its user.
        """
        scores = tables.user.new_empty(item.shape)
        step = max(1, SCORED_AT_ONCE // max(1, item.shape[1]))
        context = user if context is None else context
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
                    who = context[rows].repeat_interleave(item.shape[1])
                    hidden += network.project_query(self.intent(tables.intent, who, candidates))
                scores[rows] = network.finish(hidden).view(len(rows), item.shape[1])
        return scores

    def losses(self, batch: TrainingBatch, tables: UDITSRTables) -> UDITSRLosses:
        """The weighted losses of a batch; one backward pass through `total` trains everything."""
        rows = StepRows.of(batch, self)
        return self.losses_of(rows, tables.user[rows.users], tables.item[rows.items])

    def losses_of(
        self,
        rows: StepRows,
        user: Float[Tensor, "users dim"],
        item: Float[Tensor, "items dim"],
    ) -> UDITSRLosses:
        """`losses` from the final vectors of the users and items that the step names."""
        config, batch, search = self.config, rows.batch, rows.batch.is_search
        query = self.query_vector(batch.query_terms)
        demand, of_negative = self._demand_of(rows)
        intent = torch.where(search.unsqueeze(1), query, demand)
        scores = self._score(
            torch.cat([batch.user, batch.user]),
            torch.cat([batch.item, batch.negative]),
            torch.cat([search, search]),
            torch.cat([intent, torch.where(search.unsqueeze(1), query, of_negative)]),
            (user, item),
        )
        bpr = bpr_loss(*scores.chunk(2))
        supervised = config.supervised_weight * supervised_demand_loss(
            demand, query, search, per_batch=not config.supervise_searches
        )
        translation = config.translation_weight * translation_contrast_loss(
            user[batch.user], intent, item[batch.item], item[batch.negative]
        )
        naming = demand.new_zeros(())
        if config.naming_weight > 0:
            asked = torch.nonzero(search).flatten()
            words, terms = self.term_embedding.weight, batch.query_terms[asked]
            naming = config.naming_weight * naming_loss(demand[asked], words, terms)
        total = bpr + supervised + translation + naming
        return UDITSRLosses(bpr, supervised, translation, naming, total)

    def _demand_of(self, rows: StepRows) -> tuple[Tensor, Tensor]:
        """q~ of every positive and, on recommendation rows, of every negative (zero elsewhere)."""
        batch = rows.batch
        tables = self.intent.tables(
            self.user_embedding(rows.contexts.user),
            self.item_embedding(rows.asked_items),
            self.term_embedding.weight,
            rows.contexts,
            rows.item_terms,
        )
        rec = torch.nonzero(~batch.is_search).flatten()
        made = self.intent(
            tables,
            torch.cat([batch.contexts, batch.contexts[rec]]),
            torch.cat([batch.item, batch.negative[rec]]),
        )
        positive, negative = made.split([len(batch.user), len(rec)])
        return positive, torch.zeros_like(positive).index_put((rec,), negative)

    def _score(
        self,
        user: Tensor,
        item: Tensor,
        is_search: Tensor,
        intent: Tensor,
        tables: tuple[Tensor, Tensor],
    ) -> Tensor:
        scores = intent.new_zeros(len(user))
        for search, network in ((True, self.search_score), (False, self.recommend_score)):
            rows = torch.nonzero(is_search == search).flatten()
            hidden = network.project_user(tables[0], user[rows])
            hidden = hidden + network.project_item(tables[1], item[rows])
            hidden = hidden + network.project_query(intent[rows])
            scores = scores.index_put((rows,), network.finish(hidden))
        return scores
