"""The audit of twins: one purchase that the log holds twice must not answer for itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from sargraph.core.rng import make_rng
from sargraph.core.scorer import Requests, Scorer
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.events.events import Events
from sargraph.events.schema import CLICK, RECOMMEND, SEARCH, SEARCHED
from sargraph.events.split import TEST, TRAIN, VALID, Split, SplitConfig, requests_for, split_events
from sargraph.testing.leak_edits import World

TASKS: tuple[Literal["search", "recommend"], ...] = ("recommend", "search")


def assert_twin_unread(
    make_scorer: Callable[[Events, Split], Scorer],
    events: Events,
    split_of: Callable[[Events], Split],
    *,
    num_targets: int = 4,
    after_cut: bool = True,
    query_rows: bool = False,
    seed: int = 0,
) -> None:
    """Whether a target's purchase is logged a second time changes no bit of the target's scores.

    `split_of` is the split under audit, with `twins` and fixed cuts (see `fixed_split`). For some
    test targets of different users every other event on the pair is taken out of the log; in one of
    two worlds a twin of the other source is planted earlier: a search with a query, or a
    recommendation, for every other target after the validation cut where the user was there (never,
    without `after_cut`: for models that make choices on the validation part). With `query_rows` a
    planted search has a row of its own for what was typed. No training event may be on the pair of
    a target, and a model fitted on either world must give the same scores for all items.
    Raises AssertionError, ValueError without twins or targets to plant by. Cost: two fits.
    """
    split = split_of(events)
    if not split.twins:
        raise ValueError("the split has no twins; audit one made with SplitConfig(twins=True)")
    rng = make_rng(seed, "leak twins")
    requests = _targets(events, split, num_targets, rng)
    without = _without_pairs(World.of(events, split), requests)
    twins = [_twin(without, requests, n, rng, after_cut=after_cut) for n in range(len(requests))]
    rows = [row for twin in twins for row in twin if query_rows or row["item"] != NO_ROW]
    scored = []
    for world in (without, without.with_rows(rows)):
        again = split_of(world.events)
        _refuse_training_twins(world.events, again)
        scored.append(_scores_one_by_one(make_scorer(world.events, again), world, requests))
    changed = [n for n, (one, other) in enumerate(zip(*scored, strict=True)) if one != other]
    if changed:
        raise AssertionError(
            f"the twin of a target is read: a second event on user {requests.user[changed[0]]}, "
            f"item {requests.target[changed[0]]} changes the scores ({len(changed)} targets)"
        )


def fixed_split(events: Events, config: SplitConfig) -> Callable[[Events], Split]:
    """The split of `config` with the cuts that it gives for `events`, whatever is split later.

    Shares would move the cuts when an event is added.
    """
    if config.kind == "global_time":
        found = split_events(events, config)
        config = config.model_copy(update={"cuts": (found.cut_valid, found.cut_test)})
    return lambda changed: split_events(changed, config)


def _scores_one_by_one(scorer: Scorer, world: World, requests: Requests) -> list[bytes]:
    """The bits of the scores of all items for each request alone."""
    moved, items = world.moved(requests), np.arange(len(world.events.items))[None, :]
    ones = [moved.take(np.array([n])) for n in range(len(moved))]
    return [np.asarray(scorer.score(one, items.copy())).tobytes() for one in ones]


def _refuse_training_twins(events: Events, split: Split) -> None:
    """Raise AssertionError where a training event is on the pair of a target."""
    pairs = list(zip(events.user.tolist(), events.item.tolist(), strict=True))
    is_target = np.isin(split.part, (VALID, TEST)) & events.is_positive
    held_out = {pairs[row] for row in np.flatnonzero(is_target)}
    for row in np.flatnonzero(split.part == TRAIN).tolist():
        if pairs[row] in held_out:
            raise AssertionError(f"training event {row} is a twin of a target {pairs[row]}")


def _targets(events: Events, split: Split, number: int, rng: np.random.Generator) -> Requests:
    """Timed test targets of different users who have a past to plant in, of both sources."""
    chosen: list[Requests] = []
    taken: set[int] = set()
    for task in TASKS:
        asked = requests_for(events, split, TEST, task)
        rows: list[int] = []
        for n in rng.permutation(len(asked)).tolist():
            user, is_full = int(asked.user[n]), len(rows) == (number + 1) // 2
            if (
                not is_full
                and user not in taken
                and _past(events, split, user, int(asked.as_of[n]))
            ):
                rows.append(n)
                taken.add(user)
        chosen.append(asked.take(np.array(rows, dtype=np.int64)))
    names = ("user", "query", "as_of", "target", "event")
    found = Requests(*(np.concatenate([getattr(part, k) for part in chosen]) for k in names))
    if len(found) == 0:
        raise ValueError("no timed test target of a user with a past to plant a twin for")
    return found


def _past(events: Events, split: Split, user: int, as_of: int) -> list[int]:
    """Times at which a twin may stand: those of the user's own timed events before the target.

    A split user by user holds out the last choices: there a twin must be older than all of them.
    """
    mine = (events.user == user) & events.is_timed
    if split.cut_valid == NO_TIME:
        held_out = events.time[mine & (split.part != TRAIN)]
        as_of = min([as_of, *held_out.tolist()])
    return sorted(set(events.time[mine & (events.time < as_of)].tolist()))


def _without_pairs(world: World, requests: Requests) -> World:
    """The world without any other event on the pair of a target."""
    events = world.events
    gone = np.zeros(len(events), dtype=np.bool_)
    for user, item in zip(requests.user, requests.target, strict=True):
        gone |= (events.user == user) & (events.item == item)
    gone[requests.event] = False
    return world.without(np.flatnonzero(gone))


def _twin(
    world: World, requests: Requests, n: int, rng: np.random.Generator, *, after_cut: bool
) -> list[dict[str, int]]:
    """The twin of target n as an event of the other source, after a row for its query.

    Even targets get it anywhere in the past, odd ones after the validation cut if possible.
    """
    events = world.events
    past = _past(events, world.split, int(requests.user[n]), int(requests.as_of[n]))
    cut = world.split.cut_valid
    recent = [time for time in past if time >= cut]
    if not after_cut:
        past = past if cut == NO_TIME else [time for time in past if time < cut]
        recent = []
    if not past:
        return []
    is_search = bool(requests.query[n] == NO_ROW) and len(events.queries) > 0
    row = {
        "user": int(requests.user[n]),
        "time": int(rng.choice(recent if n % 2 and recent else past)),
        "source": SEARCH if is_search else RECOMMEND,
        "action": CLICK,
        "item": int(requests.target[n]),
        "query": int(rng.integers(len(events.queries))) if is_search else NO_ROW,
        "session": int(events.session.max(initial=0)) + 1 + n,
        "part": TRAIN,
    }
    return [{**row, "action": SEARCHED, "item": NO_ROW}, row] if is_search else [row]
