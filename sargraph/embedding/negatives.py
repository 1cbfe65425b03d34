"""Uniform negatives: items that a user never chose."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor


@dataclass(frozen=True)
class FreeItems:
    """Draws, for each user, uniformly from the items that the user never chose.

    A user with chosen items p_0 < p_1 < .. has `num_items - n` free ones, and the r-th of them
    (from 0) is `r + #{j : p_j - j <= r}`: one binary search among the sorted `p_j - j`, so nothing
    is drawn twice. `keys` holds `user · num_items + p_j - j`, ascending; `offsets` the first entry
    of each user.
    """

    num_items: int
    keys: Int[Tensor, " chosen"]
    offsets: Int[Tensor, " users_plus_one"]

    @classmethod
    def build(
        cls, user: Int[Tensor, " n"], item: Int[Tensor, " n"], num_users: int, num_items: int
    ) -> FreeItems:
        """From all (user, item) pairs that count as chosen; a pair may occur twice."""
        codes = torch.unique(user * num_items + item)
        owner = codes // num_items
        offsets = torch.zeros(num_users + 1, dtype=torch.int64)
        torch.cumsum(torch.bincount(owner, minlength=num_users), 0, out=offsets[1:])
        return cls(num_items, codes - (torch.arange(len(codes)) - offsets[owner]), offsets)

    def any_for(self, user: Int[Tensor, " n"]) -> Bool[Tensor, " n"]:
        """True for users who have at least one free item."""
        return self._num_free(user) > 0

    def draw(self, user: Int[Tensor, " n"], generator: torch.Generator) -> Int[Tensor, " n"]:
        """One free item per user row; every user must have one. Cost O(n log chosen)."""
        share = torch.rand(len(user), generator=generator, dtype=torch.float64)
        rank = (share * self._num_free(user)).long()
        before = torch.searchsorted(self.keys, user * self.num_items + rank, right=True)
        return rank + before - self.offsets[user]

    def _num_free(self, user: Tensor) -> Tensor:
        return self.num_items - (self.offsets[user + 1] - self.offsets[user])
