"""SKNN, V-SKNN, STAN: by hand, against loops, without a look at the future or at oneself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sargraph.core.errors import BadInputError, ConfigError
from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.evaluation.baselines import (
    SKNN,
    STAN,
    VSKNN,
    SKNNConfig,
    STANConfig,
    VSKNNConfig,
    build_baseline,
)
from sargraph.events.schema import CLICK, RECOMMEND
from sargraph.events.split import TEST, TRAIN, SplitConfig, requests_for, split_events
from sargraph.testing import session_knn_oracle as oracle
from sargraph.testing.events import make_events, random_events
from sargraph.testing.leaks import assert_future_unread
from sargraph.testing.scorer_cases import ScorerWorld, edit_events, scorer_world

CONFIGS = {
    "sknn": (SKNN, oracle.sknn, [{}, {"k": 2}, {"max_events": 3, "source": "recommend"}]),
    "vsknn": (
        VSKNN,
        oracle.vsknn,
        [
            *(
                {"weighting": w, "lead_weighting": w, "k": 4}
                for w in ("same", "div", "linear", "quadratic", "log")
            ),
            {"by_length": False, "idf_weight": 2.0},
            {"weighting": "log", "lead_weighting": "same", "max_events": None},
        ],
    ),
    "stan": (
        STAN,
        oracle.stan,
        [
            {"time_decay": 2e-4},
            {"time_decay": None, "k": 3},
            {"time_decay": 1e-3, "position_decay": 0.4, "item_decay": 9.0, "max_events": 6},
        ],
    ),
}
CASES = [(name, settings) for name, (_, _, given) in CONFIGS.items() for settings in given]
NAMES = sorted(CONFIGS)


def clocked(**split) -> ScorerWorld:
    """Each user's last choice is held out: others train on what came later."""
    rng = np.random.default_rng(5)
    events = random_events(rng, num_users=14, num_items=16, num_events=330, untimed_share=0.1)
    split = split_events(events, SplitConfig(kind="leave_last_out", **split))
    return asked_world(events, split)


def asked_world(events, split) -> ScorerWorld:
    asked = [requests_for(events, split, TEST, task) for task in ("search", "recommend")]
    columns = ("user", "query", "as_of", "target", "event")
    requests = Requests(*(np.concatenate([getattr(r, c) for r in asked]) for c in columns))
    items = np.tile(np.r_[np.arange(len(events.items)), NO_ROW], (len(requests), 1))
    return ScorerWorld(events, split, requests, items)


def ordinal(world: ScorerWorld) -> ScorerWorld:
    return replace(world, events=replace(world.events, time_kind="ordinal"))


def in_sessions(world: ScorerWorld) -> ScorerWorld:
    """Three sessions a user, interleaved, and some choices in none."""
    columns = {name: column.copy() for name, column in world.events.columns.items()}
    place = np.arange(len(world.events))
    columns["session"] = np.where(place % 7 == 0, NO_ROW, world.events.user * 3 + place % 3)
    return replace(world, events=replace(world.events, columns=columns))


WORLDS = {
    "cuts": lambda: scorer_world(1),
    "cuts, twins": lambda: scorer_world(2, twins=True),
    "last out": clocked,
    "last out, twins": lambda: clocked(twins=True),
    "places": lambda: ordinal(scorer_world(3)),
    "places, last out, twins": lambda: ordinal(clocked(twins=True)),
}


def scores(name: str, world: ScorerWorld, **settings):
    built = build_baseline(name, world.events, world.split, **settings)
    return built.score(world.requests, world.candidates)


@pytest.mark.parametrize("unit", ["user", "session"])
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(("name", "settings"), CASES)
def test_scores_equal_the_loops(name, settings, world, unit):
    asked = in_sessions(WORLDS[world]()) if unit == "session" else WORLDS[world]()
    _, loops, _ = CONFIGS[name]
    config = {"sknn": SKNNConfig, "vsknn": VSKNNConfig, "stan": STANConfig}[name]
    for number in (5000, 3):
        given = {**settings, "unit": unit, "max_sessions": number}
        expected = loops(asked, config(**given))
        np.testing.assert_allclose(scores(name, asked, **given), expected, rtol=1e-5, atol=1e-9)
        assert len(np.unique(expected.round(6))) > 5


