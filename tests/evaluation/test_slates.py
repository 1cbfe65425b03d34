"""Slates: what was shown with a choice, against loops over the events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sargraph.core.rng import make_rng
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.evaluation.slates import ALONE, CLASH, NO_MOMENT, NO_QUERY, NOT_SHOWN, slate_requests
from sargraph.events.events import Events
from sargraph.events.ingest import ingest
from sargraph.events.schema import CLICK, IMPRESSION, PLAY, POSITIVE_ACTIONS, RECOMMEND, SEARCH
from sargraph.events.simulate import simulate
from sargraph.events.simulation.settings import SimulateConfig
from sargraph.testing.events import Row, make_events


def _events(rows: Sequence[tuple[Row, int]], num_items: int = 8) -> Events:
    """Events of (row, position), sorted as the table asks for; prices tell the rows apart."""
    ordered = sorted(rows, key=lambda row: (row[0][0], row[0][1]))
    events = make_events([r for r, _ in ordered], num_users=3, num_items=num_items,
                         query_terms=[[0], [1]])  # fmt: skip
    events.columns["position"][:] = [place for _, place in ordered]
    return replace(events, price=np.arange(len(events), dtype=np.float32))


def _random(seed: int, size: int) -> Events:
    rng = make_rng(seed, "slates")
    rows = []
    for _ in range(size):
        source = int(rng.integers(2))
        query = int(rng.integers(-1, 2)) if source == SEARCH else NO_ROW
        time = int(rng.integers(3)) * 1000 if rng.random() < 0.95 else NO_TIME
        action = (IMPRESSION, IMPRESSION, CLICK, PLAY)[rng.integers(4)]
        item = int(rng.integers(-1, 8)) if rng.random() < 0.2 else int(rng.integers(8))
        session = int(rng.integers(-1, 3))
        # Lists with and without positions, and a few that hold both.
        place = int(rng.integers(6)) if session == 1 or rng.random() < 0.05 else NO_ROW
        rows.append(((int(rng.integers(3)), time, source, action, item, query, session), place))
    return _events(rows)


def _naive(
    events: Events, chosen: set[int], source: str | None, actions: Sequence[int]
) -> tuple[dict[int, list[int]], Counter[str]]:
    """Event of the request -> event rows of its slate in shown order, and the counts."""
    found, counts = {}, Counter()
    column = {n: c.tolist() for n, c in events.columns.items()}
    for row in sorted(chosen):
        of = {name: values[row] for name, values in column.items()}
        if of["action"] not in actions or of["item"] == NO_ROW:
            continue
        if source is not None and of["source"] != (SEARCH if source == "search" else RECOMMEND):
            continue
        counts["choices"] += 1
        if of["source"] == SEARCH and of["query"] == NO_ROW:
            counts[NO_QUERY] += 1
            continue
        if of["time"] == NO_TIME or of["session"] == NO_ROW:
            counts[NO_MOMENT] += 1
            continue
        best: dict[int, int] = {}
        beside = [
            other for other in range(len(events))
            if all(column[n][other] == of[n] for n in ("user", "time", "session"))
        ]  # fmt: skip
        shown = [r for r in beside if column["action"][r] == IMPRESSION
                 and column["item"][r] != NO_ROW]  # fmt: skip
        has_places = any(column["position"][r] != NO_ROW for r in shown)
        chosen_then = {
            column["item"][r] for r in beside
            if events.is_positive[r] and (column["position"][r] != NO_ROW or not has_places)
        }  # fmt: skip
        for other in shown:
            item, place = column["item"][other], column["position"][other]
            if item == of["item"] or item in chosen_then:
                continue
            known = column["position"][best[item]] if item in best else None
            if known is None or (place != NO_ROW and (known == NO_ROW or place < known)):
                best[item] = other
        places = [column["position"][other] for other in best.values()]
        known_places = [p for p in [*places, of["position"]] if p != NO_ROW]
        if not best:
            counts[ALONE] += 1
        elif any(p != NO_ROW for p in places) and of["position"] == NO_ROW:
            counts[NOT_SHOWN] += 1
        elif len(set(known_places)) < len(known_places):
            counts[CLASH] += 1
        else:
            counts["requests"] += 1
            slate = [*best.values(), row]
            far = len(events) + 100
            found[row] = sorted(slate, key=lambda r: (
                far if column["position"][r] == NO_ROW else column["position"][r], r))  # fmt: skip
    return found, counts


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 10_000), st.integers(0, 90), st.sampled_from([None, "search", "recommend"]),
       st.sampled_from([POSITIVE_ACTIONS, (CLICK,)]), st.booleans())  # fmt: skip
def test_slates_against_a_loop(
    seed: int, size: int, source: str | None, actions: Sequence[int], as_rows: bool
) -> None:
    events = _random(seed, size)
    mask = make_rng(seed, "chosen").random(size) < 0.8
    given_ = np.flatnonzero(mask)[::-1] if as_rows else mask
    slates = slate_requests(events, given_, source, actions=actions)  # type: ignore[arg-type]
    expected, counts = _naive(events, set(np.flatnonzero(mask).tolist()), source, actions)
    requests = slates.requests
    assert requests.event.tolist() == list(expected)
    assert {name: count for name, count in slates.counts.items() if count} == dict(counts)
    for number, rows in enumerate(expected.values()):
        event = requests.event[number]
        assert slates.shown[number].tolist() == events.item[rows].tolist()
        start = slates.shown.offsets[number]
        assert slates.price is not None
        assert slates.price[start : start + len(rows)].tolist() == rows  # a price is its row
        assert (requests.user[number], requests.as_of[number], requests.target[number]) == (
            events.user[event], events.time[event], events.item[event])  # fmt: skip
        assert requests.query[number] == (events.query[event] if events.is_search[event] else -1)
    if len(slates):
        targets = slates.shown.values == requests.target[slates.shown.row_of_value]
        assert np.bincount(slates.shown.row_of_value[targets]).tolist() == [1] * len(slates)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 90))
def test_items_are_found_by_the_event_of_their_request(seed: int, size: int) -> None:
    events = _random(seed, size)
    slates = slate_requests(events, np.ones(size, dtype=bool))
    rng = make_rng(seed, "find")
    rows = rng.permutation(len(slates))[: len(slates) // 2 + 1]
    candidates = rng.integers(-1, 12, (len(rows), 9))
    found = slates.find(slates.requests.take(rows), candidates)
    for row, line, places in zip(rows.tolist(), candidates.tolist(), found.tolist(), strict=True):
        shown = slates.shown[row].tolist()
        start = int(slates.shown.offsets[row])
        expected = [start + shown.index(item) if item in shown else NO_ROW for item in line]
        assert places == expected


def _slates_at_once(places: Sequence[int]) -> list[list[int]]:
    """Items 0 .. 4 shown at these places; 1 and 2 clicked, 4 played, and later 0 clicked."""
    shown = [((0, 5, RECOMMEND, IMPRESSION, i, -1, 0), place) for i, place in enumerate(places)]
    chosen = [((0, 5, RECOMMEND, action, i, -1, 0), places[i] if action == CLICK else NO_ROW)
              for action, i in ((CLICK, 1), (CLICK, 2), (PLAY, 4))]  # fmt: skip
    events = _events([*shown, *chosen, ((0, 6, RECOMMEND, CLICK, 0, -1, 0), places[0])])
    slates = slate_requests(events, np.ones(len(events), dtype=bool), actions=(CLICK,))
    return [sorted(slate.tolist()) for slate in slates.shown]


def test_two_items_chosen_from_one_list_are_no_negatives_of_each_other() -> None:
    assert _slates_at_once([NO_ROW] * 5) == [[0, 1, 3], [0, 2, 3]]


def test_a_choice_without_a_place_in_a_list_of_places_was_not_made_from_it() -> None:
    """As a hotel's page that is opened in the second of a clickout: it may still be a negative."""
    assert _slates_at_once([0, 1, 2, 3, 4]) == [[0, 1, 3, 4], [0, 2, 3, 4]]


