"""trivago: texts, what they led to, and the slates of clickouts."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sargraph.core.types import NO_ROW
from sargraph.events.events import Events
from sargraph.events.ingest import ingest
from sargraph.events.schema import CLICK, IMPRESSION, PLAY, SEARCHED

HEADER = "user_id,session_id,timestamp,step,action_type,reference,platform,city,device,"
HEADER += "current_filters,impressions,prices"
T0 = 1541599523
TEXTS = ("search for destination", "search for poi")
ROWS = [
    # session, seconds after the start, action, reference, impressions
    ("s1", 0, "interaction item image", "10", ""),  # before any text
    ("s1", 60, "search for destination", '"Paris, France"', ""),
    ("s1", 90, "interaction item rating", "11", ""),
    ("s1", 120, "clickout item", "12", "11|12|13"),
    ("s1", 150, "filter selection", "Wifi", ""),
    ("s1", 180, "clickout item", "13", "13|14"),
    ("s1", 190, "search for item", "15", ""),
    ("s1", 200, "search for poi", "Red Fort - Lal Qila", ""),
    ("s1", 900, "clickout item", "16", "17|18"),  # 700 s later, and not among those shown
    ("s2", 1000, "clickout item", "12", "12"),  # another session
    ("s2", 1010, "interaction item info", "unknown", ""),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = [
        f"u,{session},{T0 + after},{step},{action},{reference},FR,Rome,mobile,,{shown},"
        for step, (session, after, action, reference, shown) in enumerate(ROWS)
    ]
    text = "\n".join([HEADER, *lines]) + "\n"
    (tmp_path / "train.csv.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "item_metadata.csv").write_text("item_id,properties\n12,Wifi|Pool\n")
    return tmp_path


def _rows(events: Events) -> list[tuple[int, str | None, int, str | None, int]]:
    """(seconds, item, action, query, position), in order; equal times by position."""
    columns = (events.item, events.columns["action"], events.query, events.columns["position"])
    found = []
    for time, item, action, query, place in zip(events.time.tolist(), *columns, strict=True):
        name = None if item == NO_ROW else events.items.ids[item]
        text = None if query == NO_ROW else events.queries.ids[query]
        found.append((time // 1000 - T0, name, int(action), text, int(place)))
    return sorted(found, key=lambda row: (row[0], row[4]))


PARIS, FORT = "paris france", "red fort - lal qila"


def test_clickouts_belong_to_the_text_before_them_in_the_session(folder: Path) -> None:
    assert _rows(ingest("trivago", folder)) == [
        (0, "10", PLAY, None, -1),
        (60, None, SEARCHED, PARIS, -1),
        (90, "11", PLAY, PARIS, -1),
        (120, "11", IMPRESSION, PARIS, 0),
        (120, "12", CLICK, PARIS, 1),
        (120, "13", IMPRESSION, PARIS, 2),
        (180, "13", CLICK, PARIS, 0),
        (180, "14", IMPRESSION, PARIS, 1),
        (200, None, SEARCHED, FORT, -1),
        (900, "16", CLICK, FORT, -1),
        (900, "17", IMPRESSION, FORT, 0),
        (900, "18", IMPRESSION, FORT, 1),
        (1000, "12", CLICK, None, 0),
    ]


def test_first_slate_ends_with_a_filter_and_after_ten_minutes(folder: Path) -> None:
    strict = ingest("trivago_first_slate", folder)
    whole = ingest("trivago", folder)
    late = (180, 900)
    expected = [
        (at, item, action, None if at in late else query, place)
        for at, item, action, query, place in _rows(whole)
    ]
    assert _rows(strict) == expected
    assert strict.report["filtered"] == whole.report["filtered"] == 2
    assert np.array_equal(strict.is_search, strict.query != NO_ROW)


def test_every_row_has_a_fate_and_unknown_references_are_in_quarantine(folder: Path) -> None:
    report = ingest("trivago", folder).report
    assert report["quarantined_by_reason"] == {"no item id": 1}
    assert report["filtered_by_reason"] == {"keep": 2}
    assert (report["rows"], report["used"]) == (len(ROWS), len(ROWS) - 3)


def test_a_search_and_its_slates_are_one_session(folder: Path) -> None:
    events = ingest("trivago", folder)
    of_query = {q: set(events.session[events.query == q].tolist()) for q in range(2)}
    assert [len(sessions) for sessions in of_query.values()] == [1, 1]
    assert not of_query[0] & of_query[1]
    terms = [events.terms.ids[t] for t in events.item_terms[events.items.row("12")]]
    assert terms == ["wifi", "pool"]


@pytest.fixture(scope="module")
def frame(data_dir: Path) -> pd.DataFrame:
    path = data_dir / "trivago" / "train.csv.gz"
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    return frame.assign(timestamp=frame["timestamp"].astype(int))


@pytest.fixture(scope="module")
def trivago(data_dir: Path) -> Events:
    return ingest("trivago", data_dir / "trivago")


def _attributed(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows with the text open at that point of their user's session, by pandas alone."""
    ordered = frame.sort_values(["user_id", "timestamp"], kind="stable")
    text = ordered["reference"].where(ordered["action_type"].isin(TEXTS))
    opened = text.groupby([ordered["user_id"], ordered["session_id"]]).ffill()
    is_item = ordered["action_type"].str.startswith(("clickout", "interaction item"))
    return ordered.assign(query=opened)[is_item & (ordered["reference"] != "unknown")]


