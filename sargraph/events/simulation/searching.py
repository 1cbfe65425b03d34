"""What simulated users search for, are shown and click."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sargraph.core.rng import make_rng
from sargraph.core.types import NO_ROW, BoolArray, IntArray
from sargraph.events.simulation.recommending import Batches
from sargraph.events.simulation.slate import MAX_SHOWN, affinity, left_aligned, repeated
from sargraph.events.simulation.timeline import Timeline
from sargraph.events.simulation.topics import WORDS_PER_SUBTOPIC, WORDS_PER_TOPIC
from sargraph.events.simulation.world import World, cousin_of, sibling_of

SHELVES = (0.35, 0.6, 0.8)
"""Cumulative shares of results that match the word, sub-topic, topic; the rest is popular."""


@dataclass(frozen=True)
class Searches:
    """Searches sorted by (user, time).

    `batch` is the batch a search was opened from (-1 = none), `word` its main word, `terms`
    [n, 3] the query (-1 = none), `shown` and `clicked` [n, 8] its results, `number` counts the
    searches of one user from 1, `explored` says that the demand is not an inherent intent.
    """

    user: IntArray
    time: IntArray
    batch: IntArray
    word: IntArray
    explored: BoolArray
    number: IntArray
    terms: IntArray
    shown: IntArray
    clicked: BoolArray


def search_all(world: World, timeline: Timeline, batches: Batches, seed: int) -> Searches:
    """Carry out all searches: the planned ones and those opened from recommended items.

    Cost: O(searches).
    """
    rng = make_rng(seed, "searches", *world.labels)
    planned = np.flatnonzero(timeline.is_search)
    opening = np.flatnonzero(batches.opened != NO_ROW)
    step = np.concatenate([planned, batches.step[opening]])
    time = np.concatenate([timeline.time[planned], batches.opened_at[opening]])
    batch = np.concatenate([np.full(len(planned), NO_ROW), opening])
    order = np.lexsort((time, timeline.user[step]))
    step, time, batch = step[order], time[order], batch[order]
    user, explored = timeline.user[step], timeline.explored[step]
    word = timeline.search_demand[step] * WORDS_PER_SUBTOPIC
    word += rng.integers(WORDS_PER_SUBTOPIC, size=len(step))
    if world.config.r2s_effect:
        from_item = np.flatnonzero(batch != NO_ROW)
        opener = batches.shown[batch[from_item], batches.opened[batch[from_item]]]
        word[from_item] = world.items.word[opener]
        explored = explored & (batch == NO_ROW)
    shown = _found(world, word, rng)
    return Searches(
        user=user,
        time=time,
        batch=batch,
        word=word,
        explored=explored,
        number=np.arange(len(user)) - np.searchsorted(user, user) + 1,
        terms=_query(world, word, rng),
        shown=shown,
        clicked=_chosen(world, user, word, shown, rng),
    )


def _query(world: World, word: IntArray, rng: np.random.Generator) -> IntArray:
    """One to three words: the main word, a sibling, a cousin. [n, 3], -1 = none."""
    if not world.config.query_about_items:
        word = rng.integers(world.config.num_topics * WORDS_PER_TOPIC, size=len(word))
    length = rng.choice([1, 2, 3], size=len(word), p=[0.35, 0.45, 0.2])
    terms = np.stack([word, sibling_of(word, rng), cousin_of(word, rng)], axis=1)
    return np.where(np.arange(3) < length[:, None], terms, NO_ROW)


def _found(world: World, word: IntArray, rng: np.random.Generator) -> IntArray:
    """5 to 8 results of each search, best match first: of the word, sub-topic, topic, or any."""
    shape = (len(word), MAX_SHOWN + 4)
    shelf = np.searchsorted(SHELVES, np.sort(rng.random(shape), axis=1), side="right")
    width = np.array([1, WORDS_PER_SUBTOPIC, WORDS_PER_TOPIC, len(world.items.first) - 1])[shelf]
    low = word[:, None] // width * width
    items = world.items.pick(low, low + width, rng.random(shape))
    fresh = ~repeated(items)
    # Drawn evenly among the fresh ones, so that each shelf keeps its share.
    rank = np.argsort(np.argsort(np.where(fresh, rng.random(shape), 2.0), axis=1), axis=1)
    wanted = rng.integers(5, MAX_SHOWN + 1, size=len(word))
    return left_aligned(items, fresh & (rank < wanted[:, None]))


def _chosen(
    world: World, user: IntArray, word: IntArray, shown: IntArray, rng: np.random.Generator
) -> BoolArray:
    """Clicks on results: in some searches none, else the most appealing, sometimes the next too."""
    same_word = world.items.word[shown] == word[:, None]
    same_subtopic = world.items.subtopic[shown] == (word // WORDS_PER_SUBTOPIC)[:, None]
    appeal = affinity(world, user, shown) + 1.0 * same_word + 1.0 * same_subtopic
    appeal += rng.gumbel(size=shown.shape) - 0.15 * np.arange(MAX_SHOWN)
    appeal[shown == NO_ROW] = -np.inf
    rank = np.argsort(np.argsort(-appeal, axis=1), axis=1)
    active = rng.random(len(user)) < world.config.search_click_share
    wanted = active * (1 + (rng.random(len(user)) < 0.2))
    return np.asarray((rank < wanted[:, None]) & (shown != NO_ROW))
