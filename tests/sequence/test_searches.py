"""Log rows of one search become one slot."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sargraph.events.events import Events
from sargraph.events.schema import CLICK, IMPRESSION, RECOMMEND, SEARCH, SEARCHED
from sargraph.sequence.searches import Searches

Make = Callable[..., Events]


def _group(events: Events, max_clicks: int = 3) -> Searches:
    return Searches.group(events, np.ones(len(events), dtype=np.bool_), max_clicks)


def test_rows_of_one_search_share_a_slot(make_events: Make) -> None:
    search = {"source": SEARCH, "session": 4, "query": 2}
    events = make_events(
        [
            {**search, "time": 1, "action": SEARCHED},
            {**search, "time": 2, "action": IMPRESSION, "item": 5},
            {**search, "time": 3, "action": CLICK, "item": 7},
            {"time": 4, "source": RECOMMEND, "item": 1, "session": 4},
            {**search, "time": 5, "action": CLICK, "item": 3},
        ]
    )
    searches = _group(events)
    assert len(searches) == 1
    assert searches.of_event.tolist() == [0, 0, 0, -1, 0]
    assert searches.opened_by.tolist() == [0, -1]
    assert searches.query.tolist() == [2, -1]
    assert searches.item[0].tolist() == [7, 3, -1]
    assert searches.time[0].tolist()[:2] == [3, 5]
    assert searches.opening().tolist() == [True, False, False, False, False]


def test_what_tells_searches_apart(make_events: Make) -> None:
    search = {"source": SEARCH, "action": SEARCHED, "session": 1, "query": 0}
    same = make_events([{**search, "time": 1}, {**search, "time": 2}])
    by_query = make_events([{**search, "time": 1}, {**search, "time": 2, "query": 1}])
    by_user = make_events([search, {**search, "user": 1}])
    by_session = make_events([{**search, "time": 1}, {**search, "time": 2, "session": 2}])
    alone = make_events([{**search, "time": t, "session": -1} for t in (1, 2)])
    assert [len(_group(e)) for e in (same, by_query, by_user, by_session, alone)] == [1, 2, 2, 2, 2]


def test_the_first_distinct_items_are_kept(make_events: Make) -> None:
    search = {"source": SEARCH, "session": 1, "query": 0}
    items = [5, 5, 2, 5, 9, 1]
    events = make_events([{**search, "time": t, "item": i} for t, i in enumerate(items)])
    assert _group(events).item[0].tolist() == [5, 2, 9]
    assert _group(events).time[0].tolist() == [0, 2, 4]


def test_unseen_rows_neither_open_a_search_nor_bring_items(make_events: Make) -> None:
    search = {"source": SEARCH, "session": 1, "query": 0}
    events = make_events([{**search, "time": t, "item": t} for t in range(3)])
    searches = Searches.group(events, np.array([False, True, False]), 3)
    assert searches.opened_by.tolist() == [1, -1]
    assert searches.item[0].tolist() == [1, -1, -1]
    hidden = Searches.group(events, np.zeros(3, dtype=np.bool_), 3)
    assert hidden.opened_by.tolist() == [-1, -1] and not hidden.opening().any()


def test_no_search_at_all(make_events: Make) -> None:
    searches = _group(make_events([{"item": 1}]))
    assert len(searches) == 0
    assert searches.item[-1].tolist() == [-1, -1, -1]