def test_the_real_file_has_the_published_sizes(trivago: Events, frame: pd.DataFrame) -> None:
    report = trivago.report
    assert (len(frame), report["rows"], len(trivago.users)) == (55_905, 55_905, 3_955)
    dropped = frame["action_type"].isin(
        ["search for item", "filter selection", "change of sort order"]
    )
    assert report["filtered_by_reason"] == {"keep": int(dropped.sum())}
    assert report["quarantined_by_reason"] == {"no item id": 4}
    touched = _attributed(frame)["reference"]
    assert set(trivago.items.ids) >= set(touched)
    chosen = np.unique(trivago.item[trivago.is_positive])
    assert len(chosen) == touched.nunique()


def test_the_real_events_are_those_of_pandas(trivago: Events, frame: pd.DataFrame) -> None:
    rows = _attributed(frame)
    is_click = rows["action_type"] == "clickout item"
    key = ["user_id", "timestamp", "reference"]
    unique = rows.assign(is_click=is_click, query=rows["query"].fillna("")).drop_duplicates(
        [*key, "is_click", "query"]
    )
    found = trivago.is_positive
    assert int(found.sum()) == len(unique)
    assert int(np.sum(found & trivago.is_search)) == int((unique["query"] != "").sum())
    actions = trivago.columns["action"]
    assert int(np.sum(actions == CLICK)) == int(unique["is_click"].sum())
    texts = frame[frame["action_type"].isin(TEXTS)]
    searches = texts.drop_duplicates(["user_id", "timestamp", "reference"])
    assert int(np.sum(actions == SEARCHED)) == len(searches)
    assert len(trivago.queries) == texts["reference"].str.lower().nunique()


def test_the_real_slates_are_the_shown_items(trivago: Events, frame: pd.DataFrame) -> None:
    clickouts = frame[frame["action_type"] == "clickout item"]
    clickouts = clickouts.drop_duplicates(["user_id", "timestamp", "reference"])
    shown = clickouts.assign(shown=clickouts["impressions"].str.split("|")).explode("shown")
    place = shown.groupby(level=0).cumcount()
    is_own = shown["shown"] == shown["reference"]
    clicked = trivago.columns["action"] == CLICK
    reciprocal = 1 / (trivago.columns["position"][clicked] + 1.0)
    assert reciprocal.mean() == pytest.approx((1 / (place[is_own] + 1)).mean())
    assert reciprocal.mean() == pytest.approx(0.45, abs=0.06)  # the shown order as a ranking
    others = shown[~is_own].drop_duplicates(["user_id", "timestamp", "shown"])
    assert int(np.sum(trivago.columns["action"] == IMPRESSION)) == len(others)


def test_the_real_prices_are_those_shown(trivago: Events, frame: pd.DataFrame) -> None:
    """By (user, time, item): of a hotel shown twice in one second the first price counts."""
    price_of: dict[tuple[str, int, str], float] = {}
    clickouts = frame[frame["action_type"] == "clickout item"]
    columns = (clickouts[name] for name in ("user_id", "timestamp", "impressions", "prices"))
    for user, time, shown, prices in zip(*columns, strict=True):
        for item, price in zip(shown.split("|"), prices.split("|"), strict=True):
            price_of.setdefault((user, time, item), float(price))
    is_shown = np.isin(trivago.columns["action"], (CLICK, IMPRESSION))
    assert trivago.price is not None and np.isnan(trivago.price[~is_shown]).all()
    for row in np.flatnonzero(is_shown):
        user, item = trivago.users.ids[trivago.user[row]], trivago.items.ids[trivago.item[row]]
        assert trivago.price[row] == price_of[user, trivago.time[row] // 1000, item]
    assert trivago.report["priced_events"] == int(is_shown.sum())


def test_first_slate_only_moves_events_to_recommendation(trivago: Events, data_dir: Path) -> None:
    strict = ingest("trivago_first_slate", data_dir / "trivago")
    assert len(strict) == len(trivago)
    assert strict.report["used"] == trivago.report["used"]
    assert strict.is_search.sum() < trivago.is_search.sum()
    assert strict.items.ids == trivago.items.ids
