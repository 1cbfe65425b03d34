"""Neighbours by one vector per user, such as a user embedding or the state of an encoder."""

from __future__ import annotations

import numpy as np

from sargraph.core.errors import BadInputError
from sargraph.core.progress import progress
from sargraph.core.ranked import Ranked
from sargraph.core.scorer import Requests, VectorScorer
from sargraph.core.types import NO_ROW, NO_TIME, Array, BoolArray, FloatArray, IntArray
from sargraph.embedding.nearest_search import search_exact
from sargraph.events.events import Events
from sargraph.neighbours.alignment import unit_vectors

BLOCK = 4096
"""Requests that are encoded at once."""


def vector_neighbours(
    vectors: Array,
    users: IntArray,
    k: int,
    *,
    others: IntArray | None = None,
    num_threads: int = 1,
) -> Ranked:
    """The k users v with the largest `cos(x_u, x_v)` of each user u in `users`, best first.

    `vectors` [all users, dim] of any length, `users` int64 [n]; `others` int64 [m] are those who
    may be found (none = all). Returns rows of `vectors` and cosines, [n, k], exact; ties go to the
    lower row. A user never finds itself; one with a vector of zeros finds nobody and is not found.
    Raises BadInputError for vectors that are not finite or not [users, dim], for rows that are not
    there and for k below 1. Cost: O(n · m · dim) in blocks; memory O(n · k + m · dim). Where very
    many users have the very same vector each of them costs a sort of all.
    """
    if k < 1:
        raise BadInputError(f"got k = {k}, expected at least 1")
    units = unit_vectors(vectors)
    users = checked_rows("users", users, len(units))
    has_vector: BoolArray = np.asarray(units.any(axis=1))
    pool = np.flatnonzero(has_vector)
    if others is not None:
        pool = np.intersect1d(pool, checked_rows("others", others, len(units)))
    rows = np.full((len(users), k), NO_ROW, dtype=np.int64)
    scores = np.full((len(users), k), -np.inf, dtype=np.float32)
    asked = np.flatnonzero(has_vector[users])
    if len(pool) and len(asked):
        own = np.full(len(units), NO_ROW, dtype=np.int64)
        own[pool] = np.arange(len(pool))
        mine = users[asked]
        found = search_exact(units[pool], units[mine], own[mine], k, num_threads)
        rows[asked] = np.where(found.rows == NO_ROW, NO_ROW, pool[found.rows])
        scores[asked] = found.scores
    return Ranked(rows, scores)


def state_vectors(
    model: VectorScorer, events: Events, mask: BoolArray, as_of: int | None = None
) -> FloatArray:
    """What a model makes of each user's history before T = `as_of`, float32 [users, dim].

    One recommendation request per user is encoded, without a query, a target or an event. `model`
    is any `VectorScorer` of these events, such as a fitted SASRec; `as_of` none = just after the
    last event of the mask. `mask` bool [events] says what may be read, such as `split.is_train`: a
    request is made at T or at the user's first timed event outside the mask, whichever is earlier,
    so that nothing held out is read where users have no common cut either. (Untimed events held
    out are in no history of a model fitted with the split.)

    A user who neither chose nor searched for anything before that has a vector of zeros: all of
    them would have the same state, and be neighbours for no reason. A dimension that is the same
    for all, as that of an item bias, counts like any other. Raises BadInputError for a model
    without vectors or a mask that does not fit. Cost: that of one request per active user.
    """
    if not isinstance(model, VectorScorer):
        got = f"a model without vectors ({type(model).__name__})"
        raise BadInputError(f"got {got}, expected one with `encode`, such as SASRec")
    check_mask(events, mask)
    until = _ends(events, mask, as_of)
    users = _active(events, mask, until)
    parts = []
    for start in progress(list(range(0, len(users), BLOCK)), "encoding users"):
        block = users[start : start + BLOCK]
        parts.append(_checked_states(model.encode(_now(block, until[block])), len(block)))
    found = np.zeros((len(until), parts[0].shape[1] if parts else 1), dtype=np.float32)
    if parts:
        found[users] = np.concatenate(parts)
    return found


def checked_rows(name: str, rows: IntArray, num_rows: int) -> IntArray:
    """The rows as int64 [n]. Raises BadInputError unless all are there. Cost: O(n)."""
    given = np.asarray(rows)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        got = f"{name} of {given.dtype} {list(given.shape)}"
        raise BadInputError(f"got {got}, expected int64 [n], rows of users")
    if given.size and not 0 <= given.min() <= given.max() < num_rows:
        got = f"{name} from {given.min()} to {given.max()}"
        raise BadInputError(f"got {got}, expected rows of the {num_rows} users, from 0")
    return given.astype(np.int64)


def check_mask(events: Events, mask: BoolArray) -> None:
    """Raise BadInputError unless the mask is bool [events]."""
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (len(events),):
        kind = getattr(mask, "dtype", type(mask).__name__)
        got = f"a mask of {kind} {list(np.shape(mask))}"
        raise BadInputError(f"got {got}, expected bool [{len(events)}], as `split.is_train`")


def _ends(events: Events, mask: BoolArray, as_of: int | None) -> IntArray:
    """When each user's request is made, int64 [users]."""
    if as_of is None:
        as_of = int(events.time[mask].max(initial=NO_TIME)) + 1
    # In a log without times T is "no time", and a request at that time has no history at all.
    until = np.full(len(events.users), max(as_of, NO_TIME + 1), dtype=np.int64)
    held_out = np.flatnonzero(~mask & events.is_timed)
    np.minimum.at(until, events.user[held_out], events.time[held_out])
    return until


def _active(events: Events, mask: BoolArray, until: IntArray) -> IntArray:
    """Users who chose or searched for something that may be read."""
    did = events.is_positive | (events.is_search & (events.query != NO_ROW))
    return np.unique(events.user[mask & did & (events.time < until[events.user])])


def _now(users: IntArray, as_of: IntArray) -> Requests:
    none = np.full(len(users), NO_ROW, dtype=np.int64)
    return Requests(users, none, as_of, none, none)


def _checked_states(states: FloatArray, num_users: int) -> FloatArray:
    if states.ndim != 2 or len(states) != num_users:
        got = f"states {list(states.shape)}"
        raise BadInputError(f"got {got} from the model, expected [{num_users}, dim], one per user")
    return states
