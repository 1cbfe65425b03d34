"""When simulated users act, and the demand each of their steps starts from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sargraph.core.rng import make_rng
from sargraph.core.types import BoolArray, IntArray
from sargraph.events.simulation.draws import draw_rungs
from sargraph.events.simulation.settings import DAY_MS, SimulateConfig
from sargraph.events.simulation.topics import SUBTOPICS_PER_TOPIC
from sargraph.events.simulation.world import World

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
MAX_STEPS = 10
SHORTEST_GAP_MS = MINUTE_MS
LONGEST_GAP_MS = 8 * MINUTE_MS
SESSIONS_APART_MS = 2 * HOUR_MS
INHERENT_DEMAND = 0.7

# Relative activity by hour of the day: a quiet night, a bump at noon, a peak in the evening.
HOURS = np.array([3, 2, 1, 1, 1, 2, 3, 4, 5, 5, 5, 6, 8, 7, 5, 5, 5, 6, 7, 9, 11, 12, 10, 6.0])


@dataclass(frozen=True)
class Timeline:
    """Steps (a recommendation batch or a search each), sorted by (user, time).

    `starts` marks the first step of a session; `order` is the place of a step among its user's;
    `room` the ms to the next step of the session (10 minutes for the last one). Each source has a
    demand of its own: `recommend_demand`, `search_demand` are the sub-topic at each step, and
    `explored` says that the search demand came from outside the user's inherent intents.
    """

    user: IntArray
    time: IntArray
    is_search: BoolArray
    starts: BoolArray
    order: IntArray
    room: IntArray
    recommend_demand: IntArray
    search_demand: IntArray
    explored: BoolArray

    def __len__(self) -> int:
        return len(self.user)


def draw_timeline(world: World, seed: int) -> Timeline:
    """Draw all steps of all users. Cost: O(steps)."""
    config = world.config
    rng = make_rng(seed, "times", *world.labels)
    session_user, session_start = _sessions(world, rng)
    user, time, starts = _steps(session_user, session_start, config, rng)
    is_search = rng.random(len(user)) < world.users.search_share[user]
    chains = (("recommend demand", ~is_search), ("search demand", is_search))
    (recommend_demand, _), (search_demand, explored) = (
        _demand(world, user, time, _starts_of(own, starts, user), own, seed, name)
        for name, own in chains
    )
    first = np.searchsorted(user, user)
    return Timeline(
        user=user,
        time=time,
        is_search=is_search,
        starts=starts,
        order=np.arange(len(user)) - first,
        room=_room(time, starts),
        recommend_demand=recommend_demand,
        search_demand=search_demand,
        explored=explored,
    )


def _sessions(world: World, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """User and start of each session, sorted, at least two hours apart for one user."""
    config, users = world.config, world.users
    count = rng.poisson(users.activity * config.sessions_per_day * config.num_days)
    user = np.repeat(np.arange(len(users)), np.maximum(count, 1))
    hour = rng.choice(24, size=len(user), p=HOURS / HOURS.sum()) + users.hour_shift[user]
    day = rng.integers(config.num_days, size=len(user))
    within = rng.integers(HOUR_MS, size=len(user))
    start = config.start_ms + day * DAY_MS + (hour % 24) * HOUR_MS + within
    order = np.lexsort((start, user))
    user, start = user[order], start[order]
    crowded = np.zeros(len(user), dtype=np.bool_)
    crowded[1:] = (user[1:] == user[:-1]) & (np.diff(start) < SESSIONS_APART_MS)
    return user[~crowded], start[~crowded]


def _steps(
    session_user: IntArray,
    session_start: IntArray,
    config: SimulateConfig,
    rng: np.random.Generator,
) -> tuple[IntArray, IntArray, BoolArray]:
    """User, time and "opens a session" of each step; none falls after the end of the log."""
    length = np.minimum(1 + rng.poisson(config.steps_per_session - 1, len(session_user)), MAX_STEPS)
    session = np.repeat(np.arange(len(session_user)), length)
    starts = np.ones(len(session), dtype=np.bool_)
    starts[1:] = session[1:] != session[:-1]
    pause = SHORTEST_GAP_MS + rng.exponential(3 * MINUTE_MS, len(session)).astype(np.int64)
    elapsed = np.cumsum(np.where(starts, 0, np.minimum(pause, LONGEST_GAP_MS)))
    time = session_start[session] + elapsed - elapsed[starts][session]
    # A batch needs room behind it: for a search opened from one of its items.
    inside = time < config.end_ms - 10 * MINUTE_MS
    return session_user[session][inside], time[inside], starts[inside]


def _room(time: IntArray, starts: BoolArray) -> IntArray:
    room = np.full(len(time), 10 * MINUTE_MS, dtype=np.int64)
    inner = ~starts[1:]
    room[:-1][inner] = np.diff(time)[inner]
    return room


def _starts_of(own: BoolArray, starts: BoolArray, user: IntArray) -> BoolArray:
    """True at the first of the `own` steps of each session."""
    session = np.cumsum(starts)
    rows = np.flatnonzero(own)
    first = np.zeros(len(user), dtype=np.bool_)
    first[rows] = np.diff(session[rows], prepend=-1) != 0
    return first


def _demand(
    world: World,
    user: IntArray,
    time: IntArray,
    starts: BoolArray,
    own: BoolArray,
    seed: int,
    name: str,
) -> tuple[IntArray, BoolArray]:
    """A Markov chain per user: at each `own` step the demand stays or is drawn afresh.

    The steps of the other source leave it alone: were it drawn again there, a search between two
    batches would already make them differ, and a world without transitions would show some.
    Afresh means from the inherent intents (70 %) or from all sub-topics alike; where demand is
    seasonal, both weighed by the season.
    """
    config, n = world.config, len(user)
    rng = make_rng(seed, name, *world.labels)
    fresh, inherent = _fresh_demand(world, user, rng)
    changes = own & (rng.random(n) < np.where(starts, 1 - config.persistence, 0.1))
    if config.seasonal_demand:
        _follow_the_season(world, user, time, fresh, inherent, rng)
    if not config.demand_changes:
        changes[:] = False
    if n:
        changes[0] = True
        changes[1:] |= user[1:] != user[:-1]
    since = np.maximum.accumulate(np.where(changes, np.arange(n), 0))
    return fresh[since], ~inherent[since]


def _fresh_demand(
    world: World, user: IntArray, rng: np.random.Generator
) -> tuple[IntArray, BoolArray]:
    """A sub-topic for each entry, and whether it comes from the inherent intents."""
    n = len(user)
    inherent = rng.random(n) < INHERENT_DEMAND
    from_intents = draw_rungs(world.users.intent_ladder, user, rng.random(n))
    return np.where(inherent, from_intents, rng.integers(world.num_subtopics, size=n)), inherent


def _follow_the_season(
    world: World,
    user: IntArray,
    time: IntArray,
    fresh: IntArray,
    inherent: BoolArray,
    rng: np.random.Generator,
) -> None:
    """Draw again, in place, until each demand passes the season's chance (rejection sampling)."""
    open_rows = np.arange(len(user))
    while len(open_rows):
        topic = fresh[open_rows] // SUBTOPICS_PER_TOPIC
        failed = rng.random(len(open_rows)) >= world.seasons.chance(topic, time[open_rows])
        open_rows = open_rows[failed]
        fresh[open_rows], inherent[open_rows] = _fresh_demand(world, user[open_rows], rng)
