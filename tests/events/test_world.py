"""The planted world: words, items on their shelves, users in communities."""

from __future__ import annotations

import numpy as np
import pytest

from sargraph.core.errors import ConfigError
from sargraph.events.simulation import topics
from sargraph.events.simulation.draws import draw_rungs, ladder_of
from sargraph.events.simulation.settings import SimulateConfig
from sargraph.events.simulation.slate import left_aligned, repeated
from sargraph.events.simulation.timeline import draw_timeline
from sargraph.events.simulation.world import (
    World,
    cousin_of,
    plant_world,
    sibling_of,
)

SMALL = SimulateConfig(num_users=200, num_days=10, num_items=400, num_topics=8)


@pytest.fixture(scope="module")
def world() -> World:
    return plant_world(SMALL, seed=3)


def cosine_within_and_between(world: World) -> tuple[float, float]:
    shares = world.topic_shares
    unit = shares / np.linalg.norm(shares, axis=1, keepdims=True)
    similarity = unit @ unit.T
    same = world.users.community[:, None] == world.users.community[None, :]
    others = ~np.eye(len(same), dtype=bool)
    return float(similarity[same & others].mean()), float(similarity[~same].mean())


def test_every_word_has_one_meaning() -> None:
    words = topics.vocabulary(24)
    assert len(words) == len(set(words)) == 352
    assert len(topics.TOPIC_WORDS) == topics.WORDS_PER_TOPIC * len(topics.TOPICS) == 288
    assert len(topics.ADJECTIVES) == topics.NUM_STYLES * topics.ADJECTIVES_PER_STYLE
    assert topics.TOPIC_WORDS[:3] == ("noodle", "ramen", "broth")
    assert len(topics.GROUP_OF_TOPIC) == len(topics.TOPICS)


def test_a_small_world_speaks_only_of_its_topics() -> None:
    words = topics.vocabulary(4)
    assert words[:48] == topics.TOPIC_WORDS[:48]
    assert words[48] == topics.ADJECTIVES[0]


