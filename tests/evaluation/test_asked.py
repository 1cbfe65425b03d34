"""Which requests are judged, against loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sargraph.core.errors import BadInputError
from sargraph.core.types import NO_TIME
from sargraph.evaluation.asked import eligible_requests
from sargraph.evaluation.positives import chosen_before
from sargraph.evaluation.protocol import Protocol
from sargraph.events.split import TEST, SplitConfig, requests_for, split_events
from sargraph.testing.events import random_events

ASKED = st.lists(
    st.tuples(st.integers(0, 1), st.integers(-1, 1), st.integers(0, 2), st.integers(0, 3)),
    max_size=20,
)


@given(ASKED)
def test_the_earliest_of_repeats_is_kept(make_requests, asked):
    users, queries, targets, as_of = zip(*asked, strict=True) if asked else ([],) * 4
    requests = make_requests(users, targets, queries, as_of, range(len(asked)))
    rows, counts = eligible_requests(requests, Protocol(repeated="first"))
    expected = [
        row
        for row, (user, query, target, time) in enumerate(asked)
        if not any(
            other[:3] == (user, query, target) and (other[3], place) < (time, row)
            for place, other in enumerate(asked)
        )
    ]
    assert rows.tolist() == expected
    assert counts == {"requests repeated later, left out": len(asked) - len(expected)}


def test_new_targets_only_and_counted(make_requests):
    requests = make_requests([0, 0, 1], [1, 2, 1], queries=[-1, 3, -1])
    before = np.array([True, False, False])
    protocol = Protocol(repeated="new")
    rows, counts = eligible_requests(requests, protocol, before)
    assert rows.tolist() == [1, 2]
    assert list(counts.values()) == [1]
    rows, counts = eligible_requests(requests, Protocol(repeated="new", what="search"), before)
    assert rows.tolist() == [1]
    assert list(counts.values()) == [0]
    with pytest.raises(BadInputError, match="chosen_before"):
        eligible_requests(requests, protocol)


def test_what_chooses_the_source(make_requests):
    requests = make_requests([0, 0, 1], [1, 2, 1], queries=[-1, 3, -1])
    assert eligible_requests(requests, Protocol(what="search"))[0].tolist() == [1]
    assert eligible_requests(requests, Protocol(what="recommend"))[0].tolist() == [0, 2]
    assert eligible_requests(requests, Protocol())[0].tolist() == [0, 1, 2]


@pytest.mark.parametrize("seed", range(12))
def test_chosen_before_equals_a_loop(seed):
    rng = np.random.default_rng(seed)
    events = random_events(rng, num_users=4, num_items=5, num_events=60, num_times=6,
                           untimed_share=0.3)  # fmt: skip
    visible = rng.random(len(events)) < 0.8
    own = np.flatnonzero(events.is_positive)
    as_of = np.where(events.is_timed[own], events.time[own], NO_TIME if seed % 2 else 3000)
    requests = requests_for(events, split_events(events, SplitConfig()), TEST, "recommend")
    requests = type(requests)(
        events.user[own], events.query[own], as_of.astype(np.int64), events.item[own],
        np.where(rng.random(len(own)) < 0.8, own, -1),
    )  # fmt: skip
    found = chosen_before(events, visible, requests)
    for row in range(len(requests)):
        assert found[row] == any(
            visible[event]
            and events.is_positive[event]
            and event != requests.event[row]
            and events.user[event] == requests.user[row]
            and events.item[event] == requests.target[row]
            and (events.time[event] < requests.as_of[row] or events.time[event] == NO_TIME)
            for event in range(len(events))
        )
