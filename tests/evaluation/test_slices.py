"""Slices against loops over events."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sargraph.core.errors import BadInputError
from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_TIME
from sargraph.evaluation.slices import (
    activity_slices,
    check_name,
    fixed_names,
    history_lengths,
    history_slices,
    quartile_edges,
    request_slices,
    too_few,
)
from sargraph.evaluation.slices_gap import gap_slices, search_gaps
from sargraph.evaluation.slices_interest import new_interests
from sargraph.evaluation.slices_known import item_slices, user_slices
from sargraph.events.events import Categories
from sargraph.events.split import TEST, TRAIN, Split, SplitConfig, requests_for, split_events
from sargraph.events.vocabulary import Vocabulary
from sargraph.testing.events import random_events


@pytest.fixture(scope="module")
def world(make_events, make_requests):
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(150):
        source = ("search", "recommend")[rng.integers(2)]
        query = int(rng.integers(6)) if source == "search" else -1
        time = NO_TIME if rng.random() < 0.2 else int(rng.integers(0, 12))
        action = ("click", "impression")[rng.random() < 0.2]
        own = (int(rng.integers(5)), int(rng.integers(15)), query, int(rng.integers(-1, 2)))
        rows.append((time, source, action, *own))
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


def own_search(events, row):
    """Rows of the search of an event (one user, session and query), itself alone without one."""
    if row < 0 or not events.is_search[row] or events.query[row] < 0 or events.session[row] < 0:
        return {row}
    columns = ("user", "session", "query")
    mine = tuple(events.columns[name][row] for name in columns)
    return {
        event
        for event in np.flatnonzero(events.is_search)
        if tuple(events.columns[name][event] for name in columns) == mine
    }


def before_elsewhere(events, visible, requests, row):
    own = own_search(events, requests.event[row])
    return [event for event in before(events, visible, requests, row) if event not in own]


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
        for event in before_elsewhere(events, visible, requests, row):
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


@pytest.fixture(scope="module")
def rich_world(world):
    """The same events with categories and follows, half of the items without training."""
    events, visible, _ = world
    of_item = [[item % 3] if item % 5 else [] for item in range(15)]
    categories = Categories(
        Vocabulary([f"1/{row}" for row in range(3)]), np.ones(3, np.int64),
        Ragged.from_lists(of_item),
    )  # fmt: skip
    follows = Ragged.from_lists([[1], [], [], [], [], [2]])
    events = replace(events, categories=categories, follows=follows)
    is_train = visible & (events.item % 2 == 1) & (events.user < 3)
    return events, is_train


def test_new_interests_count_categories(world, rich_world, make_requests):
    events, (_, visible, requests) = rich_world[0], world
    visible = visible.copy()
    visible[requests.event] = False
    found = new_interests(events, visible, requests)

    def features(item):
        terms = {("term", term) for term in events.item_terms[item].tolist()}
        return terms | {("category", row) for row in events.categories.of_item[item].tolist()}

    for row in range(len(requests)):
        known = set()
        for event in before_elsewhere(events, visible, requests, row):
            if events.is_positive[event]:
                known |= features(events.item[event])
            if events.query[event] >= 0:
                known |= {("term", t) for t in events.query_terms[events.query[event]].tolist()}
        wanted = features(requests.target[row])
        assert found[row] == (bool(wanted) and not wanted & known)
    assert 0 < found.sum() < new_interests(world[0], visible, requests).sum()


def test_items_and_users_are_hot_warm_or_cold(world, rich_world):
    (events, is_train), (_, visible, requests) = rich_world, world
    lengths = history_lengths(events, visible, requests)
    items = item_slices(events, is_train, requests)
    users = user_slices(events, is_train, lengths > 0, requests)
    for row in range(len(requests)):
        item, user = requests.target[row], requests.user[row]
        hot = any(is_train & (events.item == item))
        warm = len(events.item_terms[item]) or len(events.categories.of_item[item])
        kind = "item hot" if hot else "item warm" if warm else "item cold"
        assert [name for name, mask in items.items() if mask[row]] == [kind]
        hot = any(is_train & (events.user == user))
        warm = len(before(events, visible, requests, row)) or len(events.follows[user])
        kind = "user hot" if hot else "user warm" if warm else "user cold"
        assert [name for name, mask in users.items() if mask[row]] == [kind]
    assert items["item cold"].any()
    assert users["user warm"].any()


def test_cold_users_have_nothing(make_events, make_requests):
    events = make_events(
        [(5, "recommend", "click", 0, 0, -1), (7, "recommend", "click", 0, 0, -1)], 2, 1
    )
    requests = make_requests([0, 0, 1], [0, 0, 0], as_of=[5, 7, 9], events=[0, 1, -1])
    history = history_lengths(events, np.ones(2, bool), requests) > 0
    found = user_slices(events, np.zeros(2, bool), history, requests)
    assert found["user cold"].tolist() == [True, False, True]
    assert found["user warm"].tolist() == [False, True, False]


@pytest.mark.parametrize("later", [0, 2])
def test_search_gaps_equal_a_loop(world, later):
    events, visible, requests = world
    # Asked for later than its own event, which still does not count.
    requests = replace(requests, as_of=requests.as_of + later)
    found = search_gaps(events, visible, requests)
    for row in range(len(requests)):
        times = [
            events.time[event]
            for event in before_elsewhere(events, visible, requests, row)
            if events.is_search[event] and events.is_timed[event]
        ]
        assert found[row] == (requests.as_of[row] - max(times) if times else -1)
    assert np.all(search_gaps(events, np.zeros_like(visible), requests) == -1)


def test_gaps_are_parted_at_an_hour_a_day_and_three_days(make_events, make_requests):
    hour = 3_600_000
    gaps = [1, hour, hour + 1, 24 * hour, 24 * hour + 1, 72 * hour, 72 * hour + 1]
    rows = [(1000, "search", "search", user, -1, 0) for user in range(7)]
    rows += [(1000 + gap, "recommend", "click", user, 0, -1) for user, gap in enumerate(gaps)]
    rows += [(1000, "recommend", "click", 7, 0, -1), (NO_TIME, "recommend", "click", 8, 0, -1)]
    events = make_events(rows, num_users=9, num_items=1, query_terms=[[0]], num_terms=1)
    own = np.flatnonzero(events.is_recommend)
    as_of = np.maximum(events.time[own], 1000)
    requests = make_requests(events.user[own], [0] * 9, as_of=as_of, events=own)
    found = gap_slices(events, np.ones(len(events), bool), requests)
    start = "gap since search "
    names = [[name for name in found if found[name][row]] for row in range(9)]
    expected = ["<=1 h"] * 2 + ["1 h-1 d"] * 2 + ["1-3 d"] * 2 + ["longer", "never"]
    assert names == [[start + name] for name in expected] + [[]]
    assert gap_slices(replace(events, time_kind="ordinal"), own >= 0, requests) == {}
    no_search = events.select(events.is_recommend)
    assert gap_slices(no_search, np.ones(9, bool), requests) == {}


def test_activity_counts_training_choices_of_the_requests_users(world):
    events, visible, requests = world
    split = Split(np.where(visible, TRAIN, TEST).astype(np.int8), 0, 0, ~visible, False, {})
    found = activity_slices(events, split, requests)
    chosen = [int(np.sum(visible & events.is_positive & (events.user == u))) for u in range(6)]
    edges = quartile_edges(np.array([chosen[user] for user in set(requests.user.tolist())]))
    for row, user in enumerate(requests.user):
        names = [name for name in found if found[name][row]]
        bucket = sum(chosen[user] > edge for edge in edges)
        assert names == [list(found)[bucket]]
    assert next(iter(found)) in (f"activity 0-{edges[0]}", "activity 0")
    assert list(found)[-1] == f"activity >{edges[-1]}"


def test_all_slices_of_a_split():
    events = random_events(np.random.default_rng(0), untimed_share=0.2)
    split = split_events(events, SplitConfig())
    requests = requests_for(events, split, TEST, "recommend")
    found = request_slices(events, split, requests)
    kinds = {"history": 4, "item": 3, "user": 3, "gap since search": 5, "new interest": 1}
    for kind, count in kinds.items():
        masks = [mask for name, mask in found.items() if name.startswith(kind)]
        assert len(masks) == count
        assert all(mask.shape == (len(requests),) and mask.dtype == bool for mask in masks)
    for kind in ("history", "item", "user", "activity"):
        total = sum(mask.astype(int) for name, mask in found.items() if name.startswith(kind))
        assert np.all(total == 1)


def test_the_names_that_do_not_depend_on_data_are_those_of_a_report():
    events = random_events(np.random.default_rng(0), untimed_share=0.2)
    split = split_events(events, SplitConfig())
    found = request_slices(events, split, requests_for(events, split, TEST, "recommend"))
    names = set(fixed_names())
    apart = {name for name in found if name not in names}
    assert apart and all(name.startswith("activity ") for name in apart)
    assert names <= set(found)
    for name in found:
        check_name(name)
    with pytest.raises(BadInputError, match="did you mean 'new interest'"):
        check_name("new intrest")