def test_siblings_and_cousins_stay_in_their_topic() -> None:
    word = np.repeat(np.arange(96), 50)
    rng = np.random.default_rng(0)
    sibling, cousin = sibling_of(word, rng), cousin_of(word, rng)
    assert (sibling // 3 == word // 3).all() and (sibling != word).all()
    assert (cousin // 12 == word // 12).all() and (cousin // 3 != word // 3).all()
    assert len(np.unique(cousin[word == 0])) == 9


def test_items_stand_in_the_order_of_their_words(world: World) -> None:
    items = world.items
    assert (np.diff(items.word) >= 0).all()
    assert sorted(items.ids.tolist()) == list(range(1, 401))
    for word in range(96):
        here = range(items.first[word], items.first[word + 1])
        assert len(here) >= 1 and (items.word[list(here)] == word).all()
    assert (items.terms[:, 2] == items.word).all()


def test_pick_draws_by_popularity_within_its_range(world: World) -> None:
    items, n = world.items, 40_000
    uniform = np.random.default_rng(0).random(n)
    picked = items.pick(np.full(n, 12), np.full(n, 24), uniform)
    assert (items.topic[picked] == 1).all()
    weight = np.diff(items.shelf)[items.topic == 1]
    share = np.bincount(picked, minlength=len(items))[items.topic == 1] / n
    assert np.abs(share - weight / weight.sum()).max() < 0.01


def test_pick_never_leaves_its_range_at_the_edges(world: World) -> None:
    words = np.arange(96)
    for uniform in (0.0, np.nextafter(1.0, 0.0)):
        picked = world.items.pick(words, words + 1, np.full(96, uniform))
        assert (world.items.word[picked] == words).all()


def test_draws_are_the_inverse_of_the_running_sum() -> None:
    rng = np.random.default_rng(1)
    shares = rng.dirichlet(np.ones(5), size=7)
    rows, uniform = rng.integers(7, size=300), rng.random(300)
    expected = [
        min(int((np.cumsum(shares[r]) <= u).sum()), 4) for r, u in zip(rows, uniform, strict=True)
    ]
    assert draw_rungs(ladder_of(shares), rows, uniform).tolist() == expected


def test_neighbours_of_one_community_want_the_same_topics(world: World) -> None:
    assert np.allclose(world.users.intents.sum(axis=1), 1.0)
    within, between = cosine_within_and_between(world)
    assert within > between + 0.3


def test_without_similar_users_nobody_is_closer_than_another() -> None:
    world = plant_world(SMALL.model_copy(update={"similar_users": False}), seed=3)
    within, between = cosine_within_and_between(world)
    assert within == pytest.approx(between) == pytest.approx(1.0)
    assert np.ptp(world.users.tastes) == 0


def test_too_few_items_are_refused() -> None:
    with pytest.raises(ConfigError, match="num_items 50, expected at least 96"):
        plant_world(SMALL.model_copy(update={"num_items": 50}), seed=0)


def test_steps_are_sorted_and_inside_the_log(world: World) -> None:
    timeline = draw_timeline(world, seed=3)
    assert (np.diff(timeline.user) >= 0).all()
    same = np.diff(timeline.user) == 0
    assert (np.diff(timeline.time)[same] > 0).all()
    assert timeline.time.min() >= SMALL.start_ms
    assert (timeline.time + timeline.room).max() < SMALL.end_ms
    gap = np.diff(timeline.time)[same & timeline.starts[1:]]
    assert gap.min() > 30 * 60_000  # sessions can be told apart


def test_demand_persists_but_changes(world: World) -> None:
    timeline = draw_timeline(world, seed=3)
    session = np.cumsum(timeline.starts)
    for own, demand in (
        (timeline.is_search, timeline.search_demand),
        (~timeline.is_search, timeline.recommend_demand),
    ):
        rows = np.flatnonzero(own)
        rows, before = rows[1:], rows[:-1]
        of_user = timeline.user[rows] == timeline.user[before]
        inner = session[rows] == session[before]
        stays = [(demand[rows] == demand[before])[m].mean() for m in (inner, of_user & ~inner)]
        assert stays[0] > 0.88
        assert 0.45 < stays[1] < 0.7


def test_a_step_of_one_source_leaves_the_demand_of_the_other_alone(world: World) -> None:
    """Were it drawn again, a search in between would make two batches differ."""
    timeline = draw_timeline(world, seed=3)
    same = np.diff(timeline.user) == 0
    for own, demand in (
        (timeline.is_search, timeline.search_demand),
        (~timeline.is_search, timeline.recommend_demand),
    ):
        changed = np.diff(demand) != 0
        assert not np.any(changed & same & ~own[1:])
        assert np.any(changed & same & own[1:])


def test_without_demand_changes_each_user_has_one_demand_per_source() -> None:
    world = plant_world(SMALL.model_copy(update={"demand_changes": False}), seed=3)
    timeline = draw_timeline(world, seed=3)
    for demand in (timeline.search_demand, timeline.recommend_demand):
        for user in range(50):
            assert len(np.unique(demand[timeline.user == user])) <= 1
    assert len(np.unique(timeline.search_demand)) > 10


def test_repeated_and_left_aligned_against_plain_loops() -> None:
    rng = np.random.default_rng(2)
    items = rng.integers(6, size=(20, 12))
    expected = [[value in row[:place] for place, value in enumerate(row)] for row in items.tolist()]
    assert repeated(items).tolist() == expected
    keep = rng.random(items.shape) < 0.4
    aligned = left_aligned(items, keep)
    for row, kept, got in zip(items, keep, aligned, strict=True):
        wanted = row[kept][:8].tolist()
        assert got.tolist() == wanted + [-1] * (8 - len(wanted))
