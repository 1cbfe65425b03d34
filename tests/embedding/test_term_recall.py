"""Recall of typed words: simple answers against loops, time, and what is asked."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import sargraph as sg
from sargraph.core.errors import BadInputError
from sargraph.embedding.model import embedding_model
from sargraph.embedding.term_recall import (
    AskedTerms,
    best_count_weight,
    counted_answers,
    simple_answers,
    term_recall,
)
from sargraph.events.events import Events
from sargraph.events.split import TEST, TRAIN, Split


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> tuple[Events, Split]:
    folder = tmp_path_factory.mktemp("logs")
    sg.simulate(folder, sg.SimulateConfig(num_users=60, num_days=8, num_items=300), seed=2)
    events = sg.ingest("synthetic", folder)
    return events, sg.split_events(events)


def searches(events: Events, split: Split, part: int) -> list[tuple[int, int, int, list[int]]]:
    """(time, user, item, words) of every chosen item of a search with words."""
    rows = np.flatnonzero(events.is_search & events.is_positive & (split.part == part))
    found = []
    for row in rows:
        words = list(events.query_terms[events.query[row]]) if events.query[row] >= 0 else []
        if words:
            found.append(
                (int(events.time[row]), int(events.user[row]), int(events.item[row]), words)
            )
    return found


def test_simple_answers_are_the_loop(log: tuple[Events, Split]) -> None:
    events, split = log
    asked = AskedTerms.of(events, split)
    held, past = searches(events, split, TEST), searches(events, split, TRAIN)
    assert len(asked.user) == len(held) > 20
    answers = simple_answers(asked, 3)
    every = Counter(word for _, _, _, words in past for word in words)
    for n, (time, user, item, words) in enumerate(held):
        assert (asked.user[n], asked.item[n], asked.terms[n]) == (user, item, words)
        own = [w for t, u, _, ws in past if u == user and t < time for w in ws]
        others = Counter(w for t, _, i, ws in past if i == item and t < time for w in ws)
        for name, counts in (("user_frequent", Counter(own)), ("item_frequent", others)):
            given = answers[name][n]
            assert len(given) == min(3, len(counts)) == len(set(given))
            least = min((counts[w] for w in given), default=0)
            assert all(counts[w] <= least for w in counts if w not in given)
        assert set(answers["user_recent"][n]) <= set(own)
        assert sum(every[w] for w in answers["popular"][n]) == sum(
            count for _, count in every.most_common(3)
        )


def test_recall_is_the_share_of_distinct_words(log: tuple[Events, Split]) -> None:
    asked = AskedTerms.of(*log)
    own = asked.recall(asked.terms)
    assert (own == 1).all()
    assert (asked.recall([[-7]] * len(own)) == 0).all()
    half = [row[:1] for row in asked.terms]
    assert asked.recall(half).tolist() == [1 / len(set(row)) for row in asked.terms]


def test_the_virtual_query_stands_beside_them(log: tuple[Events, Split]) -> None:
    events, split = log
    graph = sg.build_graph(events, split)
    quick = {"dim": 16, "num_epochs": 12, "batch_size": 128}
    table = term_recall(sg.train(graph, "uditsr", quick), events, split)
    assert list(table.index) == [
        "user_frequent", "user_recent", "item_frequent", "popular", "virtual query",
    ]  # fmt: skip
    columns = ["recall@1", "recall@3", "recall@5"]
    assert (np.diff(table[columns].to_numpy(), axis=1) >= 0).all()
    assert table.loc["virtual query", "recall@5"] > table.loc["popular", "recall@5"]


def test_the_virtual_query_and_counts_are_the_loop(log: tuple[Events, Split]) -> None:
    """log softmax + weight log(1 + n), a word at a time; only what came before is counted."""
    events, split = log
    graph = sg.build_graph(events, split)
    embeddings = sg.train(graph, "uditsr", {"dim": 8, "num_epochs": 2})
    asked = AskedTerms.of(events, split)
    demand = embedding_model("uditsr").demand_from(embeddings, asked.user, asked.item, asked.time)
    words, past = embeddings.vectors("term"), searches(events, split, TRAIN)
    for n, given in enumerate(counted_answers(embeddings, asked, 4, 0.7)[:40]):
        logit = words.astype(float) @ demand[n].astype(float)
        score = logit - np.log(np.exp(logit).sum())
        count = Counter(
            w for t, _, i, ws in past if i == asked.item[n] and t < asked.time[n] for w in ws
        )
        score = [s + 0.7 * np.log(1 + count[w]) for w, s in enumerate(score)]
        best = sorted(score, reverse=True)[:4]
        assert [score[w] for w in given] == pytest.approx(best, abs=1e-4)
    weight = best_count_weight(embeddings, events, split, weights=(0.5, 2.0))
    assert weight in (0.5, 2.0)
    table = term_recall(embeddings, events, split, count_weight=weight)
    assert table.loc["virtual query and counts", "recall@3"] > table.loc["popular", "recall@3"]


def test_a_part_without_searches_is_refused(log: tuple[Events, Split]) -> None:
    events, split = log
    part = np.where(events.is_search, TRAIN, split.part).astype(np.int8)
    none = Split(**{**vars(split), "part": part})
    with pytest.raises(BadInputError, match="no search with words"):
        AskedTerms.of(events, none)
