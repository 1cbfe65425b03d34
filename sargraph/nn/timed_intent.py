"""The demand intent generator at a time: what a user asked before, and the season and hour."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sargraph.nn.contexts import HOURS, MONTHS, WEEKDAYS, TimedContexts
from sargraph.nn.intent import DemandIntent, IntentTables, query_vector
from sargraph.nn.word_attention import word_attention


class TimedIntent(DemandIntent):
    """Generates q~(u, i, t): the published generator with a query history in place of three words.

    ```
    s  = month(t) + weekday(t) + hour(t)                       three learned tables
    r  = Σ_n softmax_n( H [e_u; s] · q_n - λ (t - t_n), 0 ) q_n       queries n strictly before t
    k  = K [e_u; r; s] + b_K
    a  = softmax_t( k · A y_t ),   c = Σ_t a_t y_t
    q~ = W3 tanh( W2 tanh( W1 [e_u; e_i; r; c; s] + b1 ) + b2 ) + b3
    ```
    λ = exp(log_decay) per day is learned; the last place of the softmax has logit 0 and no vector,
    so that old queries fade away altogether: λ = ∞ leaves r = 0, λ = 0 forgets nothing. Without a
    time there is neither history nor season. With equal parts of K and W1 for the three words, keys
    H = 0 and λ = 0, a history of the user's frequent words gives the published form.
    Cost: as `DemandIntent`, per (user, moment) instead of per user, and O(length dim) more.

    Source: "demand changes" in the discussion of UDITSR, KDD 2024; the decay is that of
    time-aware attention.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim, num_user_terms=2)
        self.first = nn.Linear(5 * dim, 2 * dim)
        self.ask_history = nn.Linear(2 * dim, dim)
        self.calendar = nn.Embedding(MONTHS + WEEKDAYS + HOURS, dim)
        self.log_decay = nn.Parameter(torch.tensor(math.log(0.1)))

    def tables(
        self,
        user: Float[Tensor, "contexts dim"],
        item: Float[Tensor, "items dim"],
        words: Float[Tensor, "terms dim"],
        contexts: Any,
        item_terms: Int[Tensor, "items item_length"],
    ) -> IntentTables:
        """The parts of each context (TimedContexts) and item; `user` has each context's vector."""
        of_user, of_item, of_history, _, of_season = self.first.weight.split(self.dim, dim=1)
        season = self.season(contexts.calendar)
        x = torch.cat([user, self.history(user, season, words, contexts), season], dim=1)
        layer = torch.cat([of_user, of_history, of_season], dim=1)
        bias = torch.cat([self.key.bias @ self.attention.weight, self.first.bias])
        return IntentTables(
            user=torch.addmm(bias, x, torch.cat([torch.cat(self._asks()), layer.t()], dim=1)),
            item=F.linear(item, of_item),
            words=words,
            item_terms=item_terms,
        )

    def season(self, calendar: Int[Tensor, "contexts 3"]) -> Float[Tensor, "contexts dim"]:
        """The sum of the vectors of month, weekday and hour; zero without a time."""
        return query_vector(self.calendar.weight, calendar)

    def history(
        self,
        user: Float[Tensor, "contexts dim"],
        season: Float[Tensor, "contexts dim"],
        words: Float[Tensor, "terms dim"],
        contexts: TimedContexts,
    ) -> Float[Tensor, "contexts dim"]:
        """r of each context."""
        queries = query_vector(words, contexts.queries)
        if len(queries) == 0:
            return user * 0.0
        valid = contexts.history >= 0
        return word_attention(
            self.ask_history(torch.cat([user, season], dim=1)),
            queries,
            contexts.history.clamp(min=0),
            valid,
            (-torch.exp(self.log_decay) * contexts.age.to(user.dtype)).masked_fill(~valid, 0),
            may_refuse=True,
        )
