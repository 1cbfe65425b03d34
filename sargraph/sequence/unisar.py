"""UniSAR: one sequence model for search and recommendation that reads their transitions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sargraph.core.errors import DataError
from sargraph.nn.attention import TargetAttention
from sargraph.nn.contrast import HistoryContrast, QueryItemContrast, known_positives
from sargraph.nn.experts import TaskExperts
from sargraph.nn.transition import (
    Events,
    TransitionEncoder,
    TransitionFusion,
    Transitions,
)
from sargraph.sequence.augment import Augment
from sargraph.sequence.encoders import Attributes, InputEncoder, RowVectors, distinct_rows
from sargraph.sequence.inputs import HistoryBatch, RequestBatch, Task, check_lengths
from sargraph.sequence.unisar_config import UniSARConfig

__all__ = ["EncodedHistory", "UniSAR", "UniSARConfig", "UniSARLosses"]


@dataclass(frozen=True)
class UniSARLosses:
    """The parts of one task's loss; total = click + weighted contrasts.

    `neighbour` is None unless the model is augmented and its contrast has a weight.
    """

    click: Float[Tensor, ""]
    query_item: Float[Tensor, ""]
    history: Float[Tensor, ""]
    total: Float[Tensor, ""]
    neighbour: Float[Tensor, ""] | None = None


@dataclass(frozen=True)
class EncodedHistory:
    """A history read once: its transitions, and the fused states that candidates attend to."""

    transitions: Transitions
    rec: Float[Tensor, "batch rec dim"]
    search: Float[Tensor, "batch search dim"]


class UniSAR(nn.Module):
    """Score items for a search or a recommendation from one history of both.

    The transitions of the history (src2rec, rec2rec, rec2src, src2src) are extracted by three
    encoders; F_r = Dec_r(rec2rec, src2rec), F_s = Dec_s(src2src, rec2src); each candidate c pools
    r_c and s_c by target attention; logit = PLE_task([r_c ; s_c ; v_c ; u ; q]), where q is a
    learned constant in recommendation. Rank on these logits, never on their sigmoid.
    A history is encoded once for all its candidates; an empty one is all zeros. With an `augment`
    what similar users chose next changes u, once per request: for each candidate all tokens of the
    memory would have to be read again.

    Cost per request: O((rec + search)^2 dim) for the history and
    O(candidates (rec + search + experts expert_dim) dim) for the scores.
    Source: UniSAR: Modeling User Transition Behaviors between Search and Recommendation
    (SIGIR 2024, arXiv 2404.09520).
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        num_queries: int,
        num_terms: int,
        config: UniSARConfig,
        query_terms: Int[Tensor, "queries query_length"],
        item_terms: Int[Tensor, "items item_length"] | None = None,
        item_attributes: Attributes | None = None,
        user_attributes: Attributes | None = None,
        seed: int = 0,
        augment: Augment | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.inputs = InputEncoder(
                num_users, num_items, num_queries, num_terms, config.id_dim, config.dim,
                query_terms, item_terms, item_attributes, user_attributes,
            )  # fmt: skip
            self._build(config)
            self._initialise(config)
        self.augment = augment

    def _build(self, config: UniSARConfig) -> None:
        dim, heads, layers, dropout = (
            config.dim, config.num_heads, config.num_layers, config.dropout,
        )  # fmt: skip
        self.transitions = TransitionEncoder(
            dim, heads, layers, config.max_rec, config.max_search, dropout, config.causal
        )
        self.fusion = TransitionFusion(dim, heads, layers, dropout, config.causal)
        self.rec_pooling, self.search_pooling = TargetAttention(dim), TargetAttention(dim)
        self.no_query = nn.Parameter(torch.empty(1, dim))
        self.experts = TaskExperts(
            5 * dim, get_args(Task), config.num_experts, config.num_shared_experts,
            config.expert_dim, config.tower_dims, config.head_dims,
        )  # fmt: skip
        positive = config.positive_temperature
        self.rec_contrast = HistoryContrast(dim, config.history_temperature, positive)
        self.search_contrast = HistoryContrast(dim, config.history_temperature, positive)
        self.query_item_contrast = QueryItemContrast(dim, config.query_item_temperature, positive)

    def _initialise(self, config: UniSARConfig) -> None:
        nn.init.xavier_normal_(self.no_query)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_normal_(module.weight)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding) and config.parity:
                nn.init.xavier_normal_(module.weight)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=config.init_std)

    def logits(self, batch: RequestBatch, task: Task) -> Float[Tensor, "batch candidates"]:
        """Logit of each candidate of each request; -inf for a missing candidate (-1)."""
        items, queries = self._vectors(batch)
        encoded = self.encode_history(batch.history, items, queries)
        logits = self._score(batch, task, encoded, items, queries)
        return logits.masked_fill(batch.candidates < 0, -torch.inf)

    def losses(
        self,
        batch: RequestBatch,
        task: Task,
        negative_items: Int[Tensor, " negative_items"],
        negative_queries: Int[Tensor, " negative_queries"],
    ) -> UniSARLosses:
        """Losses of one task's batch; the negatives serve the query-item contrast.

        Raises DataError where a request has no positive in column 0.
        """
        if bool((batch.candidates[:, 0] < 0).any()):
            raise DataError("got a request without positive; put it in column 0 of candidates")
        items, queries = self._vectors(batch, negative_items, negative_queries)
        encoded = self.encode_history(batch.history, items, queries)
        click = self._click_loss(
            self._score(batch, task, encoded, items, queries), batch.candidates >= 0
        )
        history, query_item = click.new_zeros(()), click.new_zeros(())
        if self.config.history_weight:
            history = self._history_loss(batch.history, encoded.transitions)
        if self.config.query_item_weight:
            query_item = self._query_item_loss(
                batch.history, items, queries, negative_items, negative_queries
            )
        total = (
            click
            + self.config.query_item_weight * query_item
            + self.config.history_weight * history
        )
        neighbour = self._neighbour_loss(batch, items)
        if neighbour is not None and self.augment is not None:
            total = total + self.augment.contrast_weight * neighbour
        return UniSARLosses(click, query_item, history, total, neighbour)

    def encode_history(
        self, history: HistoryBatch, items: RowVectors, queries: RowVectors
    ) -> EncodedHistory:
        """Extract the transitions of each history and fuse them; needs no candidate."""
        check_lengths(history, self.config.max_rec, self.config.max_search)
        sessions = queries(history.search_query) + items.mean(history.search_item)
        rec = Events(items(history.rec_item), history.rec_rank, history.rec_valid)
        search = Events(sessions, history.search_rank, history.search_valid)
        transitions = self.transitions(rec, search)
        return EncodedHistory(transitions, *self.fusion(transitions, rec, search))

    def _vectors(
        self,
        batch: RequestBatch,
        negative_items: Tensor | None = None,
        negative_queries: Tensor | None = None,
    ) -> tuple[RowVectors, RowVectors]:
        """Every distinct item and query of a batch, encoded once."""
        history = batch.history
        items = [history.rec_item, history.search_item, batch.candidates, negative_items]
        items += [] if batch.memory is None else [batch.memory.item]
        queries = [history.search_query, batch.query, negative_queries]
        return (
            self.inputs.items(*(rows for rows in items if rows is not None)),
            self.inputs.queries(*(rows for rows in queries if rows is not None)),
        )

    def _score(
        self,
        batch: RequestBatch,
        task: Task,
        encoded: EncodedHistory,
        items: RowVectors,
        queries: RowVectors,
    ) -> Tensor:
        history, target = batch.history, items(batch.candidates)
        user = self._user(batch, items)
        query = queries(batch.query) if task == "search" else self.no_query.expand_as(user)
        per_candidate = [
            self.rec_pooling(encoded.rec, history.rec_valid, target),
            self.search_pooling(encoded.search, history.search_valid, target),
            target,
        ]
        logits: Tensor = self.experts(
            task, torch.cat(per_candidate, dim=-1), torch.cat([user, query], dim=-1)
        )
        return logits

    def gates(self, batch: RequestBatch) -> Float[Tensor, " batch"]:
        """Mean gate of the augmentation of each request; NaN where nothing is let in."""
        user = self.inputs.users(batch.history.user)
        if self.augment is None or batch.memory is None:
            return torch.full_like(user[:, 0], torch.nan)
        items, _ = self._vectors(batch)
        return self.augment.gates(user, items(batch.memory.item), batch.memory)

    def _user(self, batch: RequestBatch, items: RowVectors) -> Tensor:
        """The vector of each request's user, augmented where the model is."""
        user = self.inputs.users(batch.history.user)
        if self.augment is None or batch.memory is None:
            return user
        augmented: Tensor = self.augment(user, items(batch.memory.item), batch.memory)
        return augmented

    def _neighbour_loss(self, batch: RequestBatch, items: RowVectors) -> Tensor | None:
        if self.augment is None or batch.memory is None or not self.augment.contrast_weight:
            return None
        user = self.inputs.users(batch.history.user)
        contrast: Tensor | None = self.augment.contrast(
            user, items(batch.memory.item), batch.memory
        )
        return contrast

    def _click_loss(self, logits: Tensor, valid: Tensor) -> Tensor:
        if self.config.loss == "softmax":
            return -torch.log_softmax(logits.masked_fill(~valid, -torch.inf), dim=1)[:, 0].mean()
        label = torch.zeros_like(logits)
        label[:, 0] = 1.0
        return F.binary_cross_entropy_with_logits(logits[valid], label[valid])

    def _history_loss(self, history: HistoryBatch, transitions: Transitions) -> Tensor:
        user = history.user if self.config.mask_negatives else None
        rec: Tensor = self.rec_contrast(
            transitions.src2rec, transitions.rec2rec, history.rec_valid, user
        )
        search: Tensor = self.search_contrast(
            transitions.rec2src, transitions.src2src, history.search_valid, user
        )
        return rec + search

    def _query_item_loss(
        self,
        history: HistoryBatch,
        items: RowVectors,
        queries: RowVectors,
        negative_items: Tensor,
        negative_queries: Tensor,
    ) -> Tensor:
        """Query-item contrast over every (search, clicked item) of the histories, repeats kept."""
        query = history.search_query.unsqueeze(-1).expand_as(history.search_item)
        clicked = (history.search_item >= 0) & (query >= 0)
        query, item = query[clicked], history.search_item[clicked]
        query_rows, query_place = distinct_rows(len(queries.place) - 1, query)
        item_rows, item_place = distinct_rows(len(items.place) - 1, item)
        blocked_items = blocked_queries = None
        if self.config.mask_negatives:
            blocked_items = known_positives(
                torch.stack([query_place[query], item], 1), negative_items
            )
            blocked_queries = known_positives(
                torch.stack([item_place[item], query], 1), negative_queries
            )
        loss: Tensor = self.query_item_contrast(
            queries(query_rows),
            items(item_rows),
            torch.stack([query_place[query], item_place[item]], 1),
            items(negative_items),
            queries(negative_queries),
            blocked_items,
            blocked_queries,
        )
        return loss
