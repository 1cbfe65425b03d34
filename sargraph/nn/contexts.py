"""What the demand generator knows of a user when it asks: words, or queries before a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

MONTHS, WEEKDAYS, HOURS = 12, 7, 24


@dataclass(frozen=True)
class WordContexts:
    """Users with the words that stand for them, the same at any time."""

    user: Int[Tensor, " contexts"]
    terms: Int[Tensor, "contexts places"]
    """-1 = no word."""

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: Int[Tensor, " rows"]) -> WordContexts:
        """The given contexts."""
        return WordContexts(self.user[rows], self.terms[rows])

    def placed(self, users: Int[Tensor, " users"]) -> WordContexts:
        """With users as places in the ascending `users`."""
        return WordContexts(torch.searchsorted(users, self.user), self.terms)

    def and_without(
        self, rows: Int[Tensor, " rows"], hidden: Bool[Tensor, "rows places"]
    ) -> WordContexts:
        """These contexts, then copies of some of them without their `hidden` words."""
        fewer = self.terms[rows].masked_fill(hidden, -1)
        user = torch.cat([self.user, self.user[rows]])
        return WordContexts(user, torch.cat([self.terms, fewer]))


@dataclass(frozen=True)
class TimedContexts:
    """Users at moments, with the queries that they had issued strictly before.

    `history` [contexts, length] holds rows of `queries` (terms of the queries that occur, -1 pads),
    -1 where there are fewer; `age` in days, > 0; `calendar` [contexts, 3] month, weekday and hour
    as rows of one table, -1 where there is no time.
    """

    user: Int[Tensor, " contexts"]
    history: Int[Tensor, "contexts length"]
    age: Float[Tensor, "contexts length"]
    calendar: Int[Tensor, "contexts 3"]
    queries: Int[Tensor, "queries query_length"]

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: Int[Tensor, " rows"]) -> TimedContexts:
        """The given contexts, over the queries that they have."""
        history = self.history[rows]
        used, place = torch.unique(history.clamp(min=0), return_inverse=True)
        return TimedContexts(
            self.user[rows],
            torch.where(history >= 0, place, -1),
            self.age[rows],
            self.calendar[rows],
            self.queries[used] if len(self.queries) else self.queries,
        )

    def placed(self, users: Int[Tensor, " users"]) -> TimedContexts:
        """With users as places in the ascending `users`."""
        user = torch.searchsorted(users, self.user)
        return TimedContexts(user, self.history, self.age, self.calendar, self.queries)

    def and_without(
        self, rows: Int[Tensor, " rows"], hidden: Bool[Tensor, "rows places"]
    ) -> TimedContexts:
        """These contexts, then copies of some of them: what was asked before hides itself."""
        every = torch.cat([torch.arange(len(self)), rows])
        return TimedContexts(
            self.user[every], self.history[every], self.age[every], self.calendar[every],
            self.queries,
        )  # fmt: skip


Contexts: TypeAlias = WordContexts | TimedContexts
