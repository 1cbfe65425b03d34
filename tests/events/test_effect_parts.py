"""The parts of the effects against plain loops and against cases small enough to see through."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest

from sargraph.core.ragged import Ragged
from sargraph.events.effect.closeness import measure_neighbours
from sargraph.events.effect.demand import measure_demand_change
from sargraph.events.effect.null import MAX_P, NOTHING, Measured, flip_signs, shuffled_within
from sargraph.events.effect.steps import (
    Batches,
    Searches,
    batches_of,
    latest_before,
    most_common,
    searches_of,
    topic_of_item,
    topic_of_term,
)
from sargraph.events.effect.transitions import measure_r2s, measure_s2r
from sargraph.events.effect.wording import measure_wording, shared_terms
from sargraph.events.events import Categories, Events
from sargraph.events.schema import CLICK, COLUMNS, IMPRESSION, RECOMMEND, SEARCH
from sargraph.events.vocabulary import Vocabulary

HOUR = 3_600_000
RNG = np.random.default_rng(0)


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def make_events(rows: list[tuple[int, int, int, int, int, int, int]]) -> Events:
    """Events of (user, time, source, action, item, query, session); item i has topic i // 10."""
    n = len(rows)
    user, time, source, action, item, query, session = (ints(*c) for c in zip(*rows, strict=True))
    columns = {
        "time": time,
        "source": source.astype(np.int8),
        "action": action.astype(np.int8),
        "user": user,
        "item": item,
        "query": query,
        "session": session,
        "position": np.full(n, -1, np.int32),
        "weight": np.ones(n, np.float32),
    }
    levels = ints(1, *[2] * 5)
    lists = [[0, 1 + i // 10] for i in range(50)]
    categories = Categories(
        Vocabulary([f"c{i}" for i in range(6)]), levels, Ragged.from_lists(lists)
    )
    ids = [str(i) for i in range(50)]
    vocabularies = {kind: Vocabulary(ids) for kind in ("user", "item", "query", "term")}
    return Events(
        {name: columns[name] for name in COLUMNS},
        vocabularies,
        Ragged.from_lists([[q] for q in range(50)]),
        Ragged.from_lists([[10 * (i // 10), i] for i in range(50)]),
        categories=categories,
    )


def test_most_common_against_a_counter() -> None:
    group, value = RNG.integers(8, size=200), RNG.integers(4, size=200)
    values = defaultdict(list)
    for g, v in zip(group.tolist(), value.tolist(), strict=True):
        values[g].append(v)
    for more_than in (0.0, 0.35):
        expected = []
        for g in range(9):
            counts = Counter(values[g])
            best = min(counts, key=lambda v: (-counts[v], v)) if counts else -1
            enough = bool(counts) and counts[best] > more_than * len(values[g])
            expected.append(best if enough else -1)
        assert most_common(group, value, 9, more_than).tolist() == expected


def test_latest_before_against_plain_loops() -> None:
    user, time = RNG.integers(4, size=40), RNG.integers(30, size=40)
    of, at = RNG.integers(5, size=50), RNG.integers(30, size=50)
    left, right = np.lexsort((time, user)), np.lexsort((at, of))
    user, time, of, at = user[left], time[left], of[right], at[right]
    expected = []
    for u, t in zip(of, at, strict=True):
        earlier = [r for r in range(40) if user[r] == u and time[r] < t]
        expected.append(max(earlier) if earlier else -1)
    assert latest_before(user, time, of, at).tolist() == expected
    assert latest_before(user[:0], time[:0], of, at).tolist() == [-1] * 50


def test_shares_of_a_batch_against_counts() -> None:
    of, topic = np.sort(RNG.integers(6, size=30)), RNG.integers(5, size=30)
    batches = Batches(np.zeros(6, np.int64), np.arange(6), of, topic, 5)
    for batch in range(6):
        for t in range(5):
            expected = np.mean(topic[of == batch] == t) if (of == batch).any() else 0.0
            assert batches.share(ints(batch), ints(t))[0] == pytest.approx(expected)
    assert batches.share(ints(0), ints(-1)).tolist() == [0.0]


def test_flipped_signs_are_a_fair_test() -> None:
    """Nothing: p is uniform. Pairs of one user, all alike, count as one."""
    small = []
    for draw in range(200):
        rng = np.random.default_rng(draw)
        own, other = rng.random(300), rng.random(300)
        row = flip_signs(own, other, np.arange(300) // 5, 99, rng).row("x")
        small.append(row["p"] <= 0.1)
    assert 0.04 < np.mean(small) < 0.16
    one_user = flip_signs(np.ones(50), np.zeros(50), np.zeros(50, np.int64), 199, RNG)
    assert set(np.unique(one_user.null)) == {-1.0, 1.0} and one_user.users == 1
    assert not one_user.row("x")["found"]


def test_rows_of_the_table() -> None:
    row = Measured(2.0, np.arange(1000) / 1000, 3, 7).row("x")
    assert row["p"] == pytest.approx(1 / 1001) and row["found"]
    assert row["high"] - row["low"] == pytest.approx(1 - MAX_P, abs=0.001)
    nothing = NOTHING.row("x")
    assert np.isnan(nothing["value"]) and np.isnan(nothing["p"]) and not nothing["found"]


@pytest.mark.parametrize(("reached", "found"), [(1, True), (2, False)])
def test_a_p_of_one_per_cent_is_not_below_it(reached: int, found: bool) -> None:
    null = np.repeat([2.0, 0.0], [reached, 299 - reached])
    row = Measured(1.0, null, 3, 7).row("x")
    assert row["p"] == pytest.approx((1 + reached) / 300)
    assert row["found"] is found


def test_shuffling_stays_within_groups() -> None:
    group = np.repeat([0, 1, 2], [5, 1, 40])
    order = shuffled_within(group, np.random.default_rng(1))
    assert (group[order] == group).all() and sorted(order) == list(range(46))
    assert (order != np.arange(46)).mean() > 0.7


def test_topics_of_items_and_terms() -> None:
    events = make_events([(0, 0, SEARCH, CLICK, 3, 3, 0)])
    topic = topic_of_item(events)
    assert topic.tolist() == [1 + i // 10 for i in range(50)]
    by_term = topic_of_term(events, topic)
    assert by_term[0] == by_term[7] == 1 and by_term[45] == 5


def test_a_search_is_about_what_most_of_its_items_are() -> None:
    events = make_events(
        [
            (0, 5, SEARCH, IMPRESSION, 11, 20, 4),
            (0, 5, SEARCH, CLICK, 31, 20, 4),
            (0, 5, SEARCH, IMPRESSION, 12, 20, 4),
            (0, 9, SEARCH, 5, -1, 20, 5),  # no item: what the query's term means
            (1, 2, SEARCH, CLICK, 49, 20, 6),
        ]
    )
    searches = searches_of(events, topic_of_item(events))
    assert searches.user.tolist() == [0, 0, 1] and searches.time.tolist() == [5, 9, 2]
    assert searches.topic.tolist() == [2, 3, 5]


def test_a_batch_holds_what_was_chosen_at_one_time() -> None:
    events = make_events(
        [
            (0, 5, RECOMMEND, CLICK, 11, -1, 0),
            (0, 5, RECOMMEND, IMPRESSION, 21, -1, 0),
            (0, 5, RECOMMEND, CLICK, 12, -1, 0),
            (0, 7, RECOMMEND, IMPRESSION, 21, -1, 0),
            (0, 9, RECOMMEND, CLICK, 41, -1, 0),
        ]
    )
    batches = batches_of(events, topic_of_item(events))
    assert batches.time.tolist() == [5, 9] and batches.sizes.tolist() == [2, 1]
    assert batches.topic.tolist() == [2, 2, 5] and batches.of.tolist() == [0, 0, 1]


def searches_about(user: np.ndarray, time: np.ndarray, topic: np.ndarray) -> Searches:
    """Searches that show items of their topic (0..9) only."""
    return Searches(user, time, topic, np.arange(len(topic)) * 10 + topic, 10)


def alternating(carry: float, seed: int = 0) -> tuple[Searches, Batches]:
    """200 users; every hour a batch, and before every third one a search of a random topic.

    The batch after a search takes its topic with probability `carry`.
    """
    rng = np.random.default_rng(seed)
    hours = np.tile(np.arange(30), 200)
    user = np.repeat(np.arange(200), 30)
    topic = rng.integers(6, size=6000)
    searched = hours % 3 == 2
    about = rng.integers(6, size=6000)
    follows = searched & (rng.random(6000) < carry)
    topic[follows] = about[follows]
    batches = Batches(user, hours * 2 * HOUR, np.arange(6000), topic, 6)
    at = hours[searched] * 2 * HOUR - HOUR // 2
    return searches_about(user[searched], at, about[searched]), batches


def test_s2r_is_the_share_above_what_other_batches_have() -> None:
    searches, batches = alternating(carry=0.4)
    measured = measure_s2r(searches, batches, 199, np.random.default_rng(0))
    assert measured.value == pytest.approx(0.4 + 0.6 / 6, abs=0.05)
    assert measured.null.mean() == pytest.approx(1 / 6, abs=0.03)
    assert measured.row("s2r")["found"]
    # The batch before a search knows nothing of it.
    assert not measure_r2s(searches, batches, 199, np.random.default_rng(0)).row("r2s")["found"]


def test_a_search_that_looks_like_another_topic_does_not_fake_r2s() -> None:
    """What a user searches for lasts and pulls the batch between two searches (S2R).

    Every other search shows more of something else; its commonest topic hides what it was about.
    """
    rng = np.random.default_rng(4)
    user, turn = np.repeat(np.arange(400), 30), np.tile(np.arange(30), 400)
    wanted = np.repeat(rng.integers(10, size=6000), 2)  # lasts for two searches
    seems = np.where(turn % 2 == 0, (wanted + 1 + rng.integers(9, size=12000)) % 10, wanted)
    time = turn * 30 * HOUR
    pulled = np.where(rng.random(12000) < 0.6, wanted, rng.integers(10, size=12000))
    batches = Batches(user, time + HOUR // 2, np.arange(12000), pulled, 10)
    at = time - (turn % 2) * 29 * HOUR  # the second search of a pair follows the batch of the first
    searched = (turn % 2 == 0) | (turn % 3 != 0)  # some batches are not followed by a search
    order = np.lexsort((at, user))
    order = order[searched[order]]
    row = np.arange(len(order))
    shown = np.unique(np.r_[row * 10 + seems[order], row * 10 + wanted[order]])
    searches = Searches(user[order], at[order], seems[order], shown, 10)
    assert not measure_r2s(searches, batches, 199, rng).row("r2s")["found"]
    bare = searches_about(searches.user, searches.time, searches.topic)
    assert measure_r2s(bare, batches, 199, rng).row("r2s")["found"]  # as it would seem


def test_what_goes_on_by_itself_is_no_transition() -> None:
    """Searches repeat the batch before, and batches last: yet none follows a search."""
    rng = np.random.default_rng(3)
    fresh = rng.integers(6, size=12000)
    stays = rng.random(12000) < 0.7
    stays[::60] = False
    topic = fresh[np.maximum.accumulate(np.where(stays, 0, np.arange(12000)))]
    hours, user = np.tile(np.arange(60), 200), np.repeat(np.arange(200), 60)
    batches = Batches(user, hours * 2 * HOUR, np.arange(12000), topic, 6)
    searched = (hours % 3 == 2) & (rng.random(12000) < 0.8)
    copies = rng.random(12000) < 0.5
    about = np.where(copies, np.roll(topic, 1), rng.integers(6, size=12000))[searched]
    at = hours[searched] * 2 * HOUR - 3 * HOUR // 2
    searches = searches_about(user[searched], at, about)
    naive = topic[searched] == about
    assert naive.mean() > 1 / 6 + 0.2  # as it seems
    s2r = measure_s2r(searches, batches, 199, rng, window=2 * HOUR)
    assert not s2r.row("s2r")["found"] and s2r.pairs > 1000
    r2s = measure_r2s(searches, batches, 199, rng, window=2 * HOUR)
    assert r2s.row("r2s")["found"]


def test_a_topic_that_wears_out_slowly_is_no_changing_demand() -> None:
    rng = np.random.default_rng(8)
    user, day = np.repeat(np.arange(300), 40), np.tile(np.arange(40), 300)
    worn = rng.random(12000) < day / 80  # half gone after forty visits
    topic = np.where(worn, rng.integers(1, 9, size=12000), 0)
    searches = searches_about(user, day * 25 * HOUR, topic)
    assert not measure_demand_change(searches, 199, rng).row("x")["found"]


@pytest.mark.parametrize("lasting", [True, False])
def test_demand_that_lasts_makes_neighbouring_visits_alike(lasting: bool) -> None:
    rng = np.random.default_rng(5)
    user, day = np.repeat(np.arange(100), 12), np.tile(np.arange(12), 100)
    every = 3 if lasting else 1
    topic = rng.integers(5, size=(100, 12))[:, np.arange(12) // every * every].ravel()
    measured = measure_demand_change(searches_about(user, day * 25 * HOUR, topic), 199, rng)
    assert measured.row("x")["found"] is lasting and measured.pairs == 900
    block = topic.reshape(300, 4)  # the last visit of a block has no neighbour in it
    expected = float((block[:, 1:] == block[:, :-1]).mean())
    assert measured.value == pytest.approx(expected)


@pytest.mark.parametrize("clusters", [True, False])
def test_neighbours_stay_alike_where_users_have_tastes(clusters: bool) -> None:
    rng = np.random.default_rng(6)
    rows = []
    for user in range(50):
        own = rng.integers(5) if clusters else None
        for step in range(60):
            topic = own if own is not None and rng.random() < 0.6 else rng.integers(5)
            item = int(10 * topic + rng.integers(10))
            rows.append((user, step * HOUR, RECOMMEND, CLICK, item, -1, step))
    events = make_events(rows)
    measured = measure_neighbours(events, topic_of_item(events), 199, rng)
    assert measured.row("x")["found"] is clusters and measured.pairs == 500


def test_shared_terms_against_sets() -> None:
    events = make_events([(0, 0, SEARCH, CLICK, 3, 3, 0)])
    query, item = RNG.integers(50, size=300), RNG.integers(50, size=300)
    expected = [
        len(set(events.query_terms[q]) & set(events.item_terms[i])) / len(events.query_terms[q])
        for q, i in zip(query, item, strict=True)
    ]
    assert shared_terms(events, query, item).tolist() == expected


def test_wording_compares_with_other_queries() -> None:
    rows = [(0, n, SEARCH, CLICK, n, n, n) for n in range(50)]
    measured = measure_wording(make_events(rows), 199, np.random.default_rng(0))
    assert measured.value == 1.0 and measured.row("x")["found"]
    # A permuted query names the item itself in 1 of 50 cases, or its topic: 5 queries for 10 items.
    assert measured.null.mean() == pytest.approx(0.02 + 5 * 9 / 50 / 50, abs=0.02)
    shuffled = [(0, n, SEARCH, CLICK, n, (7 * n + 3) % 50, n) for n in range(50)]
    assert not measure_wording(make_events(shuffled), 199, RNG).row("x")["found"]
