"""What evaluation may know of a model: it scores candidates for requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from sargraph.core.types import NO_ROW, BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Requests:
    """ "Rank for this user now", n times over.

    `user`, `query` (row, -1 for a recommendation request), `as_of` (only events strictly before
    it may be seen), `target` (the item that was really chosen) and `event` (row of the event the
    request was made from), each int64 [n]. A scorer must not look at `target` except to leave the
    target's own pair out of the history where the protocol says so.
    """

    user: IntArray
    query: IntArray
    as_of: IntArray
    target: IntArray
    event: IntArray

    def __len__(self) -> int:
        return len(self.user)

    @property
    def is_search(self) -> BoolArray:
        """True where the request carries a query, bool [n]."""
        return np.asarray(self.query != NO_ROW)

    def take(self, rows: IntArray) -> Requests:
        """The given requests, in the given order."""
        return Requests(
            self.user[rows], self.query[rows], self.as_of[rows], self.target[rows], self.event[rows]
        )

    @classmethod
    def empty(cls) -> Requests:
        """No request at all."""
        none = np.empty(0, dtype=np.int64)
        return cls(none, none, none, none, none)


@runtime_checkable
class Scorer(Protocol):
    """Anything that ranks: a model, a baseline, an oracle."""

    name: str

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Logits (higher is better) of `candidates` [n, c] for n requests, float32 [n, c].

        A candidate of -1 is padding and scores -inf.
        """
        ...


@runtime_checkable
class VectorScorer(Scorer, Protocol):
    """A scorer that turns each request into one vector: score = <request vector, item vector>.

    Whole catalogues are ranked by matrix products in blocks, so all requests can be judged.
    A bias per item is one more dimension whose request side is 1.
    """

    def encode(self, requests: Requests) -> FloatArray:
        """One vector per request, float32 [n, dim]."""
        ...

    def item_vectors(self) -> FloatArray:
        """One vector per item of the catalogue, float32 [items, dim]."""
        ...
