"""The protocol: every choice that fixes an evaluation number, and the candidates it leads to."""

from __future__ import annotations

import json
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from sargraph.core.artifact import hash_of
from sargraph.core.config import Config
from sargraph.core.errors import BadInputError
from sargraph.core.ragged import Ragged
from sargraph.core.rng import make_rng
from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, IntArray

FULL_REQUESTS = 1000
"""Requests ranked against the whole catalogue unless the protocol says otherwise."""

_BLOCK_CELLS = 1 << 22
_DENSE = 4
"""Below this many eligible items per negative a random order is cheaper than drawing again."""


class Protocol(Config):
    """How models are judged; two figures may be compared only under one protocol."""

    name: str = "sampled"
    """What the report calls this protocol."""
    candidates: Literal["sampled", "full"] = "sampled"
    """The target among sampled negatives, or among the whole catalogue."""
    num_negatives: int = Field(default=99, ge=1)
    """Negatives per request; only used when candidates are sampled."""
    max_requests: int = Field(default=0, ge=0)
    """Judge a seeded choice of so many requests; 0 = all. Full rankings default to 1,000."""
    remove_seen: bool = False
    """Leave items that the user chose before out of a full ranking (never the target)."""
    cutoffs: tuple[int, ...] = (1, 5, 10)
    """The k of HR@k and NDCG@k, rising."""
    num_bootstrap: int = Field(default=1000, ge=100)
    """Resamples of users behind each interval."""
    order_known: bool = True
    """False where the log gives no order inside one time, so that a history's order is unknown."""
    seed: int = 0
    """Fixes the chosen requests, the negatives, the order of candidates and the resamples."""

    @model_validator(mode="before")
    @classmethod
    def _limit_full(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("candidates") == "full":
            return {"max_requests": FULL_REQUESTS, "name": "full", **data}
        return data

    @field_validator("cutoffs")
    @classmethod
    def _rising(cls, cutoffs: tuple[int, ...]) -> tuple[int, ...]:
        if not cutoffs or cutoffs[0] < 1 or list(cutoffs) != sorted(set(cutoffs)):
            raise ValueError("expected rising cutoffs of at least 1, such as [1, 5, 10]")
        return cutoffs

    @property
    def hash(self) -> str:
        """SHA-256 over all fields: equal hashes mean equal protocols."""
        return hash_of(self.model_dump(mode="json"))

    def candidates_text(self) -> str:
        """The candidates in a few signs, for the column of a table: `1+99`, `all items`."""
        if self.candidates == "sampled":
            return f"1+{self.num_negatives}"
        return "all unseen items" if self.remove_seen else "all items"

    def describe(self) -> list[str]:
        """The protocol in readable lines, to be printed with the numbers."""
        if self.candidates == "sampled":
            against = f"{self.num_negatives} uniform negatives, none a known positive of the user"
        else:
            against = f"the whole catalogue, seen items {'removed' if self.remove_seen else 'kept'}"
        asked = "all"
        if self.max_requests:
            asked = f"a seeded choice of {self.max_requests:,}, spread over users"
        order = "" if self.order_known else "; order unknown within equal times"
        return [
            f"protocol {self.name} ({self.hash[:12]}), seed {self.seed}",
            f"candidates: the target against {against}",
            f"requests: {asked}; unit: the user{order}",
            "ties: expectation over fair draws; candidates are shuffled; NaN earns nothing",
            f"intervals: 95 %, bootstrap over users, {self.num_bootstrap:,} resamples",
        ]

    def to_toml(self) -> str:
        """The protocol as TOML, to be frozen before the test set is touched."""
        fields = self.model_dump(mode="json").items()
        lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in fields]
        return "\n".join([*lines, ""])


def chosen_requests(requests: Requests, protocol: Protocol) -> IntArray:
    """Rows of the requests that are judged, ascending: all, or a seeded choice.

    The choice gives each user one random request before any user gets a second one, and so on:
    a plain draw would favour active users and shift the mean over users.
    """
    num_requests = len(requests)
    if not 0 < protocol.max_requests < num_requests:
        return np.arange(num_requests, dtype=np.int64)
    order = make_rng(protocol.seed, "requests").permutation(num_requests)
    by_user = order[np.argsort(requests.user[order], kind="stable")]
    first = np.searchsorted(requests.user[by_user], requests.user[by_user])
    turn = np.empty(num_requests, dtype=np.int64)
    turn[by_user] = np.arange(num_requests) - first
    chosen = order[np.argsort(turn[order], kind="stable")][: protocol.max_requests]
    return np.sort(chosen).astype(np.int64)


