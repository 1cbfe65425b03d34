"""Splits: no target inside training, no twin of a target anywhere, untimed targets hidden."""

from __future__ import annotations

import numpy as np
import pytest

from sargraph.core.errors import DataError
from sargraph.events.split import (
    LEFT_OUT,
    TEST,
    TRAIN,
    VALID,
    SplitConfig,
    requests_for,
    searches_for,
    split_events,
)
from sargraph.testing.events import make_events, random_events


def test_global_time_cuts_every_user_at_the_same_time():
    events = random_events(np.random.default_rng(0))
    split = split_events(events, SplitConfig(valid_share=0.2, test_share=0.2))
    assert events.time[split.rows(TRAIN)].max() < split.cut_valid <= split.cut_test
    assert events.time[split.rows(VALID)].min() >= split.cut_valid
    assert events.time[split.rows(VALID)].max() < split.cut_test
    assert events.time[split.rows(TEST)].min() >= split.cut_test
    assert sum(split.fates.values()) == len(events)


def test_leave_last_out_takes_the_last_two_choices_of_each_user():
    events = random_events(np.random.default_rng(2), num_users=6, num_events=60)
    split = split_events(events, SplitConfig(kind="leave_last_out"))
    for user in range(6):
        mine = np.flatnonzero((events.user == user) & events.is_positive)
        if len(mine) >= 3:
            assert split.part[mine[-1]] == TEST
            assert split.part[mine[-2]] == VALID
            assert np.all(split.part[mine[:-2]] == TRAIN)
        else:
            assert np.all(split.part[mine] == TRAIN)


@pytest.mark.parametrize("kind", ["global_time", "leave_last_out"])
def test_twins_of_targets_are_nowhere_in_training(kind):
    events = random_events(np.random.default_rng(5), untimed_share=0.4)
    split = split_events(events, SplitConfig(kind=kind, twins=True))
    targets = {
        (events.user[r], events.item[r])
        for r in np.flatnonzero(np.isin(split.part, (VALID, TEST)) & events.is_positive)
    }
    training = {(events.user[r], events.item[r]) for r in split.rows(TRAIN)}
    assert targets
    assert not targets & training
    assert split.fates["left_out"] == np.sum(split.part == LEFT_OUT) > 0


def test_untimed_targets_are_a_share_of_each_users_listens_and_stand_in_no_history():
    events = random_events(np.random.default_rng(9), num_events=900, untimed_share=0.8)
    split = split_events(events, SplitConfig(untimed_share=0.2))
    for user in range(12):
        untimed = np.flatnonzero((events.user == user) & ~events.is_timed & events.is_positive)
        share = np.mean(split.part[untimed] == TEST)
        assert share == pytest.approx(0.2, abs=1 / len(untimed))
    hidden = ~events.is_timed & np.isin(split.part, (VALID, TEST))
    assert hidden.any()
    assert not split.visible[hidden].any()


def test_untimed_targets_are_asked_for_at_the_cut_of_their_part():
    events = random_events(np.random.default_rng(9), untimed_share=0.8)
    split = split_events(events, SplitConfig())
    for part, cut in ((VALID, split.cut_valid), (TEST, split.cut_test)):
        requests = requests_for(events, split, part, "recommend")
        untimed = ~events.is_timed[requests.event]
        assert untimed.any()
        assert np.all(requests.as_of[untimed] == cut)


def test_requests_carry_the_query_only_in_search():
    events = random_events(np.random.default_rng(4))
    split = split_events(events, SplitConfig())
    assert requests_for(events, split, TEST, "search").is_search.all()
    assert not requests_for(events, split, TEST, "recommend").is_search.any()


def test_a_split_that_leaves_nothing_to_train_on_is_refused():
    events = make_events([(0, 5, 1, 1, 0, -1, 0)], num_users=1, num_items=1)
    with pytest.raises(DataError, match="no chosen item"):
        split_events(events, SplitConfig(valid_share=0.4, test_share=0.5))


def test_the_same_seed_gives_the_same_split_and_another_seed_another():
    events = random_events(np.random.default_rng(9), untimed_share=0.8)
    parts = [split_events(events, SplitConfig(), seed=seed).part for seed in (0, 0, 1)]
    assert np.array_equal(parts[0], parts[1])
    assert not np.array_equal(parts[0], parts[2])


def test_the_words_of_a_search_for_a_twin_are_left_out_with_it() -> None:
    events = random_events(np.random.default_rng(3), num_events=500)
    chosen = np.random.default_rng(0).random(len(events)) < 0.2
    got = searches_for(events, chosen)
    for row in range(len(events)):
        same = [
            n
            for n in range(len(events))
            if events.is_search[n]
            and (events.user[n], events.session[n], events.query[n])
            == (events.user[row], events.session[row], events.query[row])
        ]
        choices = [n for n in same if events.is_positive[n]]
        is_search = events.is_search[row] and -1 not in (events.query[row], events.session[row])
        led_to_nothing_else = bool(choices) and all(chosen[n] for n in choices)
        assert got[row] == (is_search and led_to_nothing_else)
    assert 0 < got.sum() < len(events)
