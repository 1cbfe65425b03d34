"""Evaluate: let a scorer answer requests, and keep where each target ranked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from sargraph.core.errors import BadInputError
from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Requests, Scorer
from sargraph.core.types import NO_ROW, BoolArray, DoubleArray, IntArray
from sargraph.evaluation.asked import eligible_requests
from sargraph.evaluation.candidates import check_targets
from sargraph.evaluation.candidates_choice import Given, judged
from sargraph.evaluation.metrics import metric, metric_names
from sargraph.evaluation.protocol import Protocol
from sargraph.evaluation.ranks import Ranks
from sargraph.evaluation.significance import mean_by_user
from sargraph.evaluation.stream import rank_catalogue
from sargraph.evaluation.stream_lists import rank_lists

MAX_CELLS = 1 << 20
"""Scores asked of a scorer at once: requests x candidates of one chunk."""


@dataclass(frozen=True)
class Result:
    """Where one model ranked the target of each judged request.

    `rows` int64 [n]: the judged rows of the requests that were given; `slices`: masks over the
    judged requests; `counts`: what was not as usual (requests with NaN scores, with fewer
    negatives than asked for, whose target was seen before, left out and why); `top` int64 [n, k]:
    the best items of a full ranking, best first, -1 = none, ties by a draw of each request;
    `popularity` int64 [num_items], where it was given; `candidates_hash`: equal for results that
    ranked the same candidates for the same requests.
    """

    model: str
    requests: Requests
    ranks: Ranks
    protocol: Protocol
    num_items: int
    rows: IntArray
    candidates_hash: str
    counts: dict[str, int] = field(default_factory=dict)
    slices: dict[str, BoolArray] = field(default_factory=dict)
    top: IntArray | None = None
    popularity: IntArray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def metric(self, name: str, k: int | None = None) -> DoubleArray:
        """One metric of each request, float64 [n]: `metric("NDCG@10")`, `metric("hr", 5)`."""
        return metric(self.ranks, name, k)

    def user_means(self, name: str, k: int | None = None) -> tuple[IntArray, DoubleArray]:
        """Distinct users, ascending, and the mean metric of each user's requests."""
        users, means = mean_by_user(self.metric(name, k)[:, None], self.requests.user)
        return users, means[:, 0]

    def mean(self, name: str, k: int | None = None) -> float:
        """Mean over users of their mean metric; NaN without any request."""
        means = self.user_means(name, k)[1]
        return float(means.mean()) if len(means) else float("nan")

    def summary(self) -> dict[str, float]:
        """The mean over users of every metric of the protocol."""
        return {name: self.mean(name) for name in metric_names(self.protocol.cutoffs)}

    def take(self, chosen: BoolArray | IntArray) -> Result:
        """The result on the chosen requests (mask or rows) only."""
        rows = np.arange(len(self))[chosen]
        return replace(
            self,
            requests=self.requests.take(rows),
            ranks=self.ranks.take(rows),
            rows=self.rows[rows],
            slices={name: mask[rows] for name, mask in self.slices.items()},
            top=None if self.top is None else self.top[rows],
        )

    def coverage(self) -> float:
        """Share of the catalogue among the best items of all requests; NaN unless in full.

        Here and in `self_information` the best are as many as the protocol's `main_cutoff`.
        """
        if self.top is None:
            return float("nan")
        shown = np.unique(self.top[:, : self.protocol.main_cutoff])
        return float((shown != NO_ROW).sum() / self.num_items)

    def self_information(self) -> DoubleArray | None:
        """Mean surprise of each request's best items, -log2((n_i + 1) / (sum n + I)), bits [n].

        None unless the ranking was full and popularity is known.
        """
        if self.top is None or self.popularity is None:
            return None
        share = (self.popularity + 1) / (self.popularity.sum() + self.num_items)
        top = self.top[:, : self.protocol.main_cutoff]
        shown = top != NO_ROW
        bits = np.where(shown, -np.log2(share)[top], 0.0)
        return np.asarray(bits.sum(axis=1) / np.maximum(shown.sum(axis=1), 1), dtype=np.float64)


def evaluate_scorer(
    scorer: Scorer,
    requests: Requests,
    num_items: int,
    *,
    known: Ragged,
    seen: Ragged | None = None,
    protocol: Protocol,
    popularity: IntArray | None = None,
    slices: Mapping[str, BoolArray] | None = None,
    max_cells: int = MAX_CELLS,
    lists: Ragged | None = None,
    item_terms: Ragged | None = None,
    chosen_before: BoolArray | None = None,
) -> Result:
    """Rank the target of each request by the scorer's scores, block by block.

    `known` (user row -> items that are no negatives), `seen` (user row -> items that a full
    ranking leaves out if the protocol removes seen items), `popularity` int64 [num_items] (training
    choices of each item), `slices` (masks over `requests`). Where the protocol asks for them:
    `lists` (for each of `requests` its negatives, or the items shown), `item_terms` (item row ->
    its terms, for the ties), `chosen_before` bool [n] (see `positives.chosen_before`).
    Columns are shuffled before the scorer sees them. In a full ranking all rows of a chunk share
    one random order of the catalogue, given as a view with stride 0 along the requests; a
    `VectorScorer` is asked for its vectors instead.
    Raises BadInputError: scores of another shape or kind, a target outside the catalogue, an
    argument missing where it is needed. Memory: a few arrays of `max_cells` cells (see `stream`
    for vectors); never users x items.
    """
    check_targets(requests, num_items)
    allowed, counts = eligible_requests(requests, protocol, chosen_before)
    given = Given(num_items, known, popularity, lists, item_terms)
    rows, candidates = judged(requests, allowed, protocol, given, counts)
    asked = requests.take(rows)
    top: IntArray | None = None
    if candidates is None:
        removed = _removed(asked, seen, protocol)
        ranks, top = rank_catalogue(
            scorer, asked, num_items, removed=removed, k=protocol.cutoffs[-1],
            seed=protocol.seed, max_cells=max_cells,
        )  # fmt: skip
        is_seen = removed.values == asked.target[removed.row_of_value]
        counts["requests whose target was seen before"] = int(is_seen.sum())
        mark = _hash(asked, removed.values, removed.offsets, np.array([num_items]))
    else:
        ranks = rank_lists(scorer, asked, candidates, seed=protocol.seed, max_cells=max_cells)
        mark = _hash(asked, *_flat(candidates))
    counts["requests with NaN scores"] = int((ranks.num_nan > 0).sum())
    chosen = {name: np.asarray(mask)[rows] for name, mask in (slices or {}).items()}
    return Result(
        scorer.name, asked, ranks, protocol, num_items, rows, mark, counts, chosen, top, popularity
    )


def _removed(requests: Requests, seen: Ragged | None, protocol: Protocol) -> Ragged:
    """The items left out of each request's full ranking (the target is put back later)."""
    if not protocol.remove_seen:
        return Ragged.from_lengths(np.empty(0, np.int64), np.zeros(len(requests), np.int64))
    if seen is None:
        raise BadInputError(
            "the protocol removes seen items but got seen=None; pass seen_items(events, mask)"
        )
    return seen.take(requests.user)


def _flat(candidates: IntArray | Ragged) -> list[IntArray]:
    if isinstance(candidates, Ragged):
        return [candidates.values, candidates.offsets]
    return [candidates]


def _hash(requests: Requests, *arrays: IntArray) -> str:
    digest = hashlib.sha256()
    for array in (requests.user, requests.query, requests.as_of, requests.target, *arrays):
        digest.update(np.ascontiguousarray(array, dtype=np.int64).tobytes())
    return digest.hexdigest()
