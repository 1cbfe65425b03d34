"""Histories against a plain loop: strictly before, without the own event, latest kept."""

from __future__ import annotations

import numpy as np
import pytest

from sargraph.core.scorer import Requests
from sargraph.events.history import HistoryIndex
from sargraph.events.split import SplitConfig, requests_for, split_events
from sargraph.testing.events import random_events


def naive_history(events, visible, request, max_events, source, positive_only, drop_target):
    user, as_of, target, event = request
    rows = []
    for row in range(len(events)):
        if events.user[row] != user or not visible[row] or row == event:
            continue
        if events.time[row] >= as_of or (positive_only and not events.is_positive[row]):
            continue
        if source == "search" and not events.is_search[row]:
            continue
        if source == "recommend" and not events.is_recommend[row]:
            continue
        if drop_target and events.item[row] == target:
            continue
        rows.append(row)
    return rows[-max_events:]


@pytest.mark.parametrize("source", [None, "search", "recommend"])
@pytest.mark.parametrize("drop_target", [False, True])
@pytest.mark.parametrize("positive_only", [False, True])
def test_before_equals_a_plain_loop(source, drop_target, positive_only):
    rng = np.random.default_rng(7)
    events = random_events(rng, untimed_share=0.3)
    visible = rng.random(len(events)) < 0.9
    rows = rng.permutation(len(events))[:80]
    as_of = np.where(events.is_timed[rows], events.time[rows], 20_000)
    requests = Requests(events.user[rows], events.query[rows], as_of, events.item[rows], rows)
    for max_events in (1, 3, 50):
        found = HistoryIndex(events, visible).before(
            requests, max_events, source=source, positive_only=positive_only,
            drop_target=drop_target,
        )  # fmt: skip
        for i, row in enumerate(rows):
            request = (events.user[row], as_of[i], events.item[row], row)
            expected = naive_history(
                events, visible, request, max_events, source, positive_only, drop_target
            )
            assert found[i].tolist() == expected


def test_events_of_equal_time_never_see_each_other():
    events = random_events(np.random.default_rng(1), num_times=3)
    split = split_events(events, SplitConfig(valid_share=0, test_share=0.3))
    requests = requests_for(events, split, 2, "recommend")
    found = HistoryIndex(events, split.visible).before(requests, 1000)
    times = events.time[found.values]
    assert np.all(times < requests.as_of[found.row_of_value])
    assert len(times) > 0


def test_a_later_event_changes_no_history():
    rng = np.random.default_rng(3)
    events = random_events(rng)
    rows = np.flatnonzero(events.time == 20_000)
    requests = Requests(
        events.user[rows], events.query[rows], events.time[rows], events.item[rows], rows
    )
    all_visible = np.ones(len(events), dtype=bool)
    before = HistoryIndex(events, all_visible).before(requests, 10)
    without_later = HistoryIndex(events, events.time < 20_000).before(requests, 10)
    assert np.array_equal(before.values, without_later.values)
    assert np.array_equal(before.offsets, without_later.offsets)
