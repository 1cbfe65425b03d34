"""What the graph benchmark runs on: random events, and a graph with one timed edge type."""

from __future__ import annotations

import numpy as np

from sargraph.core.ragged import Ragged
from sargraph.core.rng import make_rng
from sargraph.core.types import NO_ROW
from sargraph.events.events import Events
from sargraph.events.schema import CLICK, COLUMNS, RECOMMEND, SEARCH
from sargraph.events.vocabulary import Vocabulary
from sargraph.graph.graph import CLICKED, EdgeTable, Graph

START, SPAN = 1_600_000_000_000, 10_000_000_000


def skewed(rng: np.random.Generator, limit: int, size: int) -> np.ndarray:
    """Rows with a long tail: the first tenth of the rows gets a fifth of the draws and more."""
    return (limit * rng.random(size) ** 1.5).astype(np.int64)


def vocabularies(**sizes: int) -> dict[str, Vocabulary]:
    """Made-up ids of each node type."""
    return {kind: Vocabulary([f"{kind}{i}" for i in range(n)]) for kind, n in sizes.items()}


def make_events(num_events: int) -> Events:
    """Random events, a third of them searches, 25 per user, three terms per query."""
    rng = make_rng(0, "benchmark events")
    sizes = {
        "user": max(2, num_events // 25),
        "item": max(2, num_events // 50),
        "query": max(2, num_events // 40),
        "term": max(2, num_events // 200),
    }
    is_search = rng.random(num_events) < 0.33
    user = np.sort(rng.integers(sizes["user"], size=num_events))
    when = START + rng.integers(SPAN, size=num_events)
    columns = {
        "time": when[np.lexsort((when, user))],
        "source": np.where(is_search, SEARCH, RECOMMEND),
        "action": np.full(num_events, CLICK),
        "user": user,
        "item": skewed(rng, sizes["item"], num_events),
        "query": np.where(is_search, skewed(rng, sizes["query"], num_events), NO_ROW),
        "session": np.arange(num_events) // 3,
        "position": np.full(num_events, NO_ROW),
        "weight": np.ones(num_events),
    }
    terms = rng.integers(sizes["term"], size=3 * sizes["query"])
    return Events(
        columns={name: columns[name].astype(kind) for name, kind in COLUMNS.items()},
        vocabularies=vocabularies(**sizes),
        query_terms=Ragged.from_lengths(terms, np.full(sizes["query"], 3)),
        item_terms=Ragged.from_lengths(np.empty(0, np.int64), np.zeros(sizes["item"], np.int64)),
    )


def make_graph(num_nodes: int, num_edges: int) -> Graph:
    """Half users, half items, one timed edge type."""
    rng = make_rng(0, "benchmark graph")
    half = num_nodes // 2
    user = np.sort(rng.integers(half, size=num_edges))
    when = START + rng.integers(SPAN, size=num_edges)
    return Graph(
        vocabularies=vocabularies(user=half, item=half, query=0, term=0),
        edges={CLICKED: EdgeTable.of(user, skewed(rng, half, num_edges), time=when)},
        query_terms=Ragged.from_lists([]),
        item_terms=Ragged.from_lengths(np.empty(0, np.int64), np.zeros(half, np.int64)),
    )
