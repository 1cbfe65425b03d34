"""Profiles against the formula in plain loops; decay, idf and what counts as one event."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sargraph.core.config import parse_config
from sargraph.core.errors import ConfigError
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.events.schema import CLICK, IMPRESSION, RECOMMEND, SEARCH, SEARCHED
from sargraph.neighbours.profile import MS_PER_DAY, ProfileConfig, profiles
from sargraph.testing.events import make_events, random_events

DAY = MS_PER_DAY


def naive_profiles(events, mask, as_of, half_life, weights):
    """`p = idf Σ ω 2^(-(T-τ)/h)` by definition; half-life in units of time."""
    num_users = len(events.users)
    sums = {"item": {}, "term": {}}
    seen = set()
    for row in range(len(events)):
        time = events.time[row]
        if not mask[row] or (time != NO_TIME and time >= as_of):
            continue
        factor = 1.0 if time == NO_TIME else 2.0 ** (-(as_of - time) / half_life)
        user, item, query = (int(events.columns[c][row]) for c in ("user", "item", "query"))
        kind = "search" if events.is_search[row] else "click"
        if item != NO_ROW:
            weight = weights[kind if events.is_positive[row] else "impression"]
            if weight:
                sums["item"][user, item] = sums["item"].get((user, item), 0) + weight * factor
        search = (user, int(events.session[row]), query)
        if kind == "search" and query != NO_ROW and search not in seen:
            seen.add(search)
            for term in set(events.query_terms[query].tolist()):
                value = sums["term"].get((user, term), 0) + weights["search"] * factor
                sums["term"][user, term] = value
    result = {}
    for field, cells in sums.items():
        matrix = np.zeros((num_users, len(events.vocabularies[field])))
        for (user, x), value in cells.items():
            df = sum(1 for _, other in cells if other == x)
            matrix[user, x] = value * math.log(1 + num_users / df)
        result[field] = matrix
    return result


@pytest.mark.parametrize("impression", [0.0, 0.3])
def test_profiles_follow_the_formula(impression):
    events = random_events(np.random.default_rng(0), num_events=400, untimed_share=0.3)
    mask = np.random.default_rng(1).random(len(events)) < 0.8
    config = ProfileConfig(
        item_half_life=0.0002, term_half_life=0.0002, impression_weight=impression
    )
    weights = {"search": 1.5, "click": 1.0, "impression": impression}
    expected = naive_profiles(events, mask, 30_000, 0.0002 * DAY, weights)
    got = profiles(events, mask, 30_000, config)
    for field in ("item", "term"):
        assert got[field].dtype == np.float64
        np.testing.assert_allclose(got[field].toarray(), expected[field], rtol=1e-12)
        assert got[field].nnz == np.count_nonzero(expected[field]) > 20


def one_user(rows, query_terms=((0, 1, 1),), time_kind="ms"):
    return make_events(rows, num_users=2, num_items=3, query_terms=query_terms, time_kind=time_kind)


def test_one_half_life_back_halves_the_entry():
    now = 100 * DAY
    values = []
    for days in (1, 8):
        events = one_user(
            [
                (0, now - days * DAY, RECOMMEND, CLICK, 1, NO_ROW, 0),
                (1, now - days * DAY, SEARCH, SEARCHED, NO_ROW, 0, 1),
            ]
        )
        got = profiles(events, np.ones(2, bool), now)
        values.append((got["item"][0, 1], got["term"][1, 1]))
    assert values[1] == pytest.approx((values[0][0] / 2, values[0][1] / 2), rel=1e-12)


def test_an_untimed_event_takes_factor_one_and_its_idf():
    events = one_user([(0, NO_TIME, RECOMMEND, CLICK, 1, NO_ROW, NO_ROW)])
    got = profiles(events, np.ones(1, bool), NO_TIME)["item"]
    assert got[0, 1] == pytest.approx(math.log(1 + 2 / 1))


def test_ordinal_logs_decay_by_events():
    rows = [(0, place, RECOMMEND, CLICK, item, NO_ROW, place) for place, item in ((0, 0), (50, 1))]
    got = profiles(one_user(rows, time_kind="ordinal"), np.ones(2, bool), 50 + 1)["item"]
    assert got[0, 0] / got[0, 1] == pytest.approx(0.5)


def test_a_search_counts_once_whatever_it_led_to_and_each_term_once():
    shown = [(0, 5, SEARCH, IMPRESSION, item, 0, 7) for item in (0, 1)]
    clicked = [(0, 5, SEARCH, CLICK, item, 0, 7) for item in (1, 2)]
    many = profiles(one_user(shown + clicked), np.ones(4, bool), 6)
    bare = profiles(one_user([(0, 5, SEARCH, SEARCHED, NO_ROW, 0, 7)]), np.ones(1, bool), 6)
    np.testing.assert_allclose(many["term"].toarray(), bare["term"].toarray())
    assert many["term"][0, 0] == many["term"][0, 1] > 0
    assert sorted(many["item"].indices.tolist()) == [1, 2]


def test_very_old_events_do_not_vanish():
    """After 1,100 half-lives a double would be zero and the user without a profile."""
    events = one_user([(0, 0, RECOMMEND, CLICK, 1, NO_ROW, 0)])
    assert profiles(events, np.ones(1, bool), 1100 * 7 * DAY)["item"][0, 1] > 0


def test_weights_of_zero_leave_the_field_empty():
    events = one_user([(0, 5, SEARCH, CLICK, 1, 0, 7)])
    got = profiles(events, np.ones(1, bool), 6, ProfileConfig(search_weight=0))
    assert got["item"].nnz == got["term"].nnz == 0


def test_a_half_life_must_be_positive():
    with pytest.raises(ConfigError, match="item_half_life"):
        parse_config(ProfileConfig, {"item_half_life": 0}, "[profile]")
