"""The baselines on the clickouts of trivago, against loops over the raw file.

The loops know nothing of ingestion but one rule: what a user does twice to one hotel in one second
counts once. They follow the order of times, and within a second that of the file.
"""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sargraph.core.scorer import Scorer
from sargraph.evaluation.metrics import reciprocal_rank
from sargraph.evaluation.ranks import rank_target
from sargraph.evaluation.slate_baselines import PriceOrder, RecentlyTouched, ShownOrder
from sargraph.evaluation.slates import ALONE, Slates, slate_requests
from sargraph.events.events import Events
from sargraph.events.ingest import ingest
from sargraph.events.schema import CLICK

TEXTS = ("search for destination", "search for poi")
CLICKOUT = "clickout item"
TOUCHES = (CLICKOUT, *(f"interaction item {what}" for what in ("image", "info", "rating", "deals")))


@pytest.fixture(scope="module")
def trivago(data_dir: Path) -> Events:
    return ingest("trivago", data_dir / "trivago")


def _done_with_hotels(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A user's rows that touch a hotel, in order, each with the text open in its session."""
    text: dict[str, str] = {}
    done, met = [], set()
    for row in sorted(rows, key=lambda row: row["time"]):
        if row["action_type"] in TEXTS:
            text[row["session_id"]] = row["reference"].lower()
        if row["action_type"] in TOUCHES and row["reference"] != "unknown":
            row["text"] = text.get(row["session_id"])
            is_click = row["action_type"] == CLICKOUT
            key = (row["time"], row["reference"], is_click, row["text"])
            done += [] if key in met else [row]
            met.add(key)
    return done


def _expected_reciprocal(scores: list[Any], target: int) -> float:
    better = sum(score > scores[target] for score in scores)
    level = sum(score == scores[target] for score in scores)
    return sum(1 / (better + place) for place in range(1, level + 1)) / level


def _judged(rows: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, float]]]:
    """(source, reciprocal rank by baseline) of each clickout of one user."""
    done = _done_with_hotels(rows)
    for row in done:
        if row["action_type"] != CLICKOUT:
            continue
        moment = (row["time"], row["session_id"])
        clicked = {
            r["reference"] for r in done
            if r["action_type"] == CLICKOUT and (r["time"], r["session_id"]) == moment
        } - {row["reference"]}  # fmt: skip
        pairs = zip(row["impressions"].split("|"), row["prices"].split("|"), strict=True)
        listed = [(item, float(price)) for item, price in pairs if item not in clicked]
        shown = [item for item, _ in listed]
        if len(shown) < 2 or row["reference"] not in shown:
            continue
        latest = {r["reference"]: n for n, r in enumerate(done) if r["time"] < row["time"]}
        scores: dict[str, list[Any]] = {
            "shown order": [-place for place in range(len(shown))],
            "price order": [-price for _, price in listed],
            "recently touched, then ties": [latest.get(item, -1) for item in shown],
            "recently touched, then shown order": [
                (latest.get(item, -1), -place) for place, item in enumerate(shown)
            ],
        }
        target = shown.index(row["reference"])
        found = {name: _expected_reciprocal(values, target) for name, values in scores.items()}
        yield "recommend" if row["text"] is None else "search", found


@pytest.fixture(scope="module")
def by_loops(data_dir: Path) -> dict[str, list[dict[str, float]]]:
    users = defaultdict(list)
    with gzip.open(data_dir / "trivago" / "train.csv.gz", "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            users[row["user_id"]].append(row | {"time": int(row["timestamp"])})
    found = defaultdict(list)
    for rows in users.values():
        for source, ranks in _judged(rows):
            found[source].append(ranks)
    return found


def _mrr(scorer: Scorer, slates: Slates) -> float:
    candidates = slates.shown.to_padded(int(slates.shown.lengths.max()))
    candidates = np.random.default_rng(0).permuted(candidates, axis=1)
    target = np.argmax(candidates == slates.requests.target[:, None], axis=1)
    ranks = rank_target(scorer.score(slates.requests, candidates), target)
    assert np.array_equal(ranks.count, slates.shown.lengths) and not ranks.num_nan.any()
    return float(reciprocal_rank(ranks).mean())


@pytest.mark.parametrize(("source", "size"), [("search", 3354), ("recommend", 4704)])
def test_the_baselines_are_those_of_the_loops(
    trivago: Events, by_loops: dict[str, list[dict[str, float]]], source: str, size: int
) -> None:
    slates = slate_requests(trivago, np.ones(len(trivago), dtype=bool), source, actions=(CLICK,))  # type: ignore[arg-type]
    assert len(slates) == len(by_loops[source]) == size
    assert slates.counts["choices"] - slates.counts[ALONE] == len(slates)
    for scorer in (
        ShownOrder(slates), PriceOrder(slates), RecentlyTouched(trivago, slates),
        RecentlyTouched(trivago, slates, then="ties"),
    ):  # fmt: skip
        expected = np.mean([ranks[scorer.name] for ranks in by_loops[source]])
        assert _mrr(scorer, slates) == pytest.approx(expected, abs=1e-9)


def test_the_published_baselines(trivago: Events) -> None:
    slates = slate_requests(trivago, np.ones(len(trivago), dtype=bool), actions=(CLICK,))
    assert _mrr(ShownOrder(slates), slates) == pytest.approx(0.45, abs=0.005)
    # Published as .26, where the target stands first among equal prices; here ties are shared.
    assert _mrr(PriceOrder(slates), slates) == pytest.approx(0.25, abs=0.005)
    assert _mrr(RecentlyTouched(trivago, slates), slates) == pytest.approx(0.60, abs=0.005)


def test_views_of_hotels_are_no_choices_from_a_list(trivago: Events) -> None:
    """A hotel seen in the second of a clickout has no place in its list."""
    everyone = np.ones(len(trivago), dtype=bool)
    clicks = slate_requests(trivago, everyone, actions=(CLICK,))
    every = slate_requests(trivago, everyone)
    assert np.array_equal(every.requests.event, clicks.requests.event)
    assert every.counts["choices"] > 2 * clicks.counts["choices"]