def by_hand(time_kind="ms"):
    """User 0 asks after items 0, 1, 2; users 1 and 2 share some. Days are the times."""
    day = oracle.DAY
    chosen = {0: [0, 1, 2], 1: [1, 3, 4], 2: [0, 2, 5, 3], 3: [6, 7]}
    rows = [
        (user, place * day, RECOMMEND, CLICK, item, NO_ROW, NO_ROW)
        for user, items in chosen.items()
        for place, item in enumerate(items)
    ]
    events = make_events(rows, num_users=4, num_items=8, time_kind=time_kind)
    split = split_events(events, SplitConfig(kind="leave_last_out"))
    split = replace(split, part=np.full(len(events), TRAIN, dtype=np.int8))
    one = (0, NO_ROW, 100 * day, 3, NO_ROW)
    return events, split, Requests(*(np.array([value]) for value in one))


def test_sknn_by_hand():
    events, split, requests = by_hand()
    found = SKNN(events, split).score(requests, np.arange(8)[None])[0]
    first, second = 1 / 3, 2 / np.sqrt(12)
    expected = [second, first, second, first + second, first, second, 0, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_vsknn_by_hand():
    events, split, requests = by_hand()
    found = VSKNN(events, split).score(requests, np.arange(8)[None])[0]
    # Item 1 is second of three and two steps from the end; items 0 and 2 are first and last.
    first, second = (2 / 3) / 3 / 2, (1 / 3 + 1) / np.sqrt(12)
    expected = [second, first, second, first + second, first, second, 0, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    rare = VSKNN(events, split, VSKNNConfig(idf_weight=1)).score(requests, np.arange(8)[None])[0]
    held = np.array([2, 2, 2, 2, 1, 1, 1, 1])
    np.testing.assert_allclose(rare, expected * (1 + np.log(4 / held)), rtol=1e-6)


def test_rarity_is_counted_among_the_sessions_that_had_begun():
    """User 4 comes after the request: neither is it one session more nor does it hold item 3."""
    events, split, requests = by_hand()
    n, catalogue = len(events), np.arange(8)[None]
    rows = [
        (*(int(column[row]) for column in (events.user, events.time)), RECOMMEND, CLICK,
         int(events.item[row]), NO_ROW, NO_ROW)
        for row in range(n)
    ]  # fmt: skip
    rows += [(4, 100 * oracle.DAY + later, RECOMMEND, CLICK, 3, NO_ROW, NO_ROW) for later in (0, 1)]
    grown = make_events(rows, num_users=5, num_items=8)
    after = replace(split, part=np.full(n + 2, TRAIN, dtype=np.int8), hidden=np.zeros(n + 2, bool))
    config = VSKNNConfig(idf_weight=1)
    before = VSKNN(events, split, config).score(requests, catalogue)
    assert VSKNN(grown, after, config).score(requests, catalogue).tobytes() == before.tobytes()
    later = replace(requests, as_of=requests.as_of + 1)
    assert not np.array_equal(VSKNN(grown, after, config).score(later, catalogue), before)


@pytest.mark.parametrize("time_kind", ["ms", "ordinal"])
def test_stan_by_hand(time_kind):
    events, split, requests = by_hand(time_kind)
    config = STANConfig(position_decay=2, time_decay=4, item_decay=3)
    found = STAN(events, split, config).score(requests, np.arange(8)[None])[0]
    w = np.exp(np.array([-2, -1, 0]) / 2)
    norm = np.sqrt((w**2).sum())
    first, second = w[1] / norm / np.sqrt(3), (w[0] + w[2]) / norm / 2
    second *= np.exp(-1 / 4) if time_kind == "ms" else 1  # one day apart
    near = np.exp(-np.arange(4) / 3)
    # The latest shared item of user 1 is its first, that of user 2 its second.
    expected = [
        second * near[1], first, second, first * near[1] + second * near[2], first * near[2],
        second * near[1], 0, 0,
    ]  # fmt: skip
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("unit", ["user", "session"])
@pytest.mark.parametrize("name", NAMES)
def test_no_session_of_the_same_user_is_a_neighbour(name, unit):
    rows = [(0, t * 1000, RECOMMEND, CLICK, t % 4, NO_ROW, t // 3) for t in range(9)]
    rows += [(1, t * 1000, RECOMMEND, CLICK, 4 + t % 4, NO_ROW, 5 + t // 3) for t in range(9)]
    events = make_events(rows, num_users=2, num_items=8)
    split = split_events(events, SplitConfig(kind="leave_last_out"))
    world = asked_world(events, split)
    assert len(world.requests) == 2
    assert not scores(name, world, unit=unit)[:, :8].any()  # both have chosen all they know alone
    together = make_events([(*row[:4], row[4] % 4, *row[5:]) for row in rows], num_users=2,
                           num_items=8)  # fmt: skip
    assert scores(name, asked_world(together, split), unit=unit)[:, :4].all()


@pytest.mark.parametrize("unit", ["user", "session"])
@pytest.mark.parametrize("name", NAMES)
def test_no_event_at_or_after_a_request_is_read(name, unit):
    """Training events of other users among them: these are cut user by user."""
    world = in_sessions(clocked())
    settings = {"unit": unit, "max_sessions": 4, "k": 3}
    settings |= {"idf_weight": 1.0} if name == "vsknn" else {}
    before, moved = scores(name, world, **settings), 0
    for row in range(0, len(world.requests), 2):
        late = np.flatnonzero(world.events.time >= world.requests.as_of[row])
        assert (world.split.part[late] == TRAIN).any() or row
        after = replace(
            world, events=edit_events(world.events, np.random.default_rng(row).permutation(late))
        )
        found = scores(name, after, **settings)
        assert found[row].tobytes() == before[row].tobytes()
        moved += not np.array_equal(found, before)
        shuffled = world.events.columns["item"].copy()
        shuffled[late] = np.random.default_rng(row).permutation(shuffled[late])
        columns = {**world.events.columns, "item": shuffled}
        after = replace(world, events=replace(world.events, columns=columns))
        assert scores(name, after, **settings)[row].tobytes() == before[row].tobytes()
    assert moved  # of requests that come later


@pytest.mark.parametrize("name", NAMES)
def test_events_that_are_gone_or_added_later_change_nothing(name):
    world = clocked()
    assert_future_unread(
        lambda events, split: build_baseline(name, events, split, k=3, max_sessions=4),
        world.events, world.split,
    )  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_no_neighbour_is_read_beyond_training(name):
    """Other held-out events of other users leave every bit."""
    for world in (clocked(), ordinal(clocked())):
        before = scores(name, world)
        for user in range(3):
            mine = world.requests.user == user
            others = np.flatnonzero((world.split.part != TRAIN) & (world.events.user != user))
            after = replace(world, events=edit_events(world.events, others))
            assert scores(name, after)[mine].tobytes() == before[mine].tobytes()


def test_a_log_of_places_has_no_time_to_cut_or_to_decay_by():
    world = ordinal(clocked())
    columns = {**world.events.columns, "time": world.events.time * 1000}
    requests = replace(world.requests, as_of=world.requests.as_of * 1000)
    scaled = replace(world, events=replace(world.events, columns=columns), requests=requests)
    found, other = scores("stan", world, time_decay=1e-9, max_sessions=1), scores("stan", scaled)
    assert np.array_equal(found, other) and (found[:, :-1] > 0).any(axis=1).sum() > 10


def test_choices_without_a_time_have_no_factor_of_time():
    rows = [(u, NO_TIME, RECOMMEND, CLICK, i, NO_ROW, NO_ROW) for u in (0, 1) for i in range(3)]
    rows += [(2, t, RECOMMEND, CLICK, 3, NO_ROW, NO_ROW) for t in range(20)]
    events = make_events(rows, num_users=3, num_items=4)
    split = split_events(events, SplitConfig(untimed_share=0))
    requests = Requests(*(np.array([v]) for v in (0, NO_ROW, split.cut_test, 3, NO_ROW)))
    shared = np.broadcast_to(np.arange(4), (1, 4))
    with_time, without = (
        STAN(events, split, STANConfig(time_decay=days)).score(requests, shared)
        for days in (1e-12, None)
    )
    assert np.array_equal(with_time, without) and with_time[0, :3].all()


@pytest.mark.parametrize("name", NAMES)
def test_wrong_settings_get_one_line(name):
    world = scorer_world()
    with pytest.raises(ConfigError, match="did you mean 'max_events'"):
        scores(name, world, max_event=3)
    with pytest.raises(ConfigError, match="'k' got 0"):
        scores(name, world, k=0)
    with pytest.raises(ConfigError, match="'unit' got 'visit'"):
        scores(name, world, unit="visit")
    columns = {**world.events.columns, "session": np.full(len(world.events), NO_ROW)}
    without = replace(world, events=replace(world.events, columns=columns))
    with pytest.raises(BadInputError, match="take unit = 'user'"):
        scores(name, without, unit="session")


def test_decays_are_above_0():
    world = scorer_world()
    for setting in ("position_decay", "time_decay", "item_decay"):
        with pytest.raises(ConfigError, match=f"'{setting}' got 0"):
            scores("stan", world, **{setting: 0})


@pytest.mark.parametrize("name", NAMES)
def test_without_a_training_choice_all_is_0(name):
    world = scorer_world()
    nothing = replace(
        world, split=replace(world.split, part=np.full(len(world.events), 3, np.int8))
    )
    assert not scores(name, nothing, unit="user")[:, :3].any(where=world.candidates[:, :3] >= 0)
