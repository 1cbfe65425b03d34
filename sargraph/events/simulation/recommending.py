"""What simulated users are recommended and click, and how searches and clicks act on each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sargraph.core.rng import make_rng
from sargraph.core.types import NO_ROW, NO_TIME, Array, BoolArray, DoubleArray, IntArray
from sargraph.events.simulation.draws import draw_rungs
from sargraph.events.simulation.settings import SimulateConfig
from sargraph.events.simulation.slate import MAX_SHOWN, affinity, left_aligned, repeated
from sargraph.events.simulation.timeline import HOUR_MS, Timeline
from sargraph.events.simulation.topics import SUBTOPICS_PER_TOPIC, WORDS_PER_SUBTOPIC
from sargraph.events.simulation.world import World

MEMORY = 256
"""An item is not recommended again while it is among the last so many (at most a tenth of all
items) that a user was shown, unless nothing else is at hand."""

PILOT_USERS = 200
"""The click model's intercept is set on a pilot run of so many users."""

FOR_INTENT, FOR_DEMAND = 0.42, 0.28
"""Shares of items recommended for the inherent intents and for the demand; the rest is popular."""


@dataclass(frozen=True)
class Batches:
    """Recommendation batches, one per non-search step, in the order of the timeline.

    `demand` is the sub-topic the batch followed and `searched_at` the time of the search it came
    from (NO_TIME: the user's own). `shown` [n, 8] are items (-1 = none), `clicked` [n, 8];
    `opened` is the column a search was opened from (-1 = none), at `opened_at`.
    """

    step: IntArray
    user: IntArray
    time: IntArray
    demand: IntArray
    searched_at: IntArray
    shown: IntArray
    clicked: BoolArray
    opened: IntArray
    opened_at: IntArray


def live_recommendations(
    world: World, timeline: Timeline, seed: int, intercept: float | None = None
) -> Batches:
    """Let all users go through their steps, the k-th steps of all users at once.

    `intercept` is the click model's; without it the one of this shard (`calibrate`).

    A search sets what following batches may be about (S2R); a clicked item may open a search
    (R2S), which does the same. Cost: O(impressions x MEMORY) and one pass per step of the most
    active user; O(users x MEMORY) memory.
    """
    if intercept is None:
        intercept = calibrate(world, timeline, seed)
    rng = make_rng(seed, "recommendations", *world.labels)
    return _run(world, timeline, len(timeline), intercept, rng)


