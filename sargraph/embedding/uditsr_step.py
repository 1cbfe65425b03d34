"""What goes into a training step of UDITSR and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sargraph.nn.contexts import Contexts, TimedContexts
from sargraph.nn.edges import TranslationEdges
from sargraph.nn.intent import IntentTables

if TYPE_CHECKING:
    from sargraph.embedding.uditsr import UDITSR


@dataclass(frozen=True)
class UDITSRTables:
    """What one propagation leaves behind: all that scores read."""

    user: Float[Tensor, "users dim"]
    """Final user vectors: inherent intent after translation."""
    item: Float[Tensor, "items dim"]
    """Final item vectors."""
    intent: IntentTables | None
    """Parts of the intent generator; None where only a request's time gives them."""


@dataclass(frozen=True)
class TrainingBatch:
    """Positive rows, each with one negative item."""

    user: Int[Tensor, " batch"]
    item: Int[Tensor, " batch"]
    negative: Int[Tensor, " batch"]
    is_search: Bool[Tensor, " batch"]
    query_terms: Int[Tensor, "batch length"]
    """Term rows of the query; read on search rows only."""
    context: Int[Tensor, " batch"] | None = None
    """What of its user's history a row knows, see `TranslationEdges.context`; None = the user."""

    @property
    def contexts(self) -> Int[Tensor, " batch"]:
        """The context of each row."""
        return self.user if self.context is None else self.context

    @classmethod
    def of_edges(
        cls, edges: TranslationEdges, rows: Int[Tensor, " batch"], negative: Int[Tensor, " batch"]
    ) -> TrainingBatch:
        """The batch whose positives are the given edges."""
        return cls(
            user=edges.user[rows],
            item=edges.item[rows],
            negative=negative,
            is_search=edges.is_search[rows],
            query_terms=edges.query_terms[rows],
            context=None if edges.contexts is None else edges.context[rows],
        )


@dataclass(frozen=True)
class StepRows:
    """The users, contexts and items that a batch names, and the batch in terms of them.

    A step gathers each of them once and works on nothing else. `users` and `items` are rows of the
    tables; `contexts` and `asked_items` with `item_terms` are what the generator reads; `batch`
    holds places in `users`, `items` and `contexts`.
    """

    users: Int[Tensor, " users"]
    items: Int[Tensor, " items"]
    contexts: Contexts
    asked_items: Int[Tensor, " items"]
    item_terms: Int[Tensor, "items item_length"]
    batch: TrainingBatch

    @classmethod
    def of(
        cls, batch: TrainingBatch, module: UDITSR, contexts: TimedContexts | None = None
    ) -> StepRows:
        """The distinct users, items and contexts of a batch; `contexts` are those of the edges."""
        users, of_user = torch.unique(batch.user, return_inverse=True)
        both = torch.cat([batch.item, batch.negative])
        items, of_item = torch.unique(both, return_inverse=True)
        item, negative = of_item.chunk(2)
        named: Contexts = module.contexts(users)
        of_context = of_user
        if contexts is not None:
            rows, of_context = torch.unique(batch.contexts, return_inverse=True)
            named = contexts.take(rows)
        asked = module.asked_items(items)
        local = replace(batch, user=of_user, item=item, negative=negative, context=of_context)
        return cls(users, items, named, asked, module.item_terms[asked], local)

    def without_own_words(
        self,
        own_user_terms: Bool[Tensor, "batch user_length"],
        own_item_terms: Bool[Tensor, "batch item_length"],
    ) -> StepRows:
        """Rows that would read their own words get a context and an item of their own without them.

        A training row must not find its own words in the virtual query that it trains. The copies
        have the same vectors but lack the marked words among the frequent ones, so that q~ is
        generated from what others typed. Words whose count the row only raised stay, with the rank
        they had.
        """
        at = torch.nonzero(own_user_terms.any(1) | own_item_terms.any(1)).flatten()
        context, item = self.batch.contexts[at], self.batch.item[at]
        new = torch.arange(len(at))
        batch = replace(
            self.batch,
            context=self.batch.contexts.index_put((at,), len(self.contexts) + new),
            item=self.batch.item.index_put((at,), len(self.items) + new),
        )
        fewer = self.item_terms[item].masked_fill(own_item_terms[at], -1)
        return StepRows(
            users=self.users,
            items=torch.cat([self.items, self.items[item]]),
            contexts=self.contexts.and_without(context, own_user_terms[at]),
            asked_items=torch.cat([self.asked_items, self.asked_items[item]]),
            item_terms=torch.cat([self.item_terms, fewer]),
            batch=batch,
        )


@dataclass(frozen=True)
class UDITSRLosses:
    """The weighted losses of one batch and their sum."""

    bpr: Float[Tensor, ""]
    supervised: Float[Tensor, ""]
    translation: Float[Tensor, ""]
    naming: Float[Tensor, ""]
    total: Float[Tensor, ""]
