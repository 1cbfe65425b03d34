"""Evaluate: let a scorer answer requests, and keep where each target ranked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from sargraph.core.errors import BadInputError
from sargraph.core.progress import progress
from sargraph.core.ragged import Ragged
from sargraph.core.ranked import top_k
from sargraph.core.rng import make_rng
from sargraph.core.scorer import Requests, Scorer
from sargraph.core.types import NO_ROW, BoolArray, DoubleArray, FloatArray, IntArray
from sargraph.evaluation.metrics import metric, metric_names
from sargraph.evaluation.protocol import (
    Protocol,
    check_targets,
    chosen_requests,
    sampled_candidates,
)
from sargraph.evaluation.ranks import Ranks, rank_target
from sargraph.evaluation.significance import mean_by_user

MAX_CELLS = 1 << 20
"""Scores asked of a scorer at once: requests x candidates of one chunk."""


@dataclass(frozen=True)
class Result:
    """Where one model ranked the target of each judged request.

    `rows` int64 [n]: the judged rows of the requests that were given; `slices`: masks over the
    judged requests; `counts`: what was not as usual (requests with NaN scores, with fewer
    negatives than asked for, whose target was seen before); `top` int64 [n, k]: the best items of
    a full ranking, best first, -1 = none; `popularity` int64 [num_items], where it was given;
    `candidates_hash`: equal for results that ranked the same candidates for the same requests.
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
        return Result(
            self.model,
            self.requests.take(rows),
            self.ranks.take(rows),
            self.protocol,
            self.num_items,
            self.rows[rows],
            self.candidates_hash,
            self.counts,
            {name: mask[rows] for name, mask in self.slices.items()},
            None if self.top is None else self.top[rows],
            self.popularity,
        )

    def coverage(self) -> float:
        """Share of the catalogue among the best items of all requests; NaN unless in full."""
        if self.top is None:
            return float("nan")
        shown = np.unique(self.top)
        return float((shown != NO_ROW).sum() / self.num_items)

    def self_information(self) -> DoubleArray | None:
        """Mean surprise of each request's best items, -log2((n_i + 1) / (sum n + I)), bits [n].

        None unless the ranking was full and popularity is known.
        """
        if self.top is None or self.popularity is None:
            return None
        share = (self.popularity + 1) / (self.popularity.sum() + self.num_items)
        shown = self.top != NO_ROW
        bits = np.where(shown, -np.log2(share)[self.top], 0.0)
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
) -> Result:
    """Rank the target of each request by the scorer's scores, chunk by chunk.

    `known` (user row -> items that are no negatives), `seen` (user row -> items that a full
    ranking leaves out if the protocol removes seen items), `slices` (masks over `requests`).
    Columns are shuffled before the scorer sees them. In a full ranking all rows of a chunk share
    one random order of the catalogue, given as a view with stride 0 along the requests.
    Raises BadInputError: scores of another shape or kind, a target outside the catalogue, no
    `seen` where it is needed. Memory: a few arrays of `max_cells` cells; never users x items.
    """
    check_targets(requests, num_items)
    rows = chosen_requests(requests, protocol)
    asked = requests.take(rows)
    top: IntArray | None = None
    if protocol.candidates == "sampled":
        candidates = sampled_candidates(asked, num_items, known, protocol)
        ranks = _rank_sampled(scorer, asked, candidates, protocol, max_cells)
        counts = {"requests with fewer negatives": int((candidates == NO_ROW).any(axis=1).sum())}
        mark = _hash(asked, candidates)
    else:
        removed = _removed(asked, seen, protocol)
        ranks, top = _rank_full(scorer, asked, num_items, removed, protocol, max_cells)
        is_seen = removed.values == asked.target[removed.row_of_value]
        counts = {"requests whose target was seen before": int(is_seen.sum())}
        mark = _hash(asked, removed.values, removed.offsets, np.array([num_items]))
    counts["requests with NaN scores"] = int((ranks.num_nan > 0).sum())
    chosen = {name: np.asarray(mask)[rows] for name, mask in (slices or {}).items()}
    return Result(
        scorer.name, asked, ranks, protocol, num_items, rows, mark, counts, chosen, top, popularity
    )