def _run(
    world: World, timeline: Timeline, num_steps: int, intercept: float, rng: np.random.Generator
) -> Batches:
    """Live through the first `num_steps` steps (whole users); the other batches stay blank."""
    batches = _blank_batches(timeline)
    row_of_step = np.full(len(timeline), NO_ROW)
    row_of_step[batches.step] = np.arange(len(batches.step))
    state = _State(len(world.users), min(MEMORY, max(len(world.items) // 10, 1)))
    order = timeline.order[:num_steps]
    by_order = np.argsort(order, kind="stable")
    for steps in np.split(by_order, np.cumsum(np.bincount(order))[:-1]):
        searching = steps[timeline.is_search[steps]]
        state.search(
            timeline.user[searching], timeline.time[searching], timeline.search_demand[searching]
        )
        showing = steps[~timeline.is_search[steps]]
        _recommend(world, timeline, batches, row_of_step[showing], state, intercept, rng)
    return batches


class _State:
    """What carries over from step to step: each user's last search and last shown items."""

    def __init__(self, num_users: int, memory: int) -> None:
        self.searched_at = np.full(num_users, NO_TIME)
        self.searched = np.zeros(num_users, dtype=np.int64)
        self.recent = np.full((num_users, memory), NO_ROW, dtype=np.int32)
        self.seen = np.zeros(num_users, dtype=np.int64)

    def search(self, user: IntArray, time: IntArray, subtopic: IntArray) -> None:
        self.searched_at[user] = time
        self.searched[user] = subtopic

    def remember(self, user: IntArray, shown: IntArray) -> None:
        row, column = np.nonzero(shown != NO_ROW)
        self.recent[user[row], (self.seen[user[row]] + column) % self.recent.shape[1]] = shown[
            row, column
        ]
        self.seen[user] += (shown != NO_ROW).sum(axis=1)


def _blank_batches(timeline: Timeline) -> Batches:
    step = np.flatnonzero(~timeline.is_search)
    n = len(step)
    return Batches(
        step=step,
        user=timeline.user[step],
        time=timeline.time[step],
        demand=timeline.recommend_demand[step],
        searched_at=np.full(n, NO_TIME),
        shown=np.full((n, MAX_SHOWN), NO_ROW),
        clicked=np.zeros((n, MAX_SHOWN), dtype=np.bool_),
        opened=np.full(n, NO_ROW),
        opened_at=np.full(n, NO_TIME),
    )


def _recommend(
    world: World,
    timeline: Timeline,
    batches: Batches,
    rows: IntArray,
    state: _State,
    intercept: float,
    rng: np.random.Generator,
) -> None:
    """Fill the given batches (of different users) and carry their effects into `state`."""
    config, user, step = world.config, batches.user[rows], batches.step[rows]
    followed = rng.random(len(rows)) < _pull(config, batches.time[rows], state.searched_at[user])
    batches.searched_at[rows] = np.where(followed, state.searched_at[user], NO_TIME)
    batches.demand[rows] = np.where(followed, state.searched[user], batches.demand[rows])
    candidates = _candidates(world, user, batches.demand[rows], rng)
    shown = _fresh(candidates, state.recent[user], rng)
    state.remember(user, shown)
    logits = intercept + _appeal(world, user, batches.demand[rows], shown)
    clicked = (rng.random(shown.shape) < _sigmoid(logits)) & (shown != NO_ROW)
    batches.shown[rows], batches.clicked[rows] = shown, clicked
    opened = _opened(config, shown, clicked, rng)
    delay = (rng.uniform(0.2, 0.8, len(rows)) * timeline.room[step]).astype(np.int64)
    opening = opened != NO_ROW
    batches.opened[rows] = opened
    batches.opened_at[rows] = np.where(opening, batches.time[rows] + delay, NO_TIME)
    about = world.items.subtopic[shown[np.arange(len(rows)), np.maximum(opened, 0)]]
    if not config.r2s_effect:
        about = timeline.search_demand[step]
    state.search(user[opening], batches.opened_at[rows][opening], about[opening])


def _pull(config: SimulateConfig, time: IntArray, searched_at: IntArray) -> DoubleArray:
    """Probability that a batch follows the last search: strength x decay(time since)."""
    if not config.s2r_effect:
        return np.zeros(len(time))
    known = searched_at != NO_TIME
    age = np.where(known, time - np.where(known, searched_at, 0), 0)
    halvings = age / (config.s2r_half_life_hours * HOUR_MS)
    decay = 0.5**halvings if config.s2r_decay == "exponential" else 1.0 / (1.0 + halvings)
    return np.asarray(np.where(known, config.s2r_strength * decay, 0.0))


def _candidates(
    world: World, user: IntArray, demand: IntArray, rng: np.random.Generator
) -> IntArray:
    """Items for the inherent intents, the demand, or by popularity: twice as many as are shown."""
    shape = (len(user), 2 * MAX_SHOWN)
    reason = rng.random(shape)
    ladder = world.users.intent_ladder
    inherent = draw_rungs(ladder, np.repeat(user, shape[1]), rng.random(shape).ravel())
    subtopic = np.where(reason < FOR_INTENT, inherent.reshape(shape), demand[:, None])
    popular = reason >= FOR_INTENT + FOR_DEMAND
    low = np.where(popular, 0, subtopic * WORDS_PER_SUBTOPIC)
    high = np.where(popular, len(world.items.first) - 1, low + WORDS_PER_SUBTOPIC)
    return world.items.pick(low, high, rng.random(shape))


def _fresh(candidates: IntArray, recent: Array, rng: np.random.Generator) -> IntArray:
    """The first 3 to 8 candidates of each row that are neither repeated nor recently shown."""
    fresh = ~repeated(candidates)
    fresh &= ~(candidates[:, :, None] == recent[:, None, :]).any(axis=2)
    fresh[:, 0] |= ~fresh.any(axis=1)  # no batch is empty
    wanted = rng.integers(3, MAX_SHOWN + 1, size=len(candidates))
    fresh &= np.cumsum(fresh, axis=1) <= wanted[:, None]
    return left_aligned(candidates, fresh)


def _appeal(world: World, user: IntArray, demand: IntArray, shown: IntArray) -> DoubleArray:
    """Logit of a click on a recommended item, up to the intercept."""
    same_subtopic = world.items.subtopic[shown] == demand[:, None]
    same_topic = world.items.topic[shown] == (demand // SUBTOPICS_PER_TOPIC)[:, None]
    return np.asarray(affinity(world, user, shown) + 1.2 * same_topic + 1.2 * same_subtopic)


def calibrate(world: World, timeline: Timeline, seed: int) -> float:
    """The intercept that gives the click rate asked for, by bisection on what a pilot run shows."""
    rng = make_rng(seed, "calibration", *world.labels)
    num_steps = int(np.searchsorted(timeline.user, PILOT_USERS))
    pilot = _run(world, timeline, num_steps, 0.0, rng)
    logits = _appeal(world, pilot.user, pilot.demand, pilot.shown)[pilot.shown != NO_ROW]
    low, high = -20.0, 20.0
    for _ in range(40):
        middle = (low + high) / 2
        too_many = len(logits) > 0 and _sigmoid(logits + middle).mean() > world.config.click_rate
        low, high = (low, middle) if too_many else (middle, high)
    return (low + high) / 2


def _opened(
    config: SimulateConfig, shown: IntArray, clicked: BoolArray, rng: np.random.Generator
) -> IntArray:
    """The column of each batch that a search is opened from, -1 where none is."""
    chance = config.r2s_probability * clicked
    if not config.r2s_effect:
        chance = config.r2s_probability * config.click_rate * (shown != NO_ROW)
    opens = rng.random(shown.shape) < chance
    return np.asarray(np.where(opens.any(axis=1), opens.argmax(axis=1), NO_ROW), dtype=np.int64)


def _sigmoid(logits: DoubleArray) -> DoubleArray:
    return np.asarray(1.0 / (1.0 + np.exp(-logits)))
