"""Baselines on slates: against loops, and what ties, unknown prices and strangers score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sargraph.core.errors import DataError
from sargraph.core.ragged import Ragged
from sargraph.core.rng import make_rng
from sargraph.core.scorer import Requests, Scorer
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.evaluation.slate_baselines import PriceOrder, RecentlyTouched, ShownOrder
from sargraph.evaluation.slates import Slates
from sargraph.events.events import Events
from sargraph.testing.events import random_events

NUM_ITEMS = 20


def _slates(events: Events, seed: int, price: bool = True) -> Slates:
    """A random list for each choice of the events, with some prices equal and some unknown."""
    rng = make_rng(seed, "lists")
    rows = np.flatnonzero(events.is_positive & events.is_timed)
    lists = []
    for item in events.item[rows].tolist():
        others = [i for i in rng.permutation(NUM_ITEMS).tolist() if i != item]
        shown = [item, *others[: rng.integers(1, 8)]]
        lists.append(rng.permutation(shown).tolist())
    shown = Ragged.from_lists(lists)
    prices = rng.choice([np.nan, 1, 2, 2.5, 0], len(shown.values)).astype(np.float32)
    query = np.where(events.is_search[rows], events.query[rows], NO_ROW)
    requests = Requests(events.user[rows], query, events.time[rows], events.item[rows], rows)
    return Slates(requests, shown, prices if price else None)


def _asked(slates: Slates, seed: int) -> tuple[Requests, np.ndarray, np.ndarray]:
    """Some requests in another order, their candidates shuffled and padded, and their rows."""
    rng = make_rng(seed, "asked")
    rows = rng.permutation(len(slates))[: max(1, len(slates) // 2)]
    width = int(slates.shown.lengths.max()) + 1
    candidates = rng.permuted(slates.shown.take(rows).to_padded(width), axis=1)
    return slates.requests.take(rows), candidates, rows


def _ranking(scores: dict[int, float]) -> list[set[int]]:
    """Items from best to worst; equal scores stand together."""
    levels = sorted(set(scores.values()), reverse=True)
    return [{item for item, score in scores.items() if score == level} for level in levels]


def _rankings(scorer: Scorer, slates: Slates, seed: int) -> dict[int, list[set[int]]]:
    """Row of the slate -> ranking of what was shown."""
    requests, candidates, rows = _asked(slates, seed)
    scores = scorer.score(requests, candidates)
    assert scores.dtype == np.float32 and scores.shape == candidates.shape
    assert np.array_equal(np.isneginf(scores), candidates == NO_ROW)
    assert not np.isnan(scores).any()
    return {
        row: _ranking({i: s for i, s in zip(c, line, strict=True) if i != NO_ROW})
        for row, c, line in zip(rows.tolist(), candidates.tolist(), scores.tolist(), strict=True)
    }


def _world(seed: int, size: int, untimed: float = 0.0) -> Events:
    rng = make_rng(seed, "baselines")
    return random_events(rng, num_users=3, num_items=NUM_ITEMS, num_events=size, num_times=25,
                         untimed_share=untimed)  # fmt: skip


SEEDS, SIZES = st.integers(0, 10_000), st.integers(20, 200)


@settings(deadline=None, max_examples=40)
@given(SEEDS, SIZES)
def test_shown_order_is_the_order_of_the_list(seed: int, size: int) -> None:
    slates = _slates(_world(seed, size), seed)
    for row, ranking in _rankings(ShownOrder(slates), slates, seed).items():
        assert ranking == [{item} for item in slates.shown[row].tolist()]


@settings(deadline=None, max_examples=40)
@given(SEEDS, SIZES)
def test_the_cheapest_come_first_and_unknown_prices_last(seed: int, size: int) -> None:
    slates = _slates(_world(seed, size), seed)
    assert slates.price is not None
    for row, ranking in _rankings(PriceOrder(slates), slates, seed).items():
        start = slates.shown.offsets[row]
        prices = [float(slates.price[start + place]) for place in range(len(slates.shown[row]))]
        known = sorted({price for price in prices if price == price})
        shown = list(zip(slates.shown[row].tolist(), prices, strict=True))
        expected = [{item for item, p in shown if p == price} for price in known]
        unknown = {item for item, p in shown if p != p}
        assert ranking == [*expected, *([unknown] if unknown else [])]


def test_price_order_is_refused_without_prices() -> None:
    with pytest.raises(DataError, match="slate_price") as caught:
        PriceOrder(_slates(_world(0, 30), 0, price=False))
    assert "\n" not in str(caught.value)


@settings(deadline=None, max_examples=60)
@given(SEEDS, SIZES, st.sampled_from(["shown", "ties"]), st.booleans())
def test_recently_touched_against_a_loop(seed: int, size: int, then: str, masked: bool) -> None:
    events = _world(seed, size, untimed=0.2)
    slates = _slates(events, seed)
    mask = make_rng(seed, "visible").random(len(events)) < 0.7
    visible = mask if masked else np.ones(len(events), dtype=bool)
    scorer = RecentlyTouched(events, slates, mask if masked else None, then=then)  # type: ignore[arg-type]
    for row, ranking in _rankings(scorer, slates, seed).items():
        request = slates.requests.take(np.array([row]))
        latest: dict[int, int] = {}
        for event in range(len(events)):  # events of a user rise in time
            before = events.time[event] == NO_TIME or events.time[event] < request.as_of[0]
            own = events.user[event] == request.user[0] and events.is_positive[event]
            if own and before and visible[event]:
                latest[int(events.item[event])] = event
        shown = slates.shown[row].tolist()
        touched = sorted((i for i in shown if i in latest), key=lambda i: -latest[i])
        rest = [item for item in shown if item not in latest]
        tail = [{item} for item in rest] if then == "shown" else [set(rest)] if rest else []
        assert ranking == [*({item} for item in touched), *tail]


def test_what_happens_at_the_time_of_the_choice_is_not_seen() -> None:
    """Events of equal time never see each other: neither the choice itself, nor one beside it."""
    events = _world(4, 120)
    slates = _slates(events, 4)
    first = int(np.flatnonzero(slates.requests.as_of == events.time.min())[0])
    shown = slates.shown[first].tolist()
    scorer = RecentlyTouched(events, slates)
    scores = scorer.score(slates.requests.take(np.array([first])), np.array([shown]))
    assert np.all(np.diff(scores[0]) < 0) and np.all(scores <= 0)  # the shown order, nothing else


def test_strangers_score_nan_and_untouched_logs_keep_the_shown_order() -> None:
    events = _world(1, 60)
    slates = _slates(events, 1)
    nobody = events.select(np.zeros(len(events), dtype=bool))
    scorers = (ShownOrder(slates), PriceOrder(slates), RecentlyTouched(events, slates),
               RecentlyTouched(nobody, slates))  # fmt: skip
    strange = [i for i in range(NUM_ITEMS) if i not in slates.shown[0].tolist()][:2]
    one = slates.requests.take(np.array([0]))
    unknown = replace(one, event=np.array([len(events) + 5]))
    for scorer in scorers:
        scores = scorer.score(one, np.array([[strange[0], NO_ROW, slates.shown[0][0]]]))
        assert np.isnan(scores[0, 0]) and np.isneginf(scores[0, 1]) and np.isfinite(scores[0, 2])
        assert np.isnan(scorer.score(unknown, np.array([slates.shown[0]]))).all()
    assert _rankings(scorers[3], slates, 1) == _rankings(scorers[0], slates, 1)
    ties = RecentlyTouched(events, slates, then="ties")
    assert len({scorer.name for scorer in (*scorers[:3], ties)}) == 4
    assert all(isinstance(scorer, Scorer) for scorer in scorers)
