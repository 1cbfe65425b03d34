"""Which training events make the graph that starts a model, and which its loss may then ask for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sargraph.core.errors import BadInputError
from sargraph.core.rng import make_rng
from sargraph.core.types import NO_ROW, NO_TIME, BoolArray, IntArray
from sargraph.events.events import Events
from sargraph.events.split import LEFT_OUT, PARTS, TEST, TRAIN, VALID, Split, searches_for

EARLIER_SHARE = 0.7
"""Share of the training time, or of a user's training events, that makes the graph."""


@dataclass(frozen=True)
class InitSplit:
    """A split for a graph, and the training events that a loss may have as targets.

    In `graph` TRAIN events make edges, VALID are the later training events, TEST everything that
    is held out, so that `audit(graph, events, split)` holds a graph to it. `loss_on` bool [n].
    """

    graph: Split
    loss_on: BoolArray


def earlier_split(
    events: Events, split: Split, share: float = EARLIER_SHARE, *, seed: int = 0
) -> InitSplit:
    """The first `share` of the training time makes the graph, the rest is asked for.

    Logs with clock times are cut once: at the `share` quantile of the times of the timed training
    events, so that the graph of nobody is later than the targets of anybody. Where time is only an
    order, each user's training events are cut at that share of their own. Events of the time of
    the cut go to the later side. Untimed events have no order: a seeded draw sends `share` of each
    user's to the graph. Where a target's pair is out of its history (`split.twins`, or untimed
    targets), events on the pair of a later target are left out of the graph, too.
    Raises BadInputError where either side has no chosen item. Cost: O(n log n).
    """
    training = np.flatnonzero(split.is_train)
    timed = training[events.is_timed[training]]
    late = np.zeros(len(events), dtype=np.bool_)
    cut = NO_TIME
    if events.time_kind == "ms" and len(timed):
        cut = _quantile(events.time[timed], share)
        late[timed] = events.time[timed] >= cut
    elif len(timed):
        late[timed] = _late_of_each_user(events.user[timed], events.time[timed], share)
    untimed = training[~events.is_timed[training]]
    late[untimed] = _late_untimed(events, untimed, share, seed)
    return _checked(events, split, late, cut)


def held_out_of_users(
    events: Events, split: Split, users: BoolArray, share: float = EARLIER_SHARE, *, seed: int = 0
) -> InitSplit:
    """All training events make the graph, but for the last part of those of the given users.

    Each masked user's timed training events are cut at `share` of their own, ties on the later
    side, and the untimed ones in a drawn order. Raises BadInputError as `earlier_split`.
    """
    late = np.zeros(len(events), dtype=np.bool_)
    mine = split.is_train & users[events.user]
    timed, untimed = np.flatnonzero(mine & events.is_timed), np.flatnonzero(mine & ~events.is_timed)
    late[timed] = _late_of_each_user(events.user[timed], events.time[timed], share)
    late[untimed] = _late_untimed(events, untimed, share, seed)
    return _checked(events, split, late, NO_TIME)


def _late_untimed(events: Events, rows: IntArray, share: float, seed: int) -> BoolArray:
    """The later ones of events without a time, in an order that a seed draws."""
    draw = make_rng(seed, "init", "untimed").random(len(events))
    return _late_of_each_user(events.user[rows], draw[rows], share)


def _checked(events: Events, split: Split, late: BoolArray, cut: int) -> InitSplit:
    part = split.part.copy()
    part[np.isin(part, (VALID, TEST))] = TEST
    part[late] = VALID
    chosen = events.is_positive & split.is_train
    if split.twins or not bool(events.is_timed[chosen].all()):
        pair = events.user * len(events.items) + events.item
        targets = pair[late & events.is_positive]
        twin = (part == TRAIN) & (events.item != NO_ROW) & np.isin(pair, targets)
        part[twin | ((part == TRAIN) & searches_for(events, twin))] = LEFT_OUT
    for side, mask in (("graph", part == TRAIN), ("loss", late)):
        if not np.any(mask & events.is_positive):
            raise BadInputError(
                f"cutting the training events leaves the {side} no chosen item; use how = 'graph' "
                "or give events with longer histories"
            )
    fates = {name: int(np.sum(part == code)) for code, name in enumerate(PARTS)}
    hidden = ~events.is_timed & (part != TRAIN)
    graph = replace(
        split, part=part, cut_valid=cut, cut_test=split.cut_valid, hidden=hidden, fates=fates
    )
    return InitSplit(graph, late)


def _quantile(times: IntArray, share: float) -> int:
    ordered = np.sort(times)
    return int(ordered[min(len(ordered) - 1, int(len(ordered) * share))])


def _late_of_each_user(user: IntArray, key: np.ndarray, share: float) -> BoolArray:  # type: ignore[type-arg]
    """True from the `share` quantile of the keys of each user on, ties of that key included."""
    if len(user) == 0:
        return np.zeros(0, dtype=np.bool_)
    order = np.lexsort((key, user))
    ordered, keys = user[order], key[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sizes = np.diff(np.r_[starts, len(ordered)])
    # The first event always goes to the graph, so that a user with one event is known there.
    at = np.maximum((sizes * share).astype(np.int64), 1)
    first_late = keys[starts + np.minimum(at, sizes - 1)]
    late = np.repeat(at < sizes, sizes) & (keys >= np.repeat(first_late, sizes))
    found = np.zeros(len(user), dtype=np.bool_)
    found[order] = late
    return found
