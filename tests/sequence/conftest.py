"""Small random worlds for the tests of the sequence models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.events.events import Events
from sargraph.events.schema import CLICK, COLUMNS, IMPRESSION, LIKE, RECOMMEND, SEARCH, SEARCHED
from sargraph.events.vocabulary import Vocabulary

NUM_TERMS = 9


def _vocabulary(prefix: str, size: int) -> Vocabulary:
    return Vocabulary([f"{prefix}{row}" for row in range(size)])


def events_of(
    rows: Sequence[dict[str, Any]], num_users: int = 6, num_items: int = 12, num_queries: int = 5
) -> Events:
    """Events from dictionaries; what is left out is a click of user 0 in recommendation."""
    default = {"time": 0, "source": RECOMMEND, "action": CLICK, "user": 0, "item": NO_ROW,
               "query": NO_ROW, "session": NO_ROW, "position": NO_ROW, "weight": 1.0}  # fmt: skip
    ordered = sorted(rows, key=lambda row: (row.get("user", 0), row.get("time", 0)))
    full = [{**default, **row} for row in ordered]
    columns = {
        name: np.array([row[name] for row in full], dtype=dtype) for name, dtype in COLUMNS.items()
    }
    rng = np.random.default_rng(7)
    texts = [rng.choice(NUM_TERMS, rng.integers(0, 4), replace=False) for _ in range(num_queries)]
    return Events(
        columns,
        {
            "user": _vocabulary("u", num_users),
            "item": _vocabulary("i", num_items),
            "query": _vocabulary("q", num_queries),
            "term": _vocabulary("t", NUM_TERMS),
        },
        query_terms=Ragged.from_lists(texts),
        item_terms=Ragged.from_lists([] for _ in range(num_items)),
    )


def random_rows(seed: int, num_rec: int, num_searches: int, untimed: float) -> list[dict[str, Any]]:
    """Log rows with many ties in time, searches of several rows, and some untimed choices."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for _ in range(num_rec):
        time = NO_TIME if rng.random() < untimed else int(rng.integers(0, 40))
        rows.append({"time": time, "user": int(rng.integers(0, 6)),
                     "action": int(rng.choice([CLICK, LIKE, IMPRESSION])),
                     "item": int(rng.integers(0, 12))})  # fmt: skip
    for session in range(num_searches):
        start, user = int(rng.integers(0, 40)), int(rng.integers(0, 6))
        for place in range(rng.integers(1, 6)):
            item = int(rng.integers(0, 12)) if place or rng.random() < 0.6 else NO_ROW
            action = SEARCHED if item == NO_ROW else int(rng.choice([CLICK, IMPRESSION]))
            rows.append({"time": start + int(rng.integers(0, 3)), "user": user, "item": item,
                         "source": SEARCH, "action": action, "query": session % 5,
                         "session": session if session % 7 else NO_ROW})  # fmt: skip
    return rows


@pytest.fixture
def make_events() -> Callable[..., Events]:
    """Events from dictionaries."""
    return events_of


@pytest.fixture
def random_events() -> Callable[..., Events]:
    """`random_events(seed)`: a small world with searches, ties in time and untimed choices."""

    def make(seed: int, num_rec: int = 150, num_searches: int = 60, untimed: float = 0.1) -> Events:
        return events_of(random_rows(seed, num_rec, num_searches, untimed))

    return make
