"""What every scorer must do, whatever it is: one function per demand, and a world to ask in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Requests, Scorer, VectorScorer
from sargraph.core.types import NO_ROW, FloatArray, IntArray
from sargraph.events.events import Events
from sargraph.events.split import TEST, Split, SplitConfig, requests_for, split_events
from sargraph.testing.events import random_events
from sargraph.testing.leak_target import assert_target_unread

Build = Callable[[Events, Split], Scorer]


def _assert_close(found: FloatArray, expected: FloatArray) -> None:
    """Products of other shapes may differ in the last bits."""
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@dataclass(frozen=True)
class ScorerWorld:
    """Events, their split, requests of every kind, and candidates with padding, -1.

    The first request is by a user without an event, without a query.
    """

    events: Events
    split: Split
    requests: Requests
    candidates: IntArray


def scorer_world(seed: int = 0, twins: bool = False) -> ScorerWorld:
    """A small random world: ties in time, untimed events, repeated pairs, items without a word."""
    rng = np.random.default_rng(seed)
    found = random_events(rng, num_users=12, num_events=420, untimed_share=0.1)
    texts = [rng.integers(0, 10, size=rng.integers(0, 5)).tolist() for _ in found.items.ids]
    queries = [*(row.tolist() for row in found.query_terms)]
    queries[0] = [*queries[0], queries[0][0]]  # a word said twice
    events = replace(
        found.select(found.user != 0),
        item_terms=Ragged.from_lists(texts),
        query_terms=Ragged.from_lists(queries),
    )
    split = split_events(events, SplitConfig(twins=twins))
    asked = [requests_for(events, split, TEST, "search")]
    asked.append(requests_for(events, split, TEST, "recommend"))
    stranger = Requests(*(np.array([v]) for v in (0, NO_ROW, split.cut_test, 3, NO_ROW)))
    requests = _joined([stranger, *asked])
    items = [*range(len(events.items)), NO_ROW]
    candidates = np.array([rng.permutation(items) for _ in range(len(requests))], dtype=np.int64)
    return ScorerWorld(events, split, requests, candidates)


def check_shape(build: Build, world: ScorerWorld) -> None:
    """float32 of the candidates' shape; finite, but -inf exactly where a candidate is -1."""
    scorer = build(world.events, world.split)
    scores = scorer.score(world.requests, world.candidates)
    assert isinstance(scorer, Scorer) and scorer.name
    assert scores.dtype == np.float32 and scores.shape == world.candidates.shape
    assert np.array_equal(np.isneginf(scores), world.candidates == NO_ROW)
    assert np.isfinite(scores[world.candidates != NO_ROW]).all()


def check_order_of_candidates(build: Build, world: ScorerWorld) -> None:
    """Candidates in another order get the same scores."""
    scorer = build(world.events, world.split)
    order = np.random.default_rng(1).permutation(world.candidates.shape[1])
    scores = scorer.score(world.requests, world.candidates)
    moved = scorer.score(world.requests, world.candidates[:, order])
    _assert_close(moved, scores[:, order])


def check_other_candidates(build: Build, world: ScorerWorld) -> None:
    """A candidate scores the same alone, among few, among all, twice in one row."""
    scorer = build(world.events, world.split)
    scores = scorer.score(world.requests, world.candidates)
    for columns in ([4], [2, 9, 2], [0, 1]):
        few = scorer.score(world.requests, world.candidates[:, columns])
        _assert_close(few, scores[:, columns])


def check_shared_candidates(build: Build, world: ScorerWorld) -> None:
    """A catalogue shared by all requests (a view of stride 0) scores as a copy of it does."""
    scorer = build(world.events, world.split)
    view = np.broadcast_to(world.candidates[0], world.candidates.shape)
    shared, copied = (scorer.score(world.requests, given) for given in (view, view.copy()))
    _assert_close(shared, copied)


