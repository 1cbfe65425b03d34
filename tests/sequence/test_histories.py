"""Histories against a loop over all events, and each rule on its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.events.events import Events
from sargraph.events.schema import CLICK, SEARCH, SEARCHED
from sargraph.sequence import histories as module
from sargraph.sequence.histories import HistoryReader, merged_rank, trimmed
from sargraph.sequence.inputs import HistoryBatch, RequestBatch
from sargraph.sequence.unisar_family import UniSARFamily, UniSARTraining

Make = Callable[..., Events]
FAMILY = UniSARFamily()
SIZES = {"max_rec": 4, "max_search": 3, "max_clicks": 2}


def _requests(rows: list[tuple[int, int, int, int]]) -> Requests:
    """From (user, as_of, target, event)."""
    user, as_of, target, event = (np.array(c, dtype=np.int64) for c in zip(*rows, strict=True))
    return Requests(user, np.full(len(rows), NO_ROW), as_of, target, event)


def _from_every_event(events: Events) -> Requests:
    rows = np.arange(len(events))
    as_of = np.where(events.is_timed, events.time, 20)
    return Requests(events.user, events.query, as_of, events.item, rows)


def _read(events: Events, requests: Requests, visible: Any = None, **options: Any) -> HistoryBatch:
    visible = np.ones(len(events), dtype=np.bool_) if visible is None else visible
    reader = HistoryReader(events, visible, **{**SIZES, **options})
    return reader.read(requests).batch(np.arange(len(requests)))


def _search_key(events: Events, row: int) -> tuple[int, ...]:
    if not events.is_search[row] or events.query[row] == NO_ROW:
        return (-2, row)
    session = int(events.session[row])
    own = (row,) if session == NO_ROW else ()
    return (int(events.user[row]), session, int(events.query[row]), *own)


def _oracle(
    events: Events, visible: Any, requests: Requests, n: int, drop: bool
) -> tuple[list[tuple[int, int]], list[tuple[int, list[int], int]]]:
    """(time, item) of the choices in recommendation, (query, clicked items, time) of searches."""
    user, as_of, target, event = (
        int(c[n]) for c in (requests.user, requests.as_of, requests.target, requests.event)
    )
    rec: list[tuple[int, int]] = []
    searches: dict[tuple[int, ...], dict[str, Any]] = {}
    chosen, in_recommend = events.is_positive, events.is_recommend
    for row in np.flatnonzero((events.user == user) & visible).tolist():
        time, item = int(events.time[row]), int(events.item[row])
        if in_recommend[row]:
            allowed = chosen[row] and time < as_of and row != event
            if allowed and not (drop and item == target):
                rec.append((time, item))
        else:
            found = searches.setdefault(
                _search_key(events, row), {"query": int(events.query[row]), "time": time, "did": {}}
            )
            if chosen[row]:
                found["did"].setdefault(item, time)
    kept = []
    own = _search_key(events, event) if event != NO_ROW else None
    for key, found in sorted(searches.items(), key=lambda pair: pair[1]["time"]):
        items = [i for i, time in list(found["did"].items())[:2] if time < as_of]
        others = [i for i in items if not (drop and i == target)]
        if key != own and found["time"] < as_of and not (items and not others):
            kept.append((found["query"], others, found["time"]))
    return rec[-4:], kept[-3:]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("drop", [False, True])
def test_equals_a_loop_over_all_events(random_events: Make, seed: int, drop: bool) -> None:
    events = random_events(seed)
    visible = np.random.default_rng(seed).random(len(events)) < 0.8
    requests = _from_every_event(events)
    batch = _read(events, requests, visible, drop_target=drop)
    for n in range(len(requests)):
        rec, searches = _oracle(events, visible, requests, n, drop)
        item = [i for i in batch.rec_item[n].tolist() if i != NO_ROW]
        assert item == [item for _, item in rec]
        queries = [q for q in batch.search_query[n].tolist() if q != NO_ROW]
        clicked = [[i for i in c if i != NO_ROW] for c in batch.search_item[n].tolist()]
        assert queries == [query for query, _, _ in searches]
        assert clicked[: len(searches)] == [items for _, items, _ in searches]
        times = sorted({time for time, _ in rec} | {time for _, _, time in searches})
        ranks = [times.index(time) for time, _ in rec]
        assert batch.rec_rank[n, : len(rec)].tolist() == ranks
        ranks = [times.index(time) for _, _, time in searches]
        assert batch.search_rank[n, : len(searches)].tolist() == ranks


def test_blocks_do_not_matter(random_events: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    events = random_events(0)
    whole = _read(events, _from_every_event(events), drop_target=True)
    monkeypatch.setattr(module, "BLOCK", 7)
    cut = _read(events, _from_every_event(events), drop_target=True)
    for name, value in vars(whole).items():
        assert torch.equal(value, getattr(cut, name)), name


def test_events_of_equal_time_never_see_each_other(make_events: Make) -> None:
    search = {"source": SEARCH, "query": 0, "time": 5}
    events = make_events(
        [{"time": 5, "item": 1}, {"time": 5, "item": 2}, {**search, "item": 3, "session": 1}]
    )
    batch = _read(events, _from_every_event(events))
    assert bool((batch.rec_item == NO_ROW).all()) and bool((batch.search_query == NO_ROW).all())
    later = _read(events, _requests([(0, 6, 9, NO_ROW)]))
    assert later.rec_item[0].tolist() == [1, 2, -1, -1]
    assert later.rec_rank[0, :2].tolist() == [0, 0] and later.search_rank[0, 0] == 0


def test_own_search_is_excluded(make_events: Make) -> None:
    own = {"source": SEARCH, "session": 8, "query": 1}
    events = make_events(
        [
            {"source": SEARCH, "session": 7, "query": 1, "time": 1, "item": 4},
            {**own, "time": 2, "action": SEARCHED},
            {**own, "time": 3, "item": 5},
            {**own, "time": 4, "item": 6},
        ]
    )
    batch = _read(events, _requests([(0, 4, 6, 3), (0, 4, 6, NO_ROW)]))
    assert batch.search_query[0].tolist() == [1, -1, -1]
    assert batch.search_item[0, 0].tolist() == [4, -1]
    assert batch.search_query[1].tolist() == [1, 1, -1]
    assert batch.search_item[1, 1].tolist() == [5, -1]  # the click at time 4 is not older


def test_own_search_leaves_room_for_an_older_one(make_events: Make) -> None:
    rows = [
        {"source": SEARCH, "session": t, "query": t % 5, "time": t, "item": t} for t in range(5)
    ]
    events = make_events([*rows, {**rows[4], "time": 9, "item": 11}])
    batch = _read(events, _requests([(0, 9, 11, 5)]))
    assert batch.search_query[0].tolist() == [1, 2, 3]


def test_a_search_without_a_click_keeps_its_query(make_events: Make) -> None:
    search = {"source": SEARCH, "session": 1, "query": 3, "action": SEARCHED}
    batch = _read(make_events([{**search, "time": 1}]), _requests([(0, 2, 1, NO_ROW)]))
    assert batch.search_query[0].tolist() == [3, -1, -1]
    assert bool((batch.search_item == NO_ROW).all())


def test_twins_of_the_target_are_left_out(make_events: Make) -> None:
    search = {"source": SEARCH, "action": CLICK}
    events = make_events(
        [
            {"time": 1, "item": 5},
            {"time": 2, "item": 6},
            {**search, "time": 3, "item": 5, "session": 1, "query": 1},
            {**search, "time": 4, "item": 5, "session": 2, "query": 2},
            {**search, "time": 4, "item": 7, "session": 2, "query": 2},
            {**search, "time": 5, "item": 8, "session": 3, "query": 3},
        ]
    )
    requests = _requests([(0, 9, 5, NO_ROW)])
    batch = _read(events, requests, drop_target=True)
    assert batch.rec_item[0].tolist() == [6, -1, -1, -1]
    assert batch.search_query[0].tolist() == [2, 3, -1]
    assert batch.search_item[0].sort(-1, descending=True)[0].tolist() == [
        [7, -1],
        [8, -1],
        [-1, -1],
    ]
    kept = _read(events, requests)
    assert kept.rec_item[0].tolist() == [5, 6, -1, -1]
    assert kept.search_query[0].tolist() == [1, 2, 3]


def test_untimed_events_come_first_and_share_a_rank(make_events: Make) -> None:
    events = make_events(
        [
            {"time": 3, "item": 1},
            {"time": NO_TIME, "item": 8},
            {"time": NO_TIME, "item": 9},
            {"time": 2, "source": SEARCH, "query": 0, "session": 1, "item": 4},
        ]
    )
    batch = _read(events, _requests([(0, 4, 2, NO_ROW), (0, 0, 2, 0)]))
    assert batch.rec_item[0].tolist() == [8, 9, 1, -1]
    assert batch.rec_rank[0, :3].tolist() == [0, 0, 2]
    assert batch.search_rank[0, 0] == 1
    assert batch.rec_item[1].tolist() == [9, -1, -1, -1]  # its own event is not in its history


def test_later_events_change_nothing(random_events: Make) -> None:
    events = random_events(3)
    requests = _from_every_event(events)
    requests = requests.take(np.flatnonzero(requests.as_of <= 20))
    later = events.is_timed & (events.time >= 20)
    columns = {name: column.copy() for name, column in events.columns.items()}
    columns["item"][later] = 0
    columns["query"][later & events.is_search] = 4
    columns["action"][later] = CLICK
    changed = Events(columns, events.vocabularies, events.query_terms, events.item_terms)
    # Requests that stem from a changed event would name another search as their own.
    requests = requests.take(np.flatnonzero(~later[requests.event]))
    before, after = _read(events, requests), _read(changed, requests)
    for name, value in vars(before).items():
        assert torch.equal(value, getattr(after, name)), name


def test_nobody_and_nothing_have_empty_histories(make_events: Make) -> None:
    events = make_events([{"time": 1, "item": 1}])
    batch = _read(events, _requests([(5, 9, 0, NO_ROW)]))
    assert bool((batch.rec_item == NO_ROW).all()) and batch.search_item.shape == (1, 3, 2)
    assert len(HistoryReader(events, np.ones(1, np.bool_), **SIZES).read(Requests.empty())) == 0


def test_trimmed_histories_hold_the_same_events_and_score_the_same(random_events: Make) -> None:
    events = random_events(0)
    requests = _requests([(user, 12, 1, NO_ROW) for user in range(6)])
    whole = _read(events, requests, max_rec=30, max_search=25)
    cut = trimmed(whole)
    assert cut.rec_item.shape[1] == int(whole.rec_valid.sum(1).max()) < 30
    assert cut.search_item.shape[1] == int(whole.search_valid.sum(1).max()) < 25
    assert cut.rec_valid.sum() == whole.rec_valid.sum() > 0
    settings = {"model": {"max_rec": 30, "max_search": 25}}
    network = FAMILY.build(events, UniSARTraining.model_validate(settings), 0).eval()
    candidates = torch.arange(12).expand(6, 12)
    full, short = (
        network.logits(RequestBatch(history, torch.full((6,), NO_ROW), candidates), "recommend")
        for history in (whole, cut)
    )
    torch.testing.assert_close(short, full, rtol=1e-5, atol=1e-6)


def test_trimming_keeps_a_slot_where_nobody_has_any(make_events: Make) -> None:
    cut = trimmed(_read(make_events([{"item": 1}]), _requests([(5, 9, 0, NO_ROW)])))
    assert cut.rec_item.shape == (1, 1) and cut.search_item.shape == (1, 1, 2)


def test_merged_rank_is_dense() -> None:
    time = np.array([50, 10, 10, 30])
    rank = merged_rank(time, np.array([[0, 1, 2, 3], [3, -1, 1, -1]]))
    assert rank[0].tolist() == [2, 0, 0, 1]
    assert rank[1, [0, 2]].tolist() == [1, 0]