def _rank_sampled(
    scorer: Scorer, requests: Requests, candidates: IntArray, protocol: Protocol, max_cells: int
) -> Ranks:
    shuffled = make_rng(protocol.seed, "columns").permuted(candidates, axis=1)
    parts = []
    for rows in _chunks(scorer, len(requests), candidates.shape[1], max_cells):
        chunk, columns = requests.take(rows), shuffled[rows]
        place = np.argmax(columns == chunk.target[:, None], axis=1)
        scores = _scores(scorer, chunk, columns)
        parts.append(rank_target(scores, place, columns != NO_ROW))
    return Ranks.concat(parts)


def _rank_full(
    scorer: Scorer,
    requests: Requests,
    num_items: int,
    removed: Ragged,
    protocol: Protocol,
    max_cells: int,
) -> tuple[Ranks, IntArray]:
    rng = make_rng(protocol.seed, "columns")
    width = protocol.cutoffs[-1]
    parts, tops = [], [np.empty((0, width), dtype=np.int64)]
    for rows in _chunks(scorer, len(requests), num_items, max_cells):
        chunk, gone = requests.take(rows), removed.take(rows)
        order = rng.permutation(num_items).astype(np.int64)
        place = np.empty(num_items, dtype=np.int64)
        place[order] = np.arange(num_items)
        scores = _scores(scorer, chunk, np.broadcast_to(order, (len(rows), num_items)))
        valid = np.ones(scores.shape, dtype=bool)
        valid[gone.row_of_value, place[gone.values]] = False
        valid[np.arange(len(rows)), place[chunk.target]] = True
        parts.append(rank_target(scores, place[chunk.target], valid))
        best = top_k(np.where(valid & ~np.isnan(scores), scores, -np.inf), width).rows
        tops.append(np.where(best == NO_ROW, NO_ROW, order[best]))
    return Ranks.concat(parts), np.concatenate(tops)


def _chunks(scorer: Scorer, num_requests: int, width: int, max_cells: int) -> Iterator[IntArray]:
    """Consecutive rows of requests, so many at a time that a chunk has at most `max_cells`."""
    height = max(1, max_cells // width)
    starts = range(0, num_requests, height)
    chunks = [np.arange(start, min(start + height, num_requests)) for start in starts]
    return progress(chunks, f"evaluating {scorer.name}")


def _scores(scorer: Scorer, requests: Requests, candidates: IntArray) -> FloatArray:
    scores: FloatArray = np.asarray(scorer.score(requests, candidates))
    if scores.shape != candidates.shape or scores.dtype.kind != "f":
        raise BadInputError(
            f"scorer '{scorer.name}' gave {scores.dtype} scores of shape {scores.shape}, expected "
            f"float32 of shape {candidates.shape}; mend its score method"
        )
    return scores


def _removed(requests: Requests, seen: Ragged | None, protocol: Protocol) -> Ragged:
    """The items left out of each request's full ranking (the target is put back later)."""
    if not protocol.remove_seen:
        return Ragged.from_lengths(np.empty(0, np.int64), np.zeros(len(requests), np.int64))
    if seen is None:
        raise BadInputError(
            "the protocol removes seen items but got seen=None; pass seen_items(events, mask)"
        )
    return seen.take(requests.user)


def _hash(requests: Requests, *arrays: IntArray) -> str:
    digest = hashlib.sha256()
    for array in (requests.user, requests.query, requests.as_of, requests.target, *arrays):
        digest.update(np.ascontiguousarray(array, dtype=np.int64).tobytes())
    return digest.hexdigest()
