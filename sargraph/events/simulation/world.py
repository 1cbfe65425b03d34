"""The planted world: what users want and what items are, known exactly because we made it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sargraph.core.errors import ConfigError
from sargraph.core.rng import make_rng
from sargraph.core.types import NO_ROW, DoubleArray, IntArray
from sargraph.events.simulation.draws import ladder_of
from sargraph.events.simulation.seasons import Seasons, plant_seasons
from sargraph.events.simulation.settings import SimulateConfig
from sargraph.events.simulation.topics import (
    ADJECTIVES,
    ADJECTIVES_PER_STYLE,
    NOUNS,
    NUM_STYLES,
    SUBTOPICS_PER_TOPIC,
    WORDS_PER_SUBTOPIC,
    WORDS_PER_TOPIC,
    vocabulary,
)

EVEN_SHARE = 0.03
"""Share of the inherent intents that is spread over all sub-topics alike."""


@dataclass(frozen=True)
class Items:
    """Items in the order of their main word, so that a word, sub-topic or topic is one range.

    `word` [n] never falls; `first` [words + 1] is the first item of each word; `shelf` [n + 1]
    the running sum of popularity; `terms` [n, 5] the title as term rows (-1 = none);
    `ids` the outside ids.
    """

    word: IntArray
    first: IntArray
    shelf: DoubleArray
    style: IntArray
    quality: DoubleArray
    terms: IntArray
    author: IntArray
    ids: IntArray

    def __len__(self) -> int:
        return len(self.word)

    @property
    def subtopic(self) -> IntArray:
        """Sub-topic of each item, int64 [n]."""
        return self.word // WORDS_PER_SUBTOPIC

    @property
    def topic(self) -> IntArray:
        """Topic of each item, int64 [n]."""
        return self.word // WORDS_PER_TOPIC

    def pick(self, low: IntArray, high: IntArray, uniform: DoubleArray) -> IntArray:
        """One item among words low..high-1 per entry, by popularity; `uniform` is in [0, 1)."""
        start, stop = self.first[low], self.first[high]
        left = self.shelf[start]
        place = left + uniform * (self.shelf[stop] - left)
        found = np.searchsorted(self.shelf, place, side="right") - 1
        return np.asarray(np.clip(found, start, stop - 1), dtype=np.int64)


@dataclass(frozen=True)
class Users:
    """Users: `intents` [n, sub-topics] sums to 1 per row, `tastes` [n, styles] weighs styles."""

    community: IntArray
    intents: DoubleArray
    tastes: DoubleArray
    activity: DoubleArray
    search_share: DoubleArray
    hour_shift: IntArray

    def __len__(self) -> int:
        return len(self.community)

    @cached_property
    def intent_ladder(self) -> DoubleArray:
        """Running sums of the intents, to draw sub-topics from."""
        return ladder_of(self.intents)


@dataclass(frozen=True)
class World:
    """Everything that is fixed before anybody does anything; its users are those of one shard.

    User row u has the id `first_user + u + 1`.
    """

    config: SimulateConfig
    users: Users
    items: Items
    seasons: Seasons
    vocabulary: tuple[str, ...]
    shard: int = 0

    @property
    def labels(self) -> tuple[str, ...]:
        """What tells the random streams of this shard from those of the others."""
        return shard_labels(self.shard)

    @property
    def first_user(self) -> int:
        """Number of users in the shards before."""
        return self.shard * self.config.users_per_shard

    @property
    def num_subtopics(self) -> int:
        """Number of sub-topics over all topics."""
        return self.config.num_topics * SUBTOPICS_PER_TOPIC

    @property
    def topic_shares(self) -> DoubleArray:
        """Inherent intent of each user by topic, float64 [users, topics]."""
        shape = (len(self.users), self.config.num_topics, SUBTOPICS_PER_TOPIC)
        return np.asarray(self.users.intents.reshape(shape).sum(axis=2))


def shard_labels(shard: int) -> tuple[str, ...]:
    """Labels of a shard's random streams; the first shard has none."""
    return (f"shard {shard}",) if shard else ()


def plant_world(
    config: SimulateConfig, seed: int, shard: int = 0, items: Items | None = None
) -> World:
    """Draw one shard of the users and, unless they are given, the items that all shards share.

    The same config, seed and shard give the same world, whatever was drawn before.
    Raises ConfigError when there are fewer than 12 items per topic.
    """
    least = config.num_topics * WORDS_PER_TOPIC
    if config.num_items < least:
        raise ConfigError(
            f"got num_items {config.num_items}, expected at least {least} for "
            f"{config.num_topics} topics; raise num_items or lower num_topics"
        )
    return World(
        config=config,
        users=_plant_users(config, shard, make_rng(seed, "users", *shard_labels(shard))),
        items=items or _plant_items(config, make_rng(seed, "items")),
        seasons=plant_seasons(config, make_rng(seed, "seasons")),
        vocabulary=vocabulary(config.num_topics),
        shard=shard,
    )