def check_order_of_requests(build: Build, world: ScorerWorld) -> None:
    """Requests in another order, or one by one, are answered the same."""
    scorer = build(world.events, world.split)
    scores = scorer.score(world.requests, world.candidates)
    order = np.random.default_rng(2).permutation(len(world.requests))
    moved = scorer.score(world.requests.take(order), world.candidates[order])
    _assert_close(moved, scores[order])
    for row in order[:3]:
        alone = scorer.score(world.requests.take(np.array([row])), world.candidates[[row]])
        _assert_close(alone[0], scores[row])


def check_target_is_not_read(build: Build, world: ScorerWorld) -> None:
    """Other targets leave every bit; where twins are removed, targets the user never met."""
    scorer = build(world.events, world.split)
    assert_target_unread(scorer, world.requests, world.events, world.split)


def check_no_requests(build: Build, world: ScorerWorld) -> None:
    """No request, and no candidate, are answered by empty scores."""
    scorer = build(world.events, world.split)
    width = world.candidates.shape[1]
    none = scorer.score(Requests.empty(), world.candidates[:0])
    assert none.shape == (0, width) and none.dtype == np.float32
    empty = scorer.score(world.requests, world.candidates[:, :0])
    assert empty.shape == (len(world.requests), 0) and empty.dtype == np.float32


def check_repeatable(build: Build, world: ScorerWorld) -> None:
    """Built twice, it gives the same bits."""
    first, second = (build(world.events, world.split) for _ in range(2))
    asked = world.requests, world.candidates
    assert np.array_equal(first.score(*asked), second.score(*asked))


def check_future_is_not_read(build: Build, world: ScorerWorld) -> None:
    """Editing every event at or after `as_of` leaves every bit of the request's scores."""
    as_of = world.requests.as_of.min()
    rows = np.flatnonzero(world.requests.as_of == as_of)
    late = np.flatnonzero(world.events.time >= as_of)
    assert len(late)
    asked, candidates = world.requests.take(rows), world.candidates[rows]
    scores = build(world.events, world.split).score(asked, candidates)
    edited = edit_events(world.events, late)
    assert np.array_equal(build(edited, world.split).score(asked, candidates), scores)


def check_vectors(build: Build, world: ScorerWorld) -> None:
    """A vector scorer's scores are products of its vectors; others need nothing."""
    scorer = build(world.events, world.split)
    if not isinstance(scorer, VectorScorer):
        return
    vectors, items = scorer.encode(world.requests), scorer.item_vectors()
    assert vectors.dtype == items.dtype == np.float32
    assert len(items) == len(world.events.items) and vectors.shape[1] == items.shape[1]
    everything = np.tile(np.arange(len(items)), (len(vectors), 1))
    np.testing.assert_allclose(
        scorer.score(world.requests, everything), vectors @ items.T, rtol=1e-4, atol=1e-5
    )


CHECKS: dict[str, Callable[[Build, ScorerWorld], None]] = {
    check.__name__.removeprefix("check_"): check
    for check in (
        check_shape,
        check_order_of_candidates,
        check_other_candidates,
        check_shared_candidates,
        check_order_of_requests,
        check_target_is_not_read,
        check_no_requests,
        check_repeatable,
        check_future_is_not_read,
        check_vectors,
    )
}
"""Every demand by name."""


def edit_events(events: Events, rows: IntArray) -> Events:
    """The events with another item, query and action in the given rows."""
    columns = {name: column.copy() for name, column in events.columns.items()}
    columns["item"][rows] = (columns["item"][rows] + 1) % len(events.items)
    asked = rows[columns["query"][rows] != NO_ROW]
    columns["query"][asked] = (columns["query"][asked] + 1) % len(events.queries)
    columns["action"][rows] = columns["action"][rows][::-1]
    return replace(events, columns=columns)


def scores_of(build: Build, world: ScorerWorld) -> FloatArray:
    """The scores of the world's candidates."""
    return build(world.events, world.split).score(world.requests, world.candidates)


def _joined(parts: list[Requests]) -> Requests:
    names = ("user", "query", "as_of", "target", "event")
    return Requests(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
