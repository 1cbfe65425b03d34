"""Leak audits for any model: give a `make_scorer(events, split) -> Scorer` and see whether it reads
what it must not.

Each audit raises AssertionError with one line that says what leaked; each has a negative control
(a model that does leak, see `sargraph.testing.leak_cheats`) in the tests. The events should have
ties in time, searches of several rows and repeated pairs; some hundred of them are enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

import numpy as np

from sargraph.core.rng import make_rng
from sargraph.core.scorer import Requests, Scorer
from sargraph.core.types import NO_ROW, BoolArray, FloatArray, IntArray
from sargraph.events.events import Events
from sargraph.events.split import LEFT_OUT, TEST, TRAIN, VALID, Split, requests_for
from sargraph.testing.leak_chance import assert_chance, assert_order_unread, protocols_on_offer
from sargraph.testing.leak_edits import EDITS, World, is_edited, later
from sargraph.testing.leak_graph import assert_no_reverse_edge, graph_columns
from sargraph.testing.leak_modules import assert_every_parameter_trains
from sargraph.testing.leak_target import assert_target_unread
from sargraph.testing.leak_twins import assert_twin_unread, fixed_split

__all__ = [
    "assert_chance",
    "assert_every_parameter_trains",
    "assert_future_unread",
    "assert_no_reverse_edge",
    "assert_order_unread",
    "assert_target_unread",
    "assert_training_unread",
    "assert_twin_unread",
    "fixed_split",
    "graph_columns",
    "protocols_on_offer",
]

MakeScorer: TypeAlias = Callable[[Events, Split], Scorer]
"""Fits a model, with the same seed each time, on the training part of events."""

Rebind: TypeAlias = Callable[[Scorer, Events, Split], Scorer]
"""The same trained scorer, unchanged, reading the histories of other events."""

ALL_PARTS = (TRAIN, VALID, TEST, LEFT_OUT)
MAX_REQUESTS = 16
"""Requests of one time that are scored together."""


def assert_future_unread(
    make_scorer: MakeScorer,
    events: Events,
    split: Split,
    *,
    rebind: Rebind | None = None,
    parts: tuple[int, ...] = (VALID, TEST),
    num_times: int = 4,
    seed: int = 0,
) -> None:
    """No score of a request changes by a bit when events at or after its time are edited.

    For `num_times` prediction times of the `parts`, and each kind of edit in `EDITS`
    (other item, query or action; deleted; added; ties reordered), the edited world must give the
    scores of the real one for every item of the catalogue. With `rebind` the scorer that was
    trained on the real world reads the edited one, and every late event may be edited, training
    events of other users among them (a log cut user by user has those). Then the model is trained
    anew on a world where late events of the `parts` are edited in all ways at once, so that neither
    its training nor what it keeps depends on them. A model that makes choices on the validation
    part, as it may, is audited with `parts=(TEST,)`.
    Raises AssertionError with the edit, ValueError where a kind found nothing to edit.
    Cost: two trainings, `num_times + 1` without `rebind`.
    """
    real, world = make_scorer(events, split), World.of(events, split)
    edited = dict.fromkeys(EDITS, 0)
    for number, (as_of, requests) in enumerate(_moments(world, parts, num_times, seed)):
        scores = _scores(real, requests, events)
        rng = make_rng(seed, "leak edits", str(number))
        if rebind is not None:
            for kind in EDITS:
                after = _edited(world, as_of, requests.event, [kind], rng, ALL_PARTS)
                edited[kind] += is_edited(world, after)
                bound = rebind(real, after.events, after.split)
                _same(scores, bound, after, requests, f"edit '{kind}'", as_of)
        if rebind is None or number == 0:
            after = _edited(world, as_of, requests.event, list(EDITS), rng, parts)
            anew = make_scorer(after.events, after.split)
            _same(scores, anew, after, requests, "training anew after all edits", as_of)
    if rebind is not None and not all(edited.values()):
        raise ValueError(f"nothing to edit in some way: {edited}; give events with ties, searches")


def assert_training_unread(
    make_arrays: Callable[[Events, Split], Mapping[str, Any]],
    events: Events,
    split: Split,
    *,
    seed: int = 0,
) -> None:
    """Nothing that is learned changes by a bit when validation and test events are edited.

    `make_arrays` fits and returns what it learned: the weights of a model, the tables of an
    embedding, the columns of a graph (`graph_columns`). Every kind of edit is done to all held-out
    events, one kind after the other, then all together.
    Raises AssertionError with the edit and the array. Cost: one fit per kind of edit, two more.
    """
    world = World.of(events, split)
    learned = make_arrays(events, split)
    parts = (VALID, TEST)
    first, nobody = int(_held_out_requests(world, parts).as_of.min()), np.empty(0, np.int64)
    for number, kinds in enumerate([*([kind] for kind in EDITS), list(EDITS)]):
        rng = make_rng(seed, "leak edits of training", str(number))
        after = _edited(world, first, nobody, kinds, rng, parts)
        if not is_edited(world, after):
            raise ValueError(f"no held-out event to edit by {kinds}; give more events")
        again = make_arrays(after.events, after.split)
        if set(again) != set(learned):
            raise AssertionError(f"held-out events decide which arrays are learned ({kinds})")
        for name, array in learned.items():
            if not same_bits(np.asarray(array), np.asarray(again[name])):
                raise AssertionError(f"'{name}' depends on held-out events (edit {kinds})")


def same_bits(one: Any, other: Any) -> bool:
    """True where two arrays have one shape, type and content, NaN and signs of zero included."""
    same = one.shape == other.shape and one.dtype == other.dtype
    return (
        bool(same) and np.ascontiguousarray(one).tobytes() == np.ascontiguousarray(other).tobytes()
    )


def _moments(
    world: World, parts: tuple[int, ...], num_times: int, seed: int
) -> Iterator[tuple[int, Requests]]:
    """Some random prediction times, with requests asked at each."""
    asked = _held_out_requests(world, parts)
    if len(asked) == 0:
        raise ValueError("no request to audit; give a split with held-out choices")
    times = np.unique(asked.as_of)
    rng = make_rng(seed, "leak times")
    chosen = rng.choice(times, min(num_times, len(times)), replace=False)
    for as_of in sorted(chosen.tolist()):
        rows = np.flatnonzero(asked.as_of == as_of)
        rows = rng.permutation(rows)[:MAX_REQUESTS]
        yield as_of, asked.take(np.sort(rows))


def _held_out_requests(world: World, parts: tuple[int, ...]) -> Requests:
    """All requests of the parts, of both sources."""
    tasks: tuple[Literal["search", "recommend"], ...] = ("search", "recommend")
    asked = [
        requests_for(world.events, world.split, part, task) for part in parts for task in tasks
    ]
    columns = [
        np.concatenate([getattr(each, name) for each in asked])
        for name in ("user", "query", "as_of", "target", "event")
    ]
    return Requests(*columns)


def _edited(
    world: World,
    as_of: int,
    own_rows: IntArray,
    kinds: list[str],
    rng: np.random.Generator,
    parts: tuple[int, ...],
) -> World:
    """The world after edits of events of the parts at or after `as_of`.

    `own_rows` are the events that the requests were made from.
    """
    for kind in kinds:
        late = later(world, as_of, parts)
        own: BoolArray = np.isin(world.origin, own_rows)
        world = EDITS[kind](world, late, own, rng)
    return world


def _scores(scorer: Scorer, requests: Requests, events: Events) -> FloatArray:
    """Scores of every item for every request, float32 [n, items]."""
    candidates: IntArray = np.broadcast_to(
        np.arange(len(events.items)), (len(requests), len(events.items))
    ).copy()
    return scorer.score(requests, candidates)


def _same(
    scores: FloatArray, scorer: Scorer, world: World, requests: Requests, what: str, as_of: int
) -> None:
    again = _scores(scorer, world.moved(requests), world.events)
    if not same_bits(scores, again):
        changed = np.flatnonzero((scores != again).any(axis=1))
        first = changed[0] if len(changed) else 0
        raise AssertionError(
            f"'{scorer.name}' reads the future: {what} at or after {as_of} changed the scores of "
            f"{len(changed)} of {len(requests)} requests (first: user {requests.user[first]}, "
            f"{'search' if requests.query[first] != NO_ROW else 'recommend'})"
        )
