"""KuaiSAR: every trap of its files, in the shapes of v1 and v2."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sargraph.core.types import NO_ROW
from sargraph.events.events import Events
from sargraph.events.ingest import ingest
from sargraph.events.schema import CLICK, IMPRESSION

from .kuaisar_fixture import DAY, LONG_CAPTION, MINUTE, NUM_EVENTS, SEARCHED, T0, write_kuaisar


@pytest.fixture
def events(kuaisar: Path) -> Events:
    return ingest("kuaisar", kuaisar)


def _of(events: Events, user: str, source: str) -> list[tuple[str, int, int]]:
    """(item id, time, action) of a user's events of one source, in order."""
    chosen = (events.user == events.users.row(user)) & getattr(events, f"is_{source}")
    rows = np.flatnonzero(chosen)
    items = [events.items.ids[item] for item in events.item[rows]]
    return list(zip(items, events.time[rows], events.columns["action"][rows], strict=True))


def test_both_versions_give_the_same_events(tmp_path: Path) -> None:
    hashes = [
        ingest("kuaisar", write_kuaisar(tmp_path / v, v), tmp_path / f"{v}.events").content_hash
        for v in ("v1", "v2")
    ]
    assert hashes[0] == hashes[1]


def test_float_and_exponent_times_are_exact_and_ties_keep_the_order_of_the_file(
    events: Events,
) -> None:
    assert _of(events, "1", "recommend") == [
        ("3", T0, CLICK),
        ("1", T0, IMPRESSION),
        ("2", T0, CLICK),
        ("5", T0 + 20 * MINUTE, CLICK),
        ("6", T0 + 60 * MINUTE, IMPRESSION),
    ]


def test_search_rows_carry_item_and_query_and_clicks_become_actions(events: Events) -> None:
    assert _of(events, "1", "search") == [
        ("103656000000", SEARCHED, CLICK),
        ("7", SEARCHED, IMPRESSION),
        ("8", SEARCHED + DAY, IMPRESSION),
    ]
    row = events.queries.row("20 34 3")
    terms = [events.terms.ids[term] for term in events.query_terms[row]]
    assert terms == ["20", "34", "3"]


def test_one_search_is_one_session_and_a_recurring_session_id_is_another(events: Events) -> None:
    search = np.flatnonzero(events.is_search)
    sessions = events.session[search]
    # user 1: two rows of one search, then the same id a day later; user 2: three searches
    assert [int(np.sum(sessions == s)) for s in dict.fromkeys(sessions.tolist())] == [2, 1, 1, 1, 1]


def test_recommendation_sessions_end_after_a_long_pause(events: Events) -> None:
    first_user = events.is_recommend & (events.user == events.users.row("1"))
    _, sizes = np.unique(events.session[first_user], return_counts=True)
    assert sizes.tolist() == [4, 1]
    assert not set(events.session[events.is_search]) & set(events.session[events.is_recommend])


def test_unreadable_lists_are_empty_queries_and_counted(events: Events) -> None:
    empty = events.queries.row("")
    assert int(np.sum(events.query == empty)) == 2
    assert len(events.query_terms[empty]) == 0
    notes = events.report["notes"]
    assert (notes["unreadable_list"], notes["empty_query"]) == (1, 1)


def test_every_search_event_has_a_query_and_no_recommendation_has(events: Events) -> None:
    assert np.all(events.query[events.is_search] != NO_ROW)
    assert np.all(events.query[events.is_recommend] == NO_ROW)


def test_captions_may_be_huge_or_broken_and_empty_categories_are_no_terms(events: Events) -> None:
    def text(item: str) -> list[str]:
        return [events.terms.ids[t] for t in events.item_terms[events.items.row(item)]]

    categories = ["category:funny", "category:funny joke"]
    assert text("1") == ["1", "213", "24", *categories]
    assert text("2") == [*map(str, LONG_CAPTION), *categories]
    assert text("3") == categories
    assert text("7") == []
    assert events.report["notes"]["unreadable_item_text"] == 1
    assert not any("empty" in term or "空" in term for term in events.terms.ids)


def test_bad_rows_are_in_quarantine_by_reason_and_every_row_is_accounted_for(
    events: Events,
) -> None:
    report = events.report
    assert report["quarantined_by_reason"] == {
        "no item id": 1,
        "no user id": 2,
        "unreadable action": 1,
        "unreadable time": 1,
    }
    assert report["merged_by_reason"] == {"duplicate": 1}
    assert len(events) == report["used"] == NUM_EVENTS
    assert report["rows"] == NUM_EVENTS + report["quarantined"] + report["merged"]


def test_quarantine_is_saved_with_row_numbers_and_texts(kuaisar: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    ingest("kuaisar", kuaisar, tmp_path / "events")
    table = pq.read_table(tmp_path / "events" / "quarantine.parquet").to_pylist()
    rows = {(row["row"], row["reason"]) for row in table}
    assert (8, "no user id") in rows and (12, "unreadable action") in rows
    texts = [row["text"] for row in table if row["row"] == 12]
    assert texts[0].startswith("user_id=2, item_id=3, timestamp=")
    assert Events.load(tmp_path / "events").report["quarantined"] == 5


def test_items_without_events_are_not_in_the_vocabulary(events: Events) -> None:
    assert "777" not in events.items
    assert events.report["notes"]["lookup_unused"] == 1


def test_categories_have_levels_and_names_and_missing_ones_are_none(events: Events) -> None:
    categories = events.categories
    assert categories is not None
    assert categories.vocabulary.ids == ("1/9", "2/136")
    assert categories.vocabulary.names == ("Funny", "Funny joke")
    assert categories.level.tolist() == [1, 2]
    assert categories.of_item[events.items.row("1")].tolist() == [0, 1]
    assert categories.of_item[events.items.row("7")].tolist() == []


def test_the_social_network_links_users_of_the_log(events: Events) -> None:
    assert events.follows is not None
    one, two = events.users.row("1"), events.users.row("2")
    assert events.follows[one].tolist() == [two]  # user 3, whom 1 follows too, did nothing
    assert events.follows[two].tolist() == []
