"""Naive oracles of the baselines that count choices and words: loops over events."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from sargraph.core.types import DoubleArray, IntArray
from sargraph.events.events import Events
from sargraph.events.split import Split
from sargraph.testing.scorer_cases import ScorerWorld

ScoreOne = Callable[[int, int], float]
"""(row of the request, item) -> score."""


def cell_by_cell(world: ScorerWorld, score_one: ScoreOne) -> DoubleArray:
    """The oracle's score of every candidate, -inf for padding."""
    scores = np.full(world.candidates.shape, -np.inf)
    for row, column in np.ndindex(world.candidates.shape):
        item = int(world.candidates[row, column])
        if item >= 0:
            scores[row, column] = score_one(row, item)
    return scores


def training_choices(
    events: Events, split: Split, source: str = "both"
) -> Iterator[tuple[int, int, int]]:
    """(user, item, query) of each training choice of a source."""
    for row in range(len(events)):
        is_of_source = source == "both" or bool(events.is_search[row]) == (source == "search")
        if split.is_train[row] and events.is_positive[row] and is_of_source:
            yield int(events.user[row]), int(events.item[row]), int(events.query[row])


def search_choices(world: ScorerWorld) -> list[tuple[int, int]]:
    """(item, query) of each training choice after a query."""
    found = training_choices(world.events, world.split, "search")
    return [(item, query) for _, item, query in found if query >= 0]


def words_of(world: ScorerWorld, query: int) -> set[int]:
    """The distinct terms of a query; none for -1."""
    return set(world.events.query_terms[query].tolist()) if query >= 0 else set()


def popularity(world: ScorerWorld) -> DoubleArray:
    """Training choices of each item."""
    counts = Counter(item for _, item, _ in training_choices(world.events, world.split))
    return cell_by_cell(world, lambda row, item: counts[item])


def item_given_term(world: ScorerWorld, backoff: float = 0.01) -> DoubleArray:
    """Mean over the query's words of n(t, i) / n(t), and a little popularity."""
    counts = Counter(item for _, item, _ in training_choices(world.events, world.split))
    clicks, num_items = search_choices(world), len(world.events.items)

    def score(row: int, item: int) -> float:
        words = words_of(world, int(world.requests.query[row]))
        mean = 0.0
        for word in words:
            after = [chosen for chosen, query in clicks if word in words_of(world, query)]
            mean += after.count(item) / len(after) / len(words) if after else 0.0
        share = (counts[item] + 1) / (sum(counts.values()) + num_items)
        return (1 - backoff) * mean + backoff * share

    return cell_by_cell(world, score)


def source_terms(world: ScorerWorld) -> DoubleArray:
    """p(item | term) with a query, popularity of recommendation without."""
    chosen = training_choices(world.events, world.split, "recommend")
    counts = Counter(item for _, item, _ in chosen)
    popular = cell_by_cell(world, lambda row, item: counts[item])
    return np.where(world.requests.is_search[:, None], item_given_term(world), popular)


def term_match(world: ScorerWorld) -> DoubleArray:
    """Jaccard overlap of the words of query and item."""
    words = [set(row.tolist()) for row in world.events.item_terms]
    for item, query in search_choices(world):
        words[item] |= words_of(world, query)

    def score(row: int, item: int) -> float:
        typed = words_of(world, int(world.requests.query[row]))
        union = typed | words[item]
        return len(typed & words[item]) / len(union) if union else 0.0

    return cell_by_cell(world, score)


def most_clicked(world: ScorerWorld) -> DoubleArray:
    """Clicks after the very query, and popularity below one click."""
    clicks = Counter(search_choices(world))
    counts = Counter(item for _, item, _ in training_choices(world.events, world.split))
    most = max(counts.values())

    def score(row: int, item: int) -> float:
        return clicks[item, int(world.requests.query[row])] + counts[item] / (1 + most)

    return cell_by_cell(world, score)


def bm25(world: ScorerWorld, k1: float = 1.2, b: float = 0.75, floor: float = 0.01) -> DoubleArray:
    """BM25 over the fields "text" and "clicked", both of weight 1."""
    num_items = len(world.events.items)
    fields = [Counter[tuple[int, int]](), Counter[tuple[int, int]]()]
    for item in range(num_items):
        for word in world.events.item_terms[item].tolist():
            fields[0][word, item] += 1
    for item, query in search_choices(world):
        for word in words_of(world, query):
            fields[1][word, item] += 1
    documents = {item for field in fields for _, item in field}
    lengths = [_lengths(field) for field in fields]

    def frequency(word: int, item: int) -> float:
        total = 0.0
        for field, length in zip(fields, lengths, strict=True):
            if field[word, item]:
                mean = sum(length.values()) / len(length)
                total += field[word, item] / (1 - b + b * length[item] / mean)
        return total

    def score(row: int, item: int) -> float:
        total = 0.0
        for word in words_of(world, int(world.requests.query[row])):
            have = len({i for field in fields for w, i in field if w == word})
            idf = max(floor, math.log((len(documents) - have + 0.5) / (have + 0.5)))
            found = frequency(word, item)
            total += idf * found * (k1 + 1) / (k1 + found)
        return total

    return cell_by_cell(world, score)


def _lengths(field: Counter[tuple[int, int]]) -> Counter[int]:
    """Words of each item that has any."""
    lengths: Counter[int] = Counter()
    for (_, item), count in field.items():
        lengths[item] += count
    return lengths


def chosen_before(world: ScorerWorld, row: int) -> list[int]:
    """Items that the user of a request chose before it, oldest first, repeats and all."""
    events, asked = world.events, world.requests
    untimed, timed = [], []
    for event in range(len(events)):
        if events.user[event] != asked.user[row] or not events.is_positive[event]:
            continue
        if not world.split.visible[event] or event == asked.event[row]:
            continue
        if world.split.twins and events.item[event] == asked.target[row]:
            continue
        if not events.is_timed[event]:
            untimed.append(int(events.item[event]))
        elif events.time[event] < asked.as_of[row]:
            timed.append(int(events.item[event]))
    return [*untimed, *timed]


def dense_counts(world: ScorerWorld) -> IntArray:
    """How often each user chose each item in training, [users, items]."""
    counts = np.zeros((len(world.events.users), len(world.events.items)), dtype=np.int64)
    for user, item, _ in training_choices(world.events, world.split):
        counts[user, item] += 1
    return counts
