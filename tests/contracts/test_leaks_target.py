"""The audit of targets catches whoever reads one, and nobody else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sargraph.core.scorer import Requests
from sargraph.events.split import TEST, SplitConfig, requests_for, split_events
from sargraph.testing import leak_cheats as cheats
from sargraph.testing.events import random_events
from sargraph.testing.leaks import assert_target_unread


@pytest.fixture(scope="module")
def events():
    return random_events(np.random.default_rng(0), num_events=500, untimed_share=0.1)


@pytest.fixture(params=[False, True], ids=["all pairs", "twins removed"])
def split(events, request):
    return split_events(events, SplitConfig(twins=request.param))


@pytest.fixture
def requests(events, split):
    return requests_for(events, split, TEST, "recommend")


def test_a_reader_of_the_target_is_caught(events, split, requests):
    with pytest.raises(AssertionError, match="'target reader' reads the target"):
        assert_target_unread(cheats.TargetReader(), requests, events, split)


def test_vectors_that_hold_the_target_are_caught(events, split, requests):
    scorer = cheats.TargetVectors(len(events.items))
    with pytest.raises(AssertionError, match="'target vectors' reads the target"):
        assert_target_unread(scorer, requests, events, split)


def test_leaving_the_pair_of_a_target_out_is_allowed_where_twins_are_removed(events):
    requests = requests_for(events, split_events(events, SplitConfig()), TEST, "recommend")
    for twins in (False, True):
        split = split_events(events, SplitConfig(twins=twins))
        honest = cheats.honest_history(events, split)
        assert_target_unread(honest, requests, events, split)
    split = split_events(events, SplitConfig())
    avoiding = replace(cheats.honest_history(events, split), avoid_target=True)
    with pytest.raises(AssertionError, match="reads the target"):
        assert_target_unread(avoiding, requests, events, split)


def test_an_audit_that_asks_nobody_is_refused(events, split):
    with pytest.raises(ValueError, match="no request has two targets"):
        assert_target_unread(cheats.TargetReader(), Requests.empty(), events, split)