def test_a_request_of_other_slates_finds_nothing() -> None:
    show = (0, 0, RECOMMEND, IMPRESSION, 1, -1, 0)
    click = (0, 0, RECOMMEND, CLICK, 2, -1, 0)
    events = _events([(show, 0), (click, 1)])
    slates = slate_requests(events, np.ones(2, dtype=bool))
    assert slates.find(slates.requests, np.array([[1, 2, 3]])).tolist() == [[0, 1, -1]]
    other = replace(slates.requests, event=np.array([0]))
    assert slates.find(other, np.array([[1, 2, 3]])).tolist() == [[-1, -1, -1]]


def test_events_without_any_choice_give_no_slate() -> None:
    events = _events([((0, 0, RECOMMEND, IMPRESSION, 1, -1, 0), 0)])
    for some in (events, events.select(np.zeros(1, dtype=bool))):
        slates = slate_requests(some, np.ones(len(some), dtype=bool))
        assert (len(slates), slates.counts["choices"], slates.counts["requests"]) == (0, 0, 0)
        assert slates.find(slates.requests, np.empty((0, 3), np.int64)).shape == (0, 3)


LOG = """user,item,at,text,shown
ann,b,1700000000,x,a|b|c
ann,z,1700000100,x,a|b
ann,a,1700000200,x,a
ann,a,1700000300,x,a|b|c
ann,b,1700000300,x,a|b|c
ann,a,1700000400,x,a|b
ann,b,1700000400,x,c|b
"""
RECIPE = """
name = "lists"
[[tables]]
file = "log.csv"
source = "search"
user = "user"
item = "item"
time = { column = "at", unit = "s" }
query = "text"
slate = { column = "shown", list = "|" }
"""


