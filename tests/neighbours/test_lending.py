"""Searches lent by neighbours from the feed: against loops, in a planted world, without a leak."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from sargraph.core.errors import BadInputError, UnknownIdError
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.events.schema import CLICK, RECOMMEND, SEARCH, SEARCHED
from sargraph.events.split import SplitConfig, split_events
from sargraph.neighbours.build import build_index
from sargraph.neighbours.index_config import IndexConfig
from sargraph.neighbours.lending import COLUMNS, lent_searches, rare_searchers
from sargraph.neighbours.profile import ProfileConfig
from sargraph.testing.events import make_events, random_events

HOUR, DAY = 3_600_000, 86_400_000
BY_FEED = IndexConfig(profile=ProfileConfig(source="recommend"))


def naive(index, events, mask, user, k, num_queries, half_life=7.0, include_own=False):
    """[(query, score, lenders)] in loops over the events; rows of the index are those of events."""
    ranked, _ = index.search(np.array([user]), k)
    similar = dict(ranked.valid(0))
    seen, own = set(), set()
    given = defaultdict(lambda: defaultdict(float))
    for row in range(len(events)):
        search = (events.user[row], events.session[row], events.query[row])
        is_new = search not in seen or events.session[row] == NO_ROW
        usable = mask[row] and events.is_search[row] and events.query[row] != NO_ROW
        if not usable or events.time[row] >= index.as_of or not is_new:
            continue
        seen.add(search)
        query, lender = int(events.query[row]), int(events.user[row])
        if lender == user:
            own.add(query)
        if lender in similar:
            age = 0 if events.time[row] == NO_TIME else index.as_of - events.time[row]
            given[query][lender] += similar[lender] * 0.5 ** (age / (half_life * DAY))
    found = []
    for query, lenders in given.items():
        if include_own or query not in own:
            score = sum(lenders.values()) / sum(similar.values())
            found.append((query, score, sorted(lenders, key=lambda v: (-lenders[v], v))))
    return sorted(found, key=lambda one: (-one[1], one[0]))[:num_queries]


@pytest.fixture(scope="module")
def events():
    found = random_events(np.random.default_rng(0), num_users=25, num_queries=12, num_events=400)
    columns = {**found.columns, "time": found.time * 216_000}
    columns["session"] = columns["session"] // 3  # so that some searches have several rows
    columns["session"][::7] = NO_ROW
    return replace(found, columns=columns)


@pytest.mark.parametrize("include_own", [False, True])
@pytest.mark.parametrize(("k", "num_queries", "half_life"), [(5, 4, None), (3, 20, 2.0)])
def test_lent_queries_are_those_of_loops(events, k, num_queries, half_life, include_own):
    mask = np.random.default_rng(1).random(len(events)) < 0.8
    index = build_index(events, mask, as_of=int(np.quantile(events.time, 0.8)), config=BY_FEED)
    users = np.arange(25)[::-1].copy()
    lent = lent_searches(
        index, events, mask, users, k, num_queries, half_life=half_life, include_own=include_own
    )
    assert len(lent) == 25
    num_lines = 0
    for place, user in enumerate(users):
        expected = naive(
            index, events, mask, user, k, num_queries, half_life or 7.0, include_own
        )  # fmt: skip
        got = lent.ranked.valid(place)
        assert [query for query, _ in got] == [query for query, _, _ in expected]
        scores = [score for _, score in got]
        np.testing.assert_allclose(scores, [score for _, score, _ in expected], rtol=1e-5)
        for rank, (_, _, lenders) in enumerate(expected):
            assert lent.lenders_of(place, rank).tolist() == lenders
        num_lines += len(expected)
    assert len(lent.to_frame()) == num_lines > 50


def planted_world(seed=0, num_clusters=5, users_per_cluster=20):
    """Clusters share a feed of 20 items and 4 queries; every other user never searches."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(num_clusters * users_per_cluster):
        cluster = user % num_clusters
        for place in range(25):
            own = cluster if rng.random() < 0.8 else int(rng.integers(num_clusters))
            item, session = own * 20 + int(rng.integers(20)), user * 25 + place
            rows.append((user, place * HOUR, RECOMMEND, CLICK, item, NO_ROW, session))
            if (user // num_clusters) % 2 and place % 5 == 0:
                query = own * 4 + int(rng.integers(4))
                rows.append((user, place * HOUR, SEARCH, SEARCHED, NO_ROW, query, session))
    return make_events(
        rows, num_users=num_clusters * users_per_cluster, num_items=num_clusters * 20,
        query_terms=[[query] for query in range(num_clusters * 4)],
    )  # fmt: skip


def test_a_user_who_never_searches_gets_the_queries_of_its_cluster():
    events = planted_world()
    everything = np.ones(len(events), bool)
    index = build_index(events, config=BY_FEED)
    users = rare_searchers(events, everything, index.as_of)
    assert len(users) == 50
    lent = lent_searches(index, events, everything, users, 20, 4)
    assert np.all(lent.ranked.rows != NO_ROW)
    assert np.mean(lent.ranked.rows // 4 == (users % 5)[:, None]) >= 0.9
    assert all((lender // 5) % 2 for lender in lent.lenders.values)


def test_lenders_are_found_by_the_feed_alone():
    """Searches decide nothing: with other queries the same users lend."""
    events = planted_world()
    everything = np.ones(len(events), bool)
    columns = dict(events.columns)
    query = columns["query"]
    columns["query"] = np.where(query != NO_ROW, (query + 5) % 20, NO_ROW)
    users = rare_searchers(events, everything, events.time.max() + 1)
    lent = [
        lent_searches(build_index(one, config=BY_FEED), one, everything, users, 20, 4)
        for one in (events, replace(events, columns=columns))
    ]
    shifted = np.sort((lent[0].ranked.rows + 5) % 20)
    assert np.mean(shifted == np.sort(lent[1].ranked.rows)) > 0.95


@pytest.mark.parametrize("cut", ["as_of", "split"])
def test_later_events_change_nothing(events, cut):
    split = split_events(events, SplitConfig(kind="leave_last_out"))
    as_of = int(np.median(events.time)) if cut == "as_of" else int(events.time.max()) + 1
    mask = split.is_train if cut == "split" else np.ones(len(events), bool)
    held_out = ~mask | (events.time >= as_of)
    columns = dict(events.columns)
    for name, size in (("item", 20), ("query", 12)):
        moved = held_out & (columns[name] != NO_ROW)
        columns[name] = np.where(moved, (columns[name] + 5) % size, columns[name])
    assert not np.array_equal(columns["query"], events.query)
    frames = []
    for one in (events, replace(events, columns=columns)):
        index = build_index(one, mask, as_of=as_of, config=BY_FEED)
        frames.append(lent_searches(index, one, mask, np.arange(25)).to_frame())
    assert frames[0].equals(frames[1])
    assert len(frames[0]) > 25


def small_world():
    """User 0 and 1 choose alike, 1 searches for q0 twice and q1; 0 searched for q1 itself."""
    rows = [(user, DAY, RECOMMEND, CLICK, item, NO_ROW, user) for user in (0, 1, 2)
            for item in (range(4) if user else range(5))]  # fmt: skip
    rows += [(1, DAY, SEARCH, SEARCHED, NO_ROW, 0, 10), (1, 8 * DAY, SEARCH, CLICK, 0, 0, 11),
             (1, 8 * DAY, SEARCH, CLICK, 1, 0, 11), (1, 8 * DAY, SEARCH, SEARCHED, NO_ROW, 1, 12),
             (0, DAY, SEARCH, SEARCHED, NO_ROW, 1, 13),
             (3, DAY, RECOMMEND, CLICK, 7, NO_ROW, 14)]  # fmt: skip
    return make_events(rows, num_users=4, num_items=8, query_terms=[[0], [1], [2]])


def test_the_score_is_a_mean_of_recent_searches_weighted_by_similarity():
    events = small_world()
    everything = np.ones(len(events), bool)
    config = BY_FEED.model_copy(update={
        "similarity": BY_FEED.similarity.model_copy(update={"max_jaccard": 1.0})
    })  # fmt: skip
    index = build_index(events, as_of=8 * DAY + 1, config=config)
    ranked, _ = index.search(np.array([0]), 2)
    share = dict(ranked.valid(0))[1] / sum(dict(ranked.valid(0)).values())
    lent = lent_searches(index, events, everything, np.array([0, 3]), 2)
    assert [query for query, _ in lent.ranked.valid(0)] == [0]
    assert lent.ranked.scores[0, 0] == pytest.approx(share * 1.5, rel=1e-6)
    assert lent.lenders_of(0, 0).tolist() == [1]
    assert lent.ranked.valid(1) == []
    both = lent_searches(index, events, everything, np.array([0]), 2, include_own=True)
    assert [query for query, _ in both.ranked.valid(0)] == [0, 1]
    assert both.ranked.scores[0, 1] == pytest.approx(share, rel=1e-6)


def test_the_table_names_users_queries_and_lenders(events):
    everything = np.ones(len(events), bool)
    index = build_index(events, config=BY_FEED)
    lent = lent_searches(index, events, everything, np.array([3]), 8, 2)
    frame = lent.to_frame(num_shown=1)
    assert list(frame.columns) == COLUMNS
    assert frame["user_id"].tolist() == ["u3"] * len(frame)
    assert frame["place"].tolist() == list(range(1, len(frame) + 1))
    first = frame.iloc[0]
    query, score = lent.ranked.valid(0)[0]
    assert (first["query_id"], first["query"]) == (f"q{query}", f"query {query}")
    assert first["score"] == pytest.approx(score)
    lenders = lent.lenders_of(0, 0)
    assert first["num_lenders"] == len(lenders) > 1
    assert first["lenders"] == f"user {lenders[0]} (+{len(lenders) - 1})"
    nothing = lent_searches(index, events, np.zeros(len(events), bool), np.array([3]))
    assert list(nothing.to_frame().columns) == COLUMNS
    assert len(nothing.to_frame()) == 0


def test_users_added_to_the_index_are_matched_by_id():
    events = planted_world()
    everything = np.ones(len(events), bool)
    index = build_index(events, config=BY_FEED)
    newcomer = make_events(
        [(0, place * HOUR, RECOMMEND, CLICK, place % 20, NO_ROW, place) for place in range(20)],
        num_users=1, num_items=100,
    )  # fmt: skip
    renamed = type(newcomer.users)(["someone"])
    grown = index.add(
        replace(newcomer, vocabularies={**newcomer.vocabularies, "user": renamed})
    )  # fmt: skip
    lent = lent_searches(grown, events, everything, np.array([100]), 20, 4)
    assert lent.to_frame()["user_id"].unique().tolist() == ["someone"]
    assert np.mean(lent.ranked.rows // 4 == 0) >= 0.75
    with pytest.raises(UnknownIdError, match="removed from the index"):
        lent_searches(grown.remove(["someone"]), events, everything, np.array([100]))


def test_rare_searchers_are_active_and_search_seldom():
    rows = [
        (0, 1, RECOMMEND, CLICK, 0, NO_ROW, 0),
        (1, 1, SEARCH, CLICK, 0, 0, 1), (1, 2, SEARCH, CLICK, 1, 0, 1),
        (2, 1, SEARCH, CLICK, 0, 0, 2), (2, 9, SEARCH, CLICK, 0, 1, 3),
        (3, 9, RECOMMEND, CLICK, 0, NO_ROW, 4),
    ]  # fmt: skip
    events = make_events(rows, num_users=5, num_items=2, query_terms=[[0], [1]])
    everything = np.ones(len(events), bool)
    assert rare_searchers(events, everything, 9).tolist() == [0]
    assert rare_searchers(events, everything, 9, max_searches=1).tolist() == [0, 1, 2]
    assert rare_searchers(events, everything, 10, max_searches=1).tolist() == [0, 1, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 0}, "got k = 0, expected at least 1"),
        ({"num_queries": 0}, "got num_queries = 0, expected at least 1"),
        ({"half_life": 0}, "got half_life = 0, expected more than 0"),
        ({"users": np.array([25])}, "got users from 25 to 25, expected rows of the 25 users"),
        ({"mask": np.ones(3, bool)}, r"got a mask of bool \[3\], expected bool \[400\]"),
        ({"mask": np.ones(400)}, r"got a mask of float64 \[400\]"),
    ],
)
def test_what_does_not_fit_is_an_error(events, changes, message):
    given = {
        "index": build_index(events, config=BY_FEED), "events": events,
        "mask": np.ones(len(events), bool), "users": np.arange(3), "k": 2, "num_queries": 2,
    }  # fmt: skip
    with pytest.raises(BadInputError, match=message) as caught:
        lent_searches(**{**given, **changes})
    assert "\n" not in str(caught.value)
