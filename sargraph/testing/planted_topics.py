"""A planted graph of two topics: whatever learns from it must tell them apart."""

from __future__ import annotations

import numpy as np

from sargraph.core.ragged import Ragged
from sargraph.core.rng import make_rng
from sargraph.core.scorer import Requests
from sargraph.core.types import FloatArray, IntArray
from sargraph.events.vocabulary import Vocabulary
from sargraph.graph.graph import CLICKED, FOUND, EdgeTable, Graph

SIZES = {"user": 40, "item": 60, "query": 30, "term": 20}
"""Even rows are of topic 0, odd rows of topic 1."""

ACTIVE_USERS, ACTIVE_ITEMS = SIZES["user"] - 2, SIZES["item"] - 2
"""The last two users and items have no edge."""


def two_topics(seed: int = 0) -> Graph:
    """Users who click, and find by queries, items of their own topic only; 7 of each per user.

    A query has two terms of its topic. Names say the topic of a row.
    """
    rng = make_rng(seed, "two topics")
    user = np.repeat(np.arange(ACTIVE_USERS), 14)
    item = _of_topic(rng, user, ACTIVE_ITEMS)
    query = _of_topic(rng, user, SIZES["query"])
    clicked = np.arange(len(user)) % 2 == 0
    terms = [
        (2 * rng.choice(SIZES["term"] // 2, size=2, replace=False) + row % 2).tolist()
        for row in range(SIZES["query"])
    ]
    return Graph(
        vocabularies={kind: _vocabulary(kind, size) for kind, size in SIZES.items()},
        edges={
            CLICKED: EdgeTable.of(user[clicked], item[clicked]),
            FOUND: EdgeTable.of(user[~clicked], item[~clicked], query=query[~clicked]),
        },
        query_terms=Ragged.from_lists(terms),
        item_terms=Ragged.from_lists([[]] * SIZES["item"]),
        name="two topics",
        content_hash="a" * 64,
    )


def requests(user: IntArray, query: IntArray | None = None) -> Requests:
    """Requests of the users for nothing in particular, with the queries if given (-1 = none)."""
    none = np.zeros(len(user), dtype=np.int64)
    return Requests(user, none - 1 if query is None else query, none, none, none - 1)


def share_of_right_pairs(scores: FloatArray, topic: IntArray) -> float:
    """How often an active item of a row's topic outranks one of the other topic; .5 by chance.

    `scores` [rows, ACTIVE_ITEMS], `topic` [rows]: any number of the same parity as the topic.
    """
    same = np.arange(ACTIVE_ITEMS) % 2 == topic[:, None] % 2
    rows = zip(scores, same, strict=True)
    return float(np.mean([(row[of][:, None] > row[~of]).mean() for row, of in rows]))


def _of_topic(rng: np.random.Generator, user: IntArray, size: int) -> IntArray:
    return np.asarray(2 * rng.integers(0, size // 2, len(user)) + user % 2, dtype=np.int64)


def _vocabulary(kind: str, size: int) -> Vocabulary:
    names = [f"{kind} {row} of topic {row % 2}" for row in range(size)]
    return Vocabulary([f"{kind}{row}" for row in range(size)], names)
