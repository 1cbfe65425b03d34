"""Slices against loops over events."""

from __future__ import annotations

import numpy as np
import pytest

from sargraph.core.types import NO_TIME
from sargraph.evaluation.slices import (
    history_lengths,
    history_slices,
    new_interests,
    quartile_edges,
    too_few,
)


@pytest.fixture(scope="module")
def world(make_events, make_requests):
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(150):
        source = ("search", "recommend")[rng.integers(2)]
        query = int(rng.integers(6)) if source == "search" else -1
        time = NO_TIME if rng.random() < 0.2 else int(rng.integers(0, 12))
        action = ("click", "impression")[rng.random() < 0.2]
        rows.append((time, source, action, int(rng.integers(5)), int(rng.integers(15)), query))
    events = make_events(
        rows,
        num_users=6,
        num_items=15,
        query_terms=[[row % 5, 7] if row else [] for row in range(6)],
        item_terms=[[row, (row * 3) % 20] if row % 4 else [] for row in range(15)],
        num_terms=20,
    )
    own = rng.choice(150, 60, replace=False)
    as_of = np.where(events.is_timed[own], events.time[own], 6)
    requests = make_requests(events.user[own], events.item[own], events.query[own], as_of, own)
    return events, rng.random(150) < 0.8, requests


def before(events, visible, requests, row):
    return [
        event
        for event in range(len(events))
        if visible[event]
        and events.user[event] == requests.user[row]
        and event != requests.event[row]
        and events.time[event] < requests.as_of[row]
    ]


def test_history_lengths_equal_a_loop(world):
    events, visible, requests = world
    found = history_lengths(events, visible, requests)
    for row in range(len(requests)):
        assert found[row] == len(before(events, visible, requests, row))


def test_new_interests_equal_a_loop(world):
    events, _, requests = world
    # An untimed event of its own would stand before itself: targets are not visible then.
    visible = np.ones(len(events), bool)
    visible[requests.event] = False
    found = new_interests(events, visible, requests)
    for row in range(len(requests)):
        known = set()
        for event in before(events, visible, requests, row):
            if events.is_positive[event]:
                known |= set(events.item_terms[events.item[event]].tolist())
            if events.query[event] >= 0:
                known |= set(events.query_terms[events.query[event]].tolist())
        wanted = set(events.item_terms[requests.target[row]].tolist())
        assert found[row] == (bool(wanted) and not wanted & known)
    assert 0 < found.sum() < len(found)


def test_untimed_events_stand_before_an_untimed_request(make_events, make_requests):
    rows = [(NO_TIME, "recommend", "click", 0, item, -1) for item in range(4)]
    events = make_events(rows, num_users=1, num_items=4)
    requests = make_requests([0, 0], [3, 2], as_of=[NO_TIME, NO_TIME], events=[3, 2])
    visible = np.array([True, True, True, False])
    assert history_lengths(events, visible, requests).tolist() == [3, 2]


def test_new_interests_without_any_visible_event(world):
    events, visible, requests = world
    found = new_interests(events, np.zeros_like(visible), requests)
    assert np.array_equal(found, events.item_terms.lengths[requests.target] > 0)


def test_history_slices_part_the_requests():
    lengths = np.array([0, 1, 5, 6, 20, 21, 400])
    slices = history_slices(lengths)
    assert list(slices) == ["history 0", "history 1-5", "history 6-20", "history >20"]
    assert sum(mask.astype(int) for mask in slices.values()).tolist() == [1] * 7
    assert slices["history 1-5"].tolist() == [False, True, True, False, False, False, False]


def test_quartile_edges_are_distinct():
    assert quartile_edges(np.arange(1, 101)) == (25, 50, 75)
    assert quartile_edges(np.array([3, 3, 3, 9])) == (3,)
    assert list(history_slices(np.array([3, 9]), (3,))) == ["history 0-3", "history >3"]


def test_too_few():
    assert too_few(499, 100)
    assert too_few(500, 99)
    assert not too_few(500, 100)
    assert not too_few(3, 2, min_requests=1, min_users=1)
