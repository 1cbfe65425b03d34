"""A planted graph whose demand switches with the season: what is asked hangs on the time alone."""

from __future__ import annotations

import numpy as np

from sargraph.core.ragged import Ragged
from sargraph.core.rng import make_rng
from sargraph.core.types import IntArray
from sargraph.events.vocabulary import Vocabulary
from sargraph.graph.graph import CLICKED, FOUND, EdgeTable, Graph

SIZES = {"user": 30, "item": 20, "query": 20, "term": 12}
"""Queries and terms of even rows are wanted in summer, those of odd rows in winter."""

DAY_MS = 86_400_000
SUMMER, WINTER = 0, 1


def two_seasons(seed: int = 0, years: int = 2, switch: bool = True) -> Graph:
    """Every user searches and clicks, in summer and in winter, whatever items: 4 of each a season.

    In summer (May to October) queries have two summer words, in winter two winter words; every item
    is found in both seasons. Without `switch`, the null world, words do not hang on the season.
    """
    rng = make_rng(seed, "two seasons")
    per_season = 8
    count = SIZES["user"] * 2 * years * per_season
    user = np.repeat(np.arange(SIZES["user"]), 2 * years * per_season)
    season = np.tile(np.repeat(np.arange(2 * years) % 2, per_season), SIZES["user"])
    year = np.tile(np.repeat(np.arange(2 * years) // 2, per_season), SIZES["user"])
    time = moment(season, year, rng)
    topic = season if switch else rng.integers(0, 2, count)
    query = 2 * rng.integers(0, SIZES["query"] // 2, count) + topic
    item = rng.integers(0, SIZES["item"], count)
    clicked = np.arange(count) % 2 == 0
    terms = [
        (2 * rng.choice(SIZES["term"] // 2, size=2, replace=False) + row % 2).tolist()
        for row in range(SIZES["query"])
    ]
    return Graph(
        vocabularies={
            kind: Vocabulary([f"{kind}{row}" for row in range(size)])
            for kind, size in SIZES.items()
        },
        edges={
            CLICKED: EdgeTable.of(user[clicked], item[clicked], time=time[clicked]),
            FOUND: EdgeTable.of(
                user[~clicked], item[~clicked], query=query[~clicked], time=time[~clicked]
            ),
        },
        query_terms=Ragged.from_lists(terms),
        item_terms=Ragged.from_lists([[]] * SIZES["item"]),
        name="two seasons",
        content_hash="b" * 64,
    )


def moment(season: IntArray, year: IntArray, rng: np.random.Generator) -> IntArray:
    """A random ms within the season of a year from 2020: day 120 to 300 is summer."""
    start = np.datetime64("2020-01-01").astype("datetime64[ms]").astype(np.int64)
    day = np.where(season == SUMMER, rng.integers(125, 295, len(season)), 0)
    cold = rng.integers(305, 480, len(season))  # November to the April after
    day = np.where(season == SUMMER, day, cold)
    within = rng.integers(0, DAY_MS, len(season))
    return np.asarray(start + (day + 365 * year) * DAY_MS + within, dtype=np.int64)
