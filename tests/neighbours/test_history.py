"""Histories from outside: found like users of the index, whatever the table looks like."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sargraph.core.errors import BadInputError
from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.events.events import Categories
from sargraph.events.schema import CLICK, RECOMMEND, SEARCH, SEARCHED
from sargraph.events.vocabulary import Vocabulary
from sargraph.neighbours.build import build_index
from sargraph.neighbours.history import events_of
from sargraph.neighbours.index_config import IndexConfig
from sargraph.neighbours.profile import ProfileConfig
from sargraph.neighbours.similarity import SimilarityConfig
from sargraph.testing.events import make_events, random_events
from sargraph.testing.index_oracle import assert_best, plain_idfs, plain_user, plain_users

HALF_LIVES = ProfileConfig(item_half_life=0.0002, term_half_life=0.0003, category_half_life=0.0004)
PLAIN = IndexConfig(
    profile=HALF_LIVES, similarity=SimilarityConfig(shrinkage=0, max_jaccard=1), stan_days=0.0005
)  # nothing but the measure


def world(seed=0, num_users=15, num_items=30, first_item=0):
    events = random_events(
        np.random.default_rng(seed), num_users=num_users, num_items=num_items, num_events=200,
        untimed_share=0.2,
    )  # fmt: skip
    items = Vocabulary([f"i{first_item + place}" for place in range(num_items)])
    of_item = Ragged.from_lists([[(first_item + i) % 5] for i in range(num_items)])
    names = Vocabulary([f"1/{place}" for place in range(5)])
    return replace(
        events,
        vocabularies={**events.vocabularies, "item": items},
        categories=Categories(names, np.ones(5, dtype=np.int64), of_item),
    )


@pytest.fixture(scope="module")
def events():
    return world()


@pytest.fixture(scope="module")
def index(events):
    return build_index(events, config=PLAIN)


def table(events, user):
    """What one user chose and searched for, as someone would write it down."""
    lines = []
    for row in np.flatnonzero(events.user == user):
        if not (events.is_positive[row] or events.is_search[row]):
            continue
        item = events.items.ids[events.item[row]] if events.is_positive[row] else None
        terms = events.query_terms[events.query[row]] if events.is_search[row] else []
        query = " ".join(events.terms.ids[term] for term in terms) or None
        time = None if events.time[row] == NO_TIME else int(events.time[row])
        lines.append((item, query, time, "search" if events.is_search[row] else "recommend"))
    return pd.DataFrame(lines, columns=["item_id", "query", "time", "source"])


def pairs(found):
    return [(neighbour.user_id, neighbour.similarity) for neighbour in found]


def assert_close(one, other):
    assert [id_ for id_, _ in pairs(one)] == [id_ for id_, _ in pairs(other)]
    np.testing.assert_allclose([s for _, s in pairs(one)], [s for _, s in pairs(other)], rtol=1e-6)


@pytest.mark.parametrize("measure", ["cosine", "jaccard", "stan", "order_aware"])
def test_the_very_history_of_a_user_finds_the_user_first(events, measure):
    index = build_index(events, config=PLAIN.model_copy(update={"measure": measure}))
    some = 0
    for user, id_ in enumerate(events.users.ids):
        found = index.similar_to(table(events, user), 8)
        assert (found.user_id, found.num_unknown) == ("", 0)
        own = [n for n in found if n.user_id == id_]
        assert own[0].cosine == pytest.approx(1, rel=1e-6)
        if measure != "stan":  # which is not 1 for a user with itself
            assert found[0] is own[0]
            assert own[0].similarity == pytest.approx(1, rel=1e-6)
        others = replace(found, neighbours=tuple(n for n in found if n.user_id != id_))
        assert_close(others, index.similar(id_, 7))
        for one, other in zip(others, index.similar(id_, 7), strict=True):
            assert [e.id for e in one.shared_items] == [e.id for e in other.shared_items]
            assert one.transitions == pytest.approx(other.transitions)
            some += bool(one.transitions)
    assert some > 30


def test_events_are_the_same_as_their_table(events, index):
    for user in range(len(events.users)):
        own = events.select(events.user == user)
        assert_close(index.similar_to(own, 8), index.similar_to(table(events, user), 8))


def test_a_stranger_is_compared_as_in_brute_force(events, index):
    strangers = world(seed=1, num_users=10, first_item=12)
    known = [[place % 5] if place < 30 else [] for place in range(12, 42)]
    of_item = replace(strangers.categories, of_item=Ragged.from_lists(known))
    in_table = replace(strangers, categories=of_item)  # a table has the categories of the index
    idfs = plain_idfs(events, index.as_of, HALF_LIVES)
    users = plain_users(events, index.as_of, PLAIN, idfs)
    for user in range(10):
        own = strangers.select(strangers.user == user)
        for history, named in ((own, strangers), (table(strangers, user), in_table)):
            probe = plain_user(named, user, index.as_of, PLAIN, idfs)
            found = index.similar_to(history, 6)
            assert_best(pairs(found), probe, users, 6, PLAIN)
            assert found.num_unknown == probe.num_unknown > 0


def test_what_the_index_does_not_know_counts_once_and_changes_nothing(index):
    known = pd.DataFrame({"item_id": ["i1", "i2", None], "query": [None, None, "t1 t2"]})
    strange = pd.DataFrame(
        {"item_id": ["i1", "zz", "i2", "zz", None], "query": [None] * 4 + ["t1 hello t2 WORLD"]}
    )
    assert index.similar_to(known).num_unknown == 0
    found = index.similar_to(strange)
    assert found.num_unknown == 3  # zz, hello, world
    assert len(found) > 3
    assert found.neighbours == index.similar_to(known).neighbours
    nobody = index.similar_to(pd.DataFrame({"item_id": ["zz"]}))
    assert (len(nobody), nobody.num_unknown) == (0, 1)
    assert "chose no item and searched for nothing" in nobody.reason


def test_one_column_is_enough(index):
    items = index.similar_to(pd.DataFrame({"item_id": ["i1", "i2"]}))
    assert len(items) > 0
    assert all(n.shared_items and not n.shared_terms for n in items)
    terms = index.similar_to(pd.DataFrame({"query": ["  T1\n t2 "]}))
    assert len(terms) > 0
    assert all(n.shared_terms and not n.shared_items for n in terms)
    assert terms.num_unknown == 0


def test_the_categories_of_items_are_those_of_the_index(events, index):
    found = index.similar_to(pd.DataFrame({"item_id": ["i6", "i11", "unknown"]}), 15)
    assert len(found) > 2
    for neighbour in found:
        assert [entry.id for entry in neighbour.shared_categories] == ["1/1"]
    without = PLAIN.model_copy(update={"similarity": SimilarityConfig(category_share=0)})
    plain = build_index(events, config=without).similar_to(pd.DataFrame({"item_id": ["i6"]}))
    assert len(plain) > 0
    assert not any(neighbour.shared_categories for neighbour in plain)


def test_times_are_optional_and_then_nothing_is_old(index):
    frame = pd.DataFrame({"item_id": ["i1", "i2", "i3"], "query": [None, None, "t1"]})
    untimed = index.similar_to(frame)
    for time in (5000, "5000", None, np.nan, ""):
        assert_close(index.similar_to(frame.assign(time=time)), untimed)
    old_first = index.similar_to(frame.assign(time=[0, 39_000, 39_000]))
    assert pairs(old_first) != pairs(untimed)
    mixed = index.similar_to(frame.assign(time=[0, None, None]))
    assert pairs(mixed) not in (pairs(untimed), pairs(old_first))


def test_rows_with_a_time_may_come_in_any_order(events):
    index = build_index(events, config=PLAIN.model_copy(update={"measure": "order_aware"}))
    frame = pd.DataFrame({"item_id": [f"i{n}" for n in range(12)], "time": np.arange(12) * 1000})
    found = index.similar_to(frame)
    assert pairs(index.similar_to(frame.iloc[::-1])) == pairs(found)
    assert pairs(index.similar_to(frame.assign(time=frame["time"][::-1].tolist()))) != pairs(found)


def test_sources_are_given_or_told_by_the_query(index):
    frame = pd.DataFrame({"item_id": ["i1", None, "i2", None], "query": [None, "t1", "t1", None]})
    told = events_of(frame, index)
    assert told.columns["source"].tolist() == [RECOMMEND, SEARCH, SEARCH, RECOMMEND]
    assert told.columns["action"].tolist() == [CLICK, SEARCHED, CLICK, SEARCHED]
    assert told.item.tolist() == [0, NO_ROW, 1, NO_ROW]
    assert told.query.tolist() == [NO_ROW, 0, 0, NO_ROW]
    assert len(set(told.session.tolist())) == 4
    given = events_of(frame.assign(source=["search", "search", "recommend", "search"]), index)
    assert given.columns["source"].tolist() == [SEARCH, SEARCH, RECOMMEND, SEARCH]


def test_ids_and_words_are_spelt_as_in_a_log():
    long = "x" * 120
    rows = [(user, 0, SEARCH, CLICK, user, 0, user) for user in (0, 1)]
    events = make_events(rows, num_users=2, num_items=2, query_terms=[[0]])
    words = {"item": Vocabulary(["7", "007"]), "term": Vocabulary([long[:100]])}
    events = replace(events, vocabularies={**events.vocabularies, **words})
    index = build_index(events, config=PLAIN)
    found = index.similar_to(pd.DataFrame({"item_id": [7.0, None], "query": [None, long.upper()]}))
    assert found.num_unknown == 0
    assert found[0].user_id == "u0"
    assert [e.id for e in found[0].shared_items] == ["7"]
    assert [e.id for e in found[0].shared_terms] == [long[:100]]
    assert index.similar_to(pd.DataFrame({"item_id": ["007"]}))[0].user_id == "u1"


def test_tables_that_cannot_be_read_are_refused(index):
    items = {"item_id": ["i1", "i2"]}
    for columns, message in (
        ({**items, "user_id": [1, 1]}, r"columns \['item_id', 'user_id'\], expected item_id and"),
        ({"time": [1, 2]}, r"columns \['time'\], expected item_id and query, or one of them"),
        ({"item_id": []}, "without a row, expected at least one event"),
        ({**items, "source": ["search", "feed"]}, "got source 'feed', expected search or recom"),
        ({**items, "source": ["search", None]}, "got source ''"),
        ({**items, "time": [1, "noon"]}, "got time 'noon', expected a whole number"),
        ({**items, "time": [1.0, 2.5]}, r"got time '2\.5', expected a whole number"),
        ({**items, "time": [1.0, np.inf]}, "got time 'inf', expected a whole number"),
        ({**items, "time": [1.0, 1e30]}, r"got time '1e\+30', expected a whole number"),
        ({**items, "time": [True, False]}, "got time 'True', expected a whole number"),
        ({**items, "time": pd.to_datetime(["2020-01-01", None])}, "got time '2020-01-01"),
    ):
        with pytest.raises(BadInputError, match=message):
            index.similar_to(pd.DataFrame(columns))


def test_events_of_no_user_or_several_are_refused(events, index):
    with pytest.raises(BadInputError, match="got events of 15 users, expected those of one"):
        index.similar_to(events)
    with pytest.raises(BadInputError, match="got events of 0 users"):
        index.similar_to(events.select(np.zeros(len(events), dtype=bool)))
    own = replace(events.select(events.user == 0), time_kind="ordinal")
    with pytest.raises(BadInputError, match="time is 'ordinal', expected 'ms'"):
        index.similar_to(own)
    with pytest.raises(BadInputError, match="got k = 0"):
        index.similar_to(pd.DataFrame({"item_id": ["i1"]}), 0)


def test_an_index_without_times_takes_none(events):
    columns = {**events.columns, "time": np.full(len(events), NO_TIME)}
    index = build_index(replace(events, columns=columns, time_kind="none"))
    frame = pd.DataFrame({"item_id": ["i1", "i2"]})
    assert len(index.similar_to(frame)) > 0
    assert index.similar_to(frame.assign(time=None)) == index.similar_to(frame)
    with pytest.raises(BadInputError, match="got times for an index without any"):
        index.similar_to(frame.assign(time=[1, 2]))