def test_planted_lists(tmp_path: Path) -> None:
    """In the order of times: a plain list; an item that was not shown; a list of one; one list
    with two clicks, none of which is a negative of the other; and two lists at one time. Of these
    `c|b` is as it was, for the other item was no impression of it; in `a|b` two items claim the
    first place."""
    (tmp_path / "log.csv").write_text(LOG)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    events = ingest(tmp_path / "recipe.toml", tmp_path)
    slates = slate_requests(events, np.ones(len(events), dtype=bool))
    assert slates.price is None
    seen = [
        (int(time) // 1000 - 1_700_000_000, events.items.ids[target],
         "".join(events.items.ids[i] for i in shown))
        for time, target, shown in zip(
            slates.requests.as_of, slates.requests.target, slates.shown, strict=True)
    ]  # fmt: skip
    assert seen == [(0, "b", "abc"), (300, "a", "ac"), (300, "b", "bc"), (400, "b", "cb")]
    assert slates.counts == {
        "choices": 7, NO_QUERY: 0, NO_MOMENT: 0, ALONE: 1, NOT_SHOWN: 1, CLASH: 1, "requests": 4
    }  # fmt: skip


@pytest.mark.parametrize("source", ["search", "recommend"])
def test_simulated_logs_show_what_their_files_hold(tmp_path: Path, source: str) -> None:
    """One search session, or one batch of recommendations, is a list in the order of the file."""
    simulate(tmp_path / "logs", SimulateConfig(num_users=40), seed=3)
    events = ingest("synthetic", tmp_path / "logs")
    slates = slate_requests(events, np.ones(len(events), dtype=bool), source)  # type: ignore[arg-type]
    file, clicks, time = {
        "search": ("src_inter.csv", "click_cnt", "search_session_timestamp"),
        "recommend": ("rec_inter.csv", "click", "timestamp"),
    }[source]
    keys = ["user_id", time, *(["search_session_id"] if source == "search" else [])]
    frame = pd.read_csv(tmp_path / "logs" / file, dtype={"item_id": str, "user_id": str})
    expected = Counter()
    for (user, at, *_), rows in frame.groupby(keys):
        is_clicked = (rows[clicks] >= 1).tolist()
        items = rows["item_id"].tolist()
        for target in (item for item, hit in zip(items, is_clicked, strict=True) if hit):
            shown = [i for i, hit in zip(items, is_clicked, strict=True) if not hit or i == target]
            if len(shown) > 1:
                expected[user, int(at), target, tuple(shown)] += 1
    ids, users = events.items.ids, events.users.ids
    requests = slates.requests
    found = Counter(
        (users[user], int(at), ids[target], tuple(ids[i] for i in shown))
        for user, at, target, shown in zip(
            requests.user, requests.as_of, requests.target, slates.shown, strict=True)
    )  # fmt: skip
    assert found == expected and len(found) > 200
    assert slates.counts["choices"] == slates.counts[ALONE] + len(slates)