def _plant_users(config: SimulateConfig, shard: int, rng: np.random.Generator) -> Users:
    n = min(config.users_per_shard, config.num_users - shard * config.users_per_shard)
    num_communities = _num_communities(config, n)
    community = rng.integers(num_communities, size=n)
    # A community of one has the same law as one of many: only the likeness is gone.
    num_groups, group = (n, np.arange(n)) if config.own_tastes else (num_communities, community)
    shared = _mixtures(num_groups, 3, config.num_topics, rng)[group]
    shared *= rng.gamma(4.0, 0.25, size=shared.shape)
    shared /= shared.sum(axis=1, keepdims=True)
    own = _mixtures(n, 2, config.num_topics, rng)
    own_share = 1 - EVEN_SHARE - config.community_share
    intents = config.community_share * shared + own_share * own + EVEN_SHARE / shared.shape[1]
    tastes = rng.normal(size=(num_groups, NUM_STYLES))[group]
    tastes = 0.8 * tastes + 0.6 * rng.normal(size=tastes.shape)
    if not config.similar_users and not config.own_tastes:
        intents = np.full_like(intents, 1.0 / intents.shape[1])
        tastes = np.zeros_like(tastes)
    return Users(
        community=community + shard * _num_communities(config, config.users_per_shard),
        intents=intents,
        tastes=tastes,
        activity=rng.lognormal(-0.5 * 0.7**2, 0.7, size=n),
        search_share=rng.beta(6 * config.search_share, 6 * (1 - config.search_share), size=n),
        hour_shift=rng.integers(-3, 4, size=n),
    )


def _num_communities(config: SimulateConfig, num_users: int) -> int:
    return max(2, round(num_users / config.users_per_community))


def _mixtures(rows: int, breadth: int, num_topics: int, rng: np.random.Generator) -> DoubleArray:
    """Sparse mixtures over sub-topics: `breadth` topics a row, uneven within each topic."""
    topics = np.argsort(rng.random((rows, num_topics)), axis=1)[:, :breadth]
    shares = rng.dirichlet(np.full(breadth, 3.0), size=rows)
    within = rng.dirichlet(np.full(SUBTOPICS_PER_TOPIC, 0.7), size=(rows, breadth))
    mixture = np.zeros((rows, num_topics, SUBTOPICS_PER_TOPIC))
    mixture[np.arange(rows)[:, None], topics] = shares[:, :, None] * within
    return mixture.reshape(rows, -1)


def _plant_items(config: SimulateConfig, rng: np.random.Generator) -> Items:
    n, num_words = config.num_items, config.num_topics * WORDS_PER_TOPIC
    size = rng.lognormal(0.0, 0.4, size=num_words)
    extra = rng.choice(num_words, size=n - num_words, p=size / size.sum())
    word = np.sort(np.concatenate([np.arange(num_words), extra]))
    style = rng.integers(NUM_STYLES, size=n)
    quality = rng.normal(size=n)
    # Good items are shown more often; the rest of the long tail is luck.
    popularity = np.exp(0.4 * quality + 1.0 * rng.normal(size=n))
    authors = 3 * (word // WORDS_PER_SUBTOPIC) + rng.integers(3, size=n) + 1
    return Items(
        word=word,
        first=np.searchsorted(word, np.arange(num_words + 1)),
        shelf=np.concatenate([[0.0], np.cumsum(popularity)]),
        style=style,
        quality=quality,
        terms=_titles(word, style, config.num_topics, rng),
        author=np.where(rng.random(n) < 0.03, 0, authors),
        ids=rng.permutation(n) + 1,
    )


def _titles(word: IntArray, style: IntArray, num_topics: int, rng: np.random.Generator) -> IntArray:
    """Titles as term rows [n, 5]: adjective, perhaps a cousin, main word, sibling, noun or not."""
    n, num_words = len(word), num_topics * WORDS_PER_TOPIC
    adjective = style * ADJECTIVES_PER_STYLE + rng.integers(ADJECTIVES_PER_STYLE, size=n)
    noun = num_words + len(ADJECTIVES) + rng.integers(len(NOUNS), size=n)
    cousin = np.where(rng.random(n) < 0.3, cousin_of(word, rng), NO_ROW)
    noun = np.where(rng.random(n) < 0.6, noun, NO_ROW)
    return np.stack([num_words + adjective, cousin, word, sibling_of(word, rng), noun], axis=1)


def sibling_of(word: IntArray, rng: np.random.Generator) -> IntArray:
    """Another word of the same sub-topic, for each word."""
    step = rng.integers(1, WORDS_PER_SUBTOPIC, size=len(word))
    base = word - word % WORDS_PER_SUBTOPIC
    return np.asarray(base + (word + step) % WORDS_PER_SUBTOPIC, dtype=np.int64)


def cousin_of(word: IntArray, rng: np.random.Generator) -> IntArray:
    """A word of another sub-topic of the same topic, for each word."""
    step = rng.integers(WORDS_PER_SUBTOPIC, WORDS_PER_TOPIC, size=len(word))
    place = word % WORDS_PER_TOPIC
    # Steps are counted from the start of the word's sub-topic, so none lands inside it.
    start = place - place % WORDS_PER_SUBTOPIC
    return np.asarray(word - place + (start + step) % WORDS_PER_TOPIC, dtype=np.int64)
