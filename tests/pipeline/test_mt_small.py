"""UDITSR as published on files of the published format: every request ranked within its group."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sargraph.core.ragged import Ragged
from sargraph.core.rng import make_rng
from sargraph.core.scorer import Requests, Scorer
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.scorer import scorer_of
from sargraph.embedding.train import train
from sargraph.evaluation.evaluate import evaluate_scorer
from sargraph.evaluation.protocol import Protocol
from sargraph.evaluation.slates import slate_requests
from sargraph.events.events import Events
from sargraph.events.ingest import ingest
from sargraph.events.split import TEST, Split, split_events
from sargraph.graph.build import build_graph

USERS, ITEMS, WORDS = 40, 120, 30
"""Even users want even items with even words, odd ones odd items."""


def write_logs(folder: Path) -> None:
    """train_data.csv of clicks and impressions; valid and test of groups of 1 + 99."""
    rng = make_rng(0, "mt small")

    def row(user: int, item: int, label: int) -> str:
        words = 2 * rng.integers(1, WORDS // 2, 3) + user % 2 if rng.random() < 0.5 else []
        return f'{user},"{json.dumps([int(word) for word in words])}",{item},{label}\n'

    lines = ["user,query,item,label\n"]
    for user in np.repeat(np.arange(USERS), 20):
        lines.append(row(user, 2 * int(rng.integers(0, ITEMS // 2)) + user % 2, 1))
        lines.append(row(user, int(rng.integers(0, ITEMS)), 0))
    (folder / "train_data.csv").write_text("".join(lines), encoding="utf-8")
    for part in ("valid", "test"):
        lines = ["sample_num,user,query,item,label\n"]
        for sample, user in enumerate(np.repeat(np.arange(USERS), 3)):
            target = 2 * int(rng.integers(0, ITEMS // 2)) + user % 2
            others = rng.permutation(np.setdiff1d(np.arange(ITEMS), [target]))[:99]
            query = row(user, 0, 0).rsplit(",", 2)[0].split(",", 1)[1]
            for item in (target, *others):
                lines.append(f"{sample},{user},{query},{item},{int(item == target)}\n")
        (folder / f"{part}_data.csv").write_text("".join(lines), encoding="utf-8")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> tuple[Events, Split]:
    folder = tmp_path_factory.mktemp("mt_small")
    write_logs(folder)
    events = ingest("mt_small", folder)
    return events, split_events(events)


@pytest.fixture(scope="module")
def embeddings(log: tuple[Events, Split]) -> Embeddings:
    published = {"parity": True, "max_query_terms": 3, "dim": 8, "num_epochs": 8,
                 "batch_size": 256, "learning_rate": 0.02, "propagation": "full"}  # fmt: skip
    return train(build_graph(*log), "uditsr", published, seed=0)


def judged(
    events: Events, split: Split, scorer: Scorer, task: str
) -> tuple[float, float, Requests, Ragged]:
    slates = slate_requests(events, split.rows(TEST), task)
    protocol = Protocol(candidates="slate", what=task, cutoffs=(5,), num_bootstrap=100)
    result = evaluate_scorer(
        scorer, slates.requests, len(events.items),
        known=Ragged.from_lists([[]] * len(events.users)), protocol=protocol, lists=slates.shown,
    )  # fmt: skip
    return result.mean("HR@5"), result.mean("NDCG@5"), slates.requests, slates.shown


@pytest.mark.parametrize("task", ["search", "recommend"])
def test_every_request_is_ranked_within_its_own_group_of_the_file(
    log: tuple[Events, Split], embeddings: Embeddings, task: str
) -> None:
    scorer = scorer_of(embeddings)
    hit, gain, requests, shown = judged(*log, scorer, task)
    events, split = log
    chosen = split.rows(TEST)[events.is_positive[split.rows(TEST)]]
    in_task = events.is_search if task == "search" else events.is_recommend
    assert sorted(requests.event.tolist()) == sorted(chosen[in_task[chosen]].tolist())
    assert shown.lengths.tolist() == [100] * len(requests)
    places = []
    for n, items in enumerate(shown):
        scores = scorer.score(requests.take(np.array([n])), np.array([list(items)]))[0]
        target = scores[list(items).index(requests.target[n])]
        places.append(int((scores > target).sum()))
    hits = [float(place < 5) for place in places]
    gains = [1 / np.log2(place + 2) if place < 5 else 0.0 for place in places]
    for found, expected in ((hit, hits), (gain, gains)):
        by_user = pd.Series(expected).groupby(requests.user).mean()  # a user counts once
        assert found == pytest.approx(by_user.mean())
    assert np.mean(places) < 45  # 49.5 by chance


def test_frequent_words_are_counted_as_published(
    log: tuple[Events, Split], embeddings: Embeddings
) -> None:
    """On positive training rows, the first seen first among equals, word 0 where there is none."""
    events, split = log
    rows = np.flatnonzero(split.is_train & events.is_positive & events.is_search)
    for side, length in (("user", 3), ("item", 10)):
        counts: dict[int, Counter[int]] = {}
        for row in rows:
            words = list(events.query_terms[events.query[row]])[:3]
            counts.setdefault(int(getattr(events, side)[row]), Counter()).update(words)
        found = embeddings.weights[f"{side}_terms"]
        for entity in range(len(found)):
            named = [word for word, _ in counts.get(entity, Counter()).most_common(length)]
            assert found[entity].tolist() == named + [0] * (length - len(named))
