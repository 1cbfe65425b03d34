"""Evidence adds up; shares of transitions and profiles of some events follow plain loops."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from sargraph.core.errors import DataError
from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.events.events import Categories
from sargraph.events.schema import CLICK, IMPRESSION, RECOMMEND, SEARCH
from sargraph.events.transitions import TRANSITIONS
from sargraph.events.vocabulary import Vocabulary
from sargraph.neighbours.build import build_index
from sargraph.neighbours.index_config import IndexConfig
from sargraph.neighbours.profile import MS_PER_DAY, ProfileConfig, profiles
from sargraph.testing.events import make_events, random_events
from sargraph.testing.index_oracle import plain_cosine, plain_idfs, plain_users

HALF_LIVES = ProfileConfig(item_half_life=0.0002, term_half_life=0.0003, category_half_life=0.0004)
CONFIG = IndexConfig(profile=HALF_LIVES)
NUM_USERS = 16


@pytest.fixture(scope="module")
def events():
    """Searches of several rows, ties in time, untimed rows; items of one of four categories."""
    made = random_events(
        np.random.default_rng(0), num_users=NUM_USERS, num_items=25, num_events=320,
        untimed_share=0.1,
    )  # fmt: skip
    session = np.where(made.is_timed, 100 * made.user + made.time // 5000, NO_ROW)
    names = Vocabulary([f"1/{place}" for place in range(4)])
    of_item = Ragged.from_lists([[i % 4] for i in range(25)])
    return replace(
        made,
        columns={**made.columns, "session": session},
        categories=Categories(names, np.ones(4, dtype=np.int64), of_item),
    )


@pytest.fixture(scope="module")
def index(events):
    return build_index(events, config=CONFIG)


def kinds_of(events):
    """The transition by which each event followed, or None, by definition."""
    found = []
    for row in range(len(events)):
        time = begin_of(events, row)
        sources = {}
        for other in np.flatnonzero(events.user == events.user[row]):
            begin = begin_of(events, other)
            counts = events.is_search[other] or events.is_positive[other]
            if counts and NO_TIME not in (begin, time) and begin < time:
                sources.setdefault(begin, set()).add("S" if events.is_search[other] else "R")
        before = sources[max(sources)] if sources else set()
        own = "S" if events.is_search[row] else "R"
        found.append(f"{next(iter(before))}2{own}" if len(before) == 1 else None)
    return found


def begin_of(events, row):
    """When the behaviour of a row began: for a search the time of its first timed row."""
    if not events.is_search[row] or events.session[row] == NO_ROW or not events.is_timed[row]:
        return int(events.time[row])
    same = (events.user == events.user[row]) & (events.session == events.session[row])
    return int(events.time[same & events.is_search & events.is_timed].min())


def shares_of(events, as_of, kinds):
    """(user id, item id) -> the share of its weight that followed by each transition."""
    sums = {}
    for row in np.flatnonzero(events.is_positive):
        time = as_of if events.time[row] == NO_TIME else events.time[row]
        weight = 2.0 ** -((as_of - time) / (HALF_LIVES.item_half_life * MS_PER_DAY))
        weight *= HALF_LIVES.search_weight if events.is_search[row] else HALF_LIVES.click_weight
        cell = (events.users.ids[events.user[row]], events.items.ids[events.item[row]])
        entry = sums.setdefault(cell, {})
        entry[kinds[row]] = entry.get(kinds[row], 0) + weight
    return {
        cell: {kind: entry.get(kind, 0) / sum(entry.values()) for kind in TRANSITIONS}
        for cell, entry in sums.items()
    }


def everyone_of(index, k=5):
    return [(id_, n) for id_ in index.users.ids for n in index.similar(id_, k)]


def test_contributions_add_up_to_the_cosine_and_shares_to_one(events, index):
    users = plain_users(events, index.as_of, CONFIG, plain_idfs(events, index.as_of, HALF_LIVES))
    some = {"item": 0, "term": 0, "category": 0}
    for id_, neighbour in everyone_of(index):
        u, v = users[id_], users[neighbour.user_id]
        shared = {"item": neighbour.shared_items, "term": neighbour.shared_terms,
                  "category": neighbour.shared_categories}  # fmt: skip
        shares = {f: getattr(CONFIG.similarity, f"{f}_share") for f in shared}
        total = sum(share for f, share in shares.items() if u.bags[f] or v.bags[f])
        for field, entries in shared.items():
            mine, theirs = u.bags[field], v.bags[field]
            lengths = math.hypot(*mine.values()) * math.hypot(*theirs.values())
            expected = {x: shares[field] / total * mine[x] * theirs[x] / lengths
                        for x in mine if x in theirs}  # fmt: skip
            assert {e.id: e.contribution for e in entries} == pytest.approx(expected, rel=1e-5)
            values = [e.contribution for e in entries]
            assert values == sorted(values, reverse=True)
            some[field] += len(entries)
        everything = [entry for entries in shared.values() for entry in entries]
        assert neighbour.cosine == pytest.approx(plain_cosine(u, v, CONFIG), rel=1e-6)
        assert sum(e.contribution for e in everything) == pytest.approx(neighbour.cosine)
        assert sum(e.share for e in everything) == pytest.approx(1)
        common = len(neighbour.shared_items) + len(neighbour.shared_terms)
        assert neighbour.similarity == pytest.approx(neighbour.cosine * common / (common + 5))
    assert min(some.values()) > 50


def test_shares_of_transitions_follow_plain_loops(events, index):
    kinds = kinds_of(events)
    assert all(kinds.count(kind) > 20 for kind in (*TRANSITIONS, None))
    of_cell = shares_of(events, index.as_of, kinds)
    seen = set()
    for id_, neighbour in everyone_of(index):
        expected = dict.fromkeys(TRANSITIONS, 0.0)
        for entry in neighbour.shared_items:
            mine, theirs = of_cell[id_, entry.id], of_cell[neighbour.user_id, entry.id]
            for kind in TRANSITIONS:
                expected[kind] += entry.share * (mine[kind] + theirs[kind]) / 2
        got = {kind: neighbour.transitions.get(kind, 0.0) for kind in TRANSITIONS}
        assert got == pytest.approx(expected, abs=1 / 255)
        assert sum(got.values()) <= sum(e.share for e in neighbour.shared_items) + 2 / 255
        seen |= {kind for kind, share in expected.items() if share > 0.1}
    assert seen == set(TRANSITIONS)


def test_users_of_later_parts_have_transitions_of_their_own(events, index):
    late = events.select(events.user >= 8)
    grown = index.remove([f"u{place}" for place in range(8, NUM_USERS)]).add(late)
    for (id_, one), (same, other) in zip(everyone_of(index), everyone_of(grown), strict=True):
        assert (id_, one.user_id) == (same, other.user_id)
        assert other.transitions == pytest.approx(one.transitions, abs=1e-5)


def test_a_log_without_a_clock_tells_no_transitions(events):
    place = np.where(events.is_timed, events.time // 1000, NO_TIME)
    ordinal = replace(events, columns={**events.columns, "time": place}, time_kind="ordinal")
    found = everyone_of(build_index(ordinal))
    assert len(found) > 30
    assert not any(neighbour.transitions for _, neighbour in found)
    config = IndexConfig(profile=ProfileConfig(transition="S2R"))
    with pytest.raises(DataError, match="S2R for a log without a clock, expected times in ms"):
        build_index(ordinal, config=config)


def test_what_was_only_shown_followed_by_nothing():
    rows = [(0, 1, RECOMMEND, CLICK, 1, NO_ROW, 0), (1, 1, SEARCH, CLICK, 1, 0, 0)]
    rows += [(user, 2, RECOMMEND, IMPRESSION, 0, NO_ROW, 1) for user in (0, 1)]
    world = make_events(rows, num_users=2, num_items=2, query_terms=[[0]])
    config = IndexConfig(profile=ProfileConfig(impression_weight=0.5))
    found = build_index(world, config=config).similar("u0")
    assert {entry.id for entry in found[0].shared_items} == {"i0", "i1"}
    assert found[0].transitions == {}


def assert_same_rows(one, other):
    for name in ("offsets", "entries", "values"):
        got, expected = (getattr(i.parts[0].profiled.rows, name) for i in (one, other))
        np.testing.assert_array_equal(got, expected)
    for name in ("transitions", "fields"):
        got, expected = (getattr(i.parts[0].profiled, name) for i in (one, other))
        np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(one.all_neighbours(5).scores, other.all_neighbours(5).scores)


def with_profile(**settings):
    return IndexConfig(profile=HALF_LIVES.model_copy(update=settings), measure="order_aware")


@pytest.mark.parametrize("source", ["search", "recommend"])
def test_profiles_of_one_source_are_those_of_its_events(events, source):
    mask = events.is_search if source == "search" else events.is_recommend
    as_of = int(events.time.max()) + 1
    index = build_index(events, config=with_profile(source=source), as_of=as_of)
    assert_same_rows(index, build_index(events, mask, config=with_profile(), as_of=as_of))
    assert len(index.parts[0].profiled.rows.entries) > 50
    shared = [n.shared_terms for _, n in everyone_of(index)]
    assert any(shared) == (source == "search")


@pytest.mark.parametrize("transition", TRANSITIONS)
def test_profiles_of_a_transition_are_those_of_what_followed_by_it(events, transition):
    mask = np.array([kind == transition for kind in kinds_of(events)])
    as_of = int(events.time.max()) + 1
    index = build_index(events, config=with_profile(transition=transition), as_of=as_of)
    assert_same_rows(index, build_index(events, mask, config=with_profile(), as_of=as_of))
    neighbours = [n for _, n in everyone_of(index)]
    assert len(neighbours) > 10
    for neighbour in neighbours:  # whatever items are shared, both came to them in this way
        expected = sum(entry.share for entry in neighbour.shared_items)
        assert sum(neighbour.transitions.values()) == pytest.approx(expected)
        assert set(neighbour.transitions) <= {transition}


def test_a_transition_that_nobody_made_is_refused(events):
    feed = events.select(events.is_recommend)
    config = with_profile(transition="S2R")
    with pytest.raises(DataError, match="no event that followed by S2R"):
        build_index(feed, config=config)


def test_someone_who_never_made_the_transition_has_no_neighbours_and_a_reason(events):
    index = build_index(events, config=with_profile(transition="S2R"))
    feed = events.select(events.is_recommend & (events.user == 3))
    others = np.array([user for user in range(len(events.users)) if user != 3])
    assert 3 in index.search(others, 50)[0].rows  # until it is replaced by what it did in the feed
    found = index.similar_to(feed)
    assert not found.neighbours and "followed by S2R" in found.reason
    added = index.add(feed)
    assert not added.similar(events.users.ids[3]).neighbours
    assert 3 not in added.search(others, 50)[0].rows


@pytest.mark.parametrize(("half_life", "days"), [(None, 30), (10, 10)])
def test_one_half_life_earlier_a_shared_category_counts_half(half_life, days):
    products = []
    for age in (1, 1 + days):
        rows = [(0, (99 - age) * MS_PER_DAY, RECOMMEND, CLICK, 0, NO_ROW, 0),
                (1, 98 * MS_PER_DAY, RECOMMEND, CLICK, 1, NO_ROW, 1)]  # fmt: skip
        world = replace(
            make_events(rows, num_users=2, num_items=2),
            categories=Categories(Vocabulary(["1/0"]), np.ones(1, np.int64),
                                  Ragged.from_lists([[0], [0]])),
        )  # fmt: skip
        config = ProfileConfig(category_half_life=half_life)
        shared = profiles(world, np.ones(2, bool), 99 * MS_PER_DAY, config)["category"].toarray()
        products.append(float(shared[0] @ shared[1]))
    assert products[1] == pytest.approx(products[0] / 2, rel=1e-12)
