"""Search baselines by hand: BM25's formula and floor, most clicked, own words only."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Requests
from sargraph.evaluation.baselines import BM25, BM25Config, MostClicked, TermMatch
from sargraph.events.schema import CLICK, SEARCH
from sargraph.testing.events import make_events

QUERIES = [[0], [1], [0, 2], [3]]
TEXTS = [[0, 0, 1], [1], [], [0, 1, 1, 1, 2], [1]]


@pytest.fixture
def events():
    """Query 0 led to item 4 twice and to item 1 once; query 2 led to item 2."""
    clicks = [(0, 4), (0, 4), (0, 1), (2, 2)]
    rows = [(0, t, SEARCH, CLICK, item, query, -1) for t, (query, item) in enumerate(clicks)]
    found = make_events(rows, num_users=1, num_items=5, query_terms=QUERIES, num_terms=5)
    return replace(found, item_terms=Ragged.from_lists(TEXTS))


def asked(*queries: int) -> tuple[Requests, np.ndarray]:
    none = np.zeros(len(queries), dtype=np.int64)
    return (
        Requests(none, np.array(queries), none, none, none - 1),
        np.tile(np.arange(5), (len(queries), 1)),
    )


def everything(events) -> np.ndarray:
    return np.ones(len(events), dtype=bool)


def test_bm25_by_hand(events):
    config = BM25Config(query_weight=0, idf_floor=0)
    found = BM25(events, everything(events), config).score(*asked(2))[0]
    # Four items have words, of mean length 10 / 4; term 0 is in two of them, term 2 in one.
    idf = {0: math.log(2.5 / 2.5), 2: math.log(3.5 / 1.5)}
    tf = 1 / (0.25 + 0.75 * 5 / 2.5)
    assert found[3] == pytest.approx(idf[2] * tf * 2.2 / (1.2 + tf))
    assert found[[0, 1, 2, 4]].tolist() == [0, 0, 0, 0]


def test_the_floor_keeps_common_words_above_nothing(events):
    # Term 1 is in all four items with words: its weight by the formula is below 0.
    for floor, sign in ((0.0, 0), (0.01, 1)):
        config = BM25Config(query_weight=0, idf_floor=floor)
        found = BM25(events, everything(events), config).score(*asked(1))[0]
        assert np.sign(found).tolist() == [sign, sign, 0, sign, sign]


def test_fields_have_weights_of_their_own(events):
    def scores(text, query):
        config = BM25Config(text_weight=text, query_weight=query)
        return BM25(events, everything(events), config).score(*asked(0))[0]

    assert (scores(1, 0) > 0).tolist() == [True, False, False, True, False]
    assert (scores(0, 1) > 0).tolist() == [False, True, True, False, True]
    assert (scores(1, 1) > 0).all()
    assert scores(0, 0).tolist() == [0] * 5


def test_a_word_counts_more_where_it_is_said_more_often_and_less_in_longer_texts(events):
    config = BM25Config(query_weight=0)
    found = BM25(events, everything(events), config).score(*asked(0))[0]
    assert found[0] > found[3] > 0
    flat = BM25(events, everything(events), BM25Config(query_weight=0, k1=0)).score(*asked(0))[0]
    assert flat[0] == flat[3]


def test_only_training_clicks_count(events):
    nothing = ~everything(events)
    found = BM25(events, nothing).score(*asked(0))[0]
    assert (found > 0).tolist() == [True, False, False, True, False]
    assert not MostClicked(events, nothing).score(*asked(0)).any()


def test_no_query_and_a_query_of_unknown_words_score_nothing(events):
    assert not BM25(events, everything(events)).score(*asked(-1, 3)).any()


def test_events_without_any_word_score_nothing():
    rows = [(0, 0, SEARCH, CLICK, 1, 0, -1)]
    events = make_events(rows, num_users=1, num_items=5, query_terms=[[]], num_terms=1)
    assert not BM25(events, everything(events)).score(*asked(0)).any()


def test_most_clicked_ranks_by_the_query_then_by_popularity(events):
    found = MostClicked(events, everything(events)).score(*asked(0, 2, 1, -1))
    assert found[0].argsort()[::-1][:2].tolist() == [4, 1]
    assert found[1].argsort()[::-1][:2].tolist() == [2, 4]
    np.testing.assert_allclose(found[2], [0, 1 / 3, 1 / 3, 0, 2 / 3])
    assert np.array_equal(found[2], found[3])


def test_term_match_may_leave_clicked_words_out(events):
    own = TermMatch(events, everything(events), clicked=False).score(*asked(0))[0]
    both = TermMatch(events, everything(events)).score(*asked(0))[0]
    np.testing.assert_allclose(own, [1 / 2, 0, 0, 1 / 3, 0])
    np.testing.assert_allclose(both, [1 / 2, 1 / 2, 1 / 2, 1 / 3, 1 / 2])