def sampled_candidates(
    requests: Requests, num_items: int, known: Ragged, protocol: Protocol
) -> IntArray:
    """Column 0 the target, then distinct uniform negatives, int64 [n, 1 + num_negatives].

    `known` maps a user row to the items that are no negatives for this user (all positives of
    training, validation and test); the targets of the requests count as known too. A user with
    fewer eligible items gets them all and -1 as padding. The same requests, known positives and
    seed give the same candidates, whatever is scored.
    Raises BadInputError for a target outside the catalogue.
    Cost: O((n num_negatives + known) log), in blocks.
    """
    check_targets(requests, num_items)
    width = protocol.num_negatives
    excluded = _with_targets(known, requests, num_items)
    # Eligible items of a user are numbered 0 .. num_eligible - 1, skipping the excluded ones:
    # number r is item r + (excluded items e_j, ascending, with e_j - j <= r).
    within = np.arange(len(excluded.values)) - excluded.offsets[:-1][excluded.row_of_value]
    steps = excluded.row_of_value * (num_items + 1) + excluded.values - within
    num_eligible = num_items - excluded.lengths[requests.user]
    rng = make_rng(protocol.seed, "negatives")
    candidates = np.full((len(requests), 1 + width), NO_ROW, dtype=np.int64)
    candidates[:, 0] = requests.target
    block = max(1, _BLOCK_CELLS // (_DENSE * width))
    for start in range(0, len(requests), block):
        rows = slice(start, start + block)
        users = requests.user[rows, None]
        numbers = _distinct_numbers(num_eligible[rows], width, rng)
        skipped = np.searchsorted(steps, users * (num_items + 1) + numbers, side="right")
        items = numbers + skipped - excluded.offsets[users]
        candidates[rows, 1:] = np.where(numbers == NO_ROW, NO_ROW, items)
    return candidates


def check_targets(requests: Requests, num_items: int) -> None:
    """Raise BadInputError when a target is no item of the catalogue."""
    target = requests.target
    if len(target) and (target.min() < 0 or target.max() >= num_items):
        raise BadInputError(
            f"got targets from {target.min()} to {target.max()}, expected item rows below "
            f"{num_items}; make the requests from the events that hold the catalogue"
        )


def _with_targets(known: Ragged, requests: Requests, num_items: int) -> Ragged:
    """Known items and targets per user, distinct and ascending."""
    num_users = max(len(known), int(requests.user.max(initial=-1)) + 1)
    users = np.concatenate([known.row_of_value, requests.user])
    items = np.concatenate([known.values, requests.target])
    pairs = np.unique(users * num_items + items)
    return Ragged.group(pairs // num_items, pairs % num_items, num_users)


def _distinct_numbers(limits: IntArray, width: int, rng: np.random.Generator) -> IntArray:
    """Distinct uniform numbers below each limit, [n, width], -1 where the limit is too low."""
    numbers = np.empty((len(limits), width), dtype=np.int64)
    dense = limits < _DENSE * width
    numbers[dense] = _shuffled_numbers(limits[dense], width, rng)
    sparse = np.flatnonzero(~dense)
    kind = np.int32 if limits.max(initial=0) < 2**31 else np.int64  # halves the cost of sorting
    drawn = rng.integers(0, limits[sparse, None], size=(len(sparse), width), dtype=kind)
    pending = np.arange(len(sparse))
    while len(pending):
        rows = drawn[pending]
        rows.sort(axis=1)
        repeated = np.zeros(rows.shape, dtype=bool)
        repeated[:, 1:] = rows[:, 1:] == rows[:, :-1]
        highs = np.broadcast_to(limits[sparse[pending], None], rows.shape)[repeated]
        rows[repeated] = rng.integers(0, highs, dtype=kind)
        drawn[pending] = rows
        pending = pending[repeated.any(axis=1)]
    numbers[sparse] = drawn
    return numbers


def _shuffled_numbers(limits: IntArray, width: int, rng: np.random.Generator) -> IntArray:
    """The first `width` of a random order of the numbers below each limit, padded with -1."""
    columns = np.arange(max(int(limits.max(initial=0)), width))
    keys = rng.random((len(limits), len(columns)))
    keys[columns >= limits[:, None]] = np.inf
    numbers = np.argsort(keys, axis=1)[:, :width]
    return np.where(np.arange(width) < limits[:, None], numbers, NO_ROW).astype(np.int64)
