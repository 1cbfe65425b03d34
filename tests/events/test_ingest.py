"""Ingestion end to end: a user's own two logs, the simulator's, and the accounts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest

from sargraph.core.errors import ArtifactError, BadInputError
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.events.events import Events
from sargraph.events.ingest import ingest
from sargraph.events.schema import CLICK, IMPRESSION, PLAY, SEARCHED
from sargraph.events.simulate import SimulateConfig, simulate

Shop: TypeAlias = Callable[..., tuple[Path, Path]]

TAGS = """
name = "tags"
[[tables]]
file = "tags.csv"
source = "search"
user = "u"
item = "i"
time = { unit = "date", year = "y" }
query = { column = "tag", tokens = "ids" }
group_by = ["u", "i", "y"]
keep = [{ column = "y", at_least = 2005 }]
[[tables]]
file = "plays.csv"
source = "recommend"
user = "u"
item = "i"
time = "none"
action = "play"
weight = "n"
[core]
min_term_uses = 2
"""


def _write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def _readable(events: Events) -> list[tuple[object, ...]]:
    """Each event as (user, item, query, action, seconds)."""
    items, queries = (*events.items.ids, None), (*events.queries.ids, None)
    return [
        (
            events.users.ids[events.user[e]],
            items[events.item[e]],
            queries[events.query[e]],
            int(events.columns["action"][e]),
            None if events.time[e] == NO_TIME else int(events.time[e]) // 1000,
        )
        for e in range(len(events))
    ]


def test_two_logs_become_one_table_of_events(shop: Shop) -> None:
    events = ingest(*shop())
    assert _readable(events) == [
        ("ann", "p1", "red shoes", CLICK, 1700000000),
        ("ann", "p2", "red shoes", CLICK, 1700000000),
        ("ann", "p1", None, CLICK, 1700000100),
        ("ann", "p2", None, IMPRESSION, 1700000100),
        ("bob", "p3", None, IMPRESSION, 1700000000),
        ("bob", None, "blue, hat", SEARCHED, 1700000050),
    ]
    assert events.session.tolist() == [0, 0, 1, 1, 2, 3]
    assert events.columns["weight"].tolist() == [1.0] * 6
    assert (events.name, events.time_kind, events.query_kind) == ("shop", "ms", "real")


def test_two_runs_give_the_same_bytes(shop: Shop, tmp_path: Path) -> None:
    recipe, folder = shop()
    first, second = (ingest(recipe, folder, tmp_path / name) for name in ("a", "b"))
    assert first.content_hash == second.content_hash != ""
    assert Events.load(tmp_path / "a").content_hash == first.content_hash


def test_numbers_given_as_floats_are_the_same_ids(shop: Shop) -> None:
    header = "user,product,at,clicked\n"
    rows = "7,1.0,1700000100,1\n7.0,1,1700000200,1\n007,1,1700000100,1\n"
    events = ingest(*shop(shown=header + rows))
    assert events.users.ids == ("007", "7", "ann", "bob")
    assert "1" in events.items
    about = events.report["ids"]
    assert (about["user"]["spellings_joined"], about["user"]["joined_sample"]) == (
        1,
        ["'7.0' is 7"],
    )
    assert (about["user"]["alike"], about["user"]["alike_sample"]) == (1, ["007 and 7"])
    assert (about["item"]["spellings_joined"], about["item"]["alike"]) == (1, 0)


def test_a_group_is_one_event_and_rare_terms_go(tmp_path: Path) -> None:
    (tmp_path / "tags.toml").write_text(TAGS, encoding="utf-8")
    tags = "u,i,tag,y\n1,a,10,2006\n1,a,2,2006\n1,a,99,2006\n2,a,2,2007\n2,a,10,2007\n"
    tags += "2,b,98,2006\n3,a,2,1956\n"
    plays = "u,i,n\n1,b,5\n1,a,9\n"
    folder = _write(tmp_path / "logs", tags=tags, plays=plays)
    events = ingest(tmp_path / "tags.toml", folder)
    year = [int(np.datetime64(str(y), "s").astype(int)) for y in (2006, 2007)]
    assert _readable(events) == [
        ("1", "a", None, PLAY, None),
        ("1", "b", None, PLAY, None),
        ("1", "a", "10|2", CLICK, year[0]),
        ("2", "a", "10|2", CLICK, year[1]),
    ]
    assert events.queries.names == ("10, 2",)
    assert events.columns["weight"].tolist() == [9.0, 5.0, 1.0, 1.0]
    report = events.report
    assert report["files"]["tags.csv"] == {
        "rows": 7,
        "used": 2,
        "merged": {"same group": 3},
        "filtered": {"keep": 1, "rare terms": 1},
        "quarantined": {},
    }
    assert report["files"]["plays.csv"]["used"] == 2


def test_untimed_events_come_in_the_order_of_items_not_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "tags.toml").write_text(TAGS, encoding="utf-8")
    tags = "u,i,tag,y\n1,a,1,2006\n2,a,1,2006\n"
    orders = ["u,i,n\n1,c,9\n1,a,5\n1,b,1\n", "u,i,n\n1,b,1\n1,a,5\n1,c,9\n"]
    found = [
        _readable(ingest(tmp_path / "tags.toml", _write(tmp_path / "logs", tags=tags, plays=plays)))
        for plays in orders
    ]
    assert found[0] == found[1]
    assert [row[1] for row in found[0][:3]] == ["a", "b", "c"]


def test_long_queries_are_cut_and_counted(shop: Shop) -> None:
    recipe, folder = shop()
    events = ingest(recipe, folder, overrides=["max_query_terms=1"])
    assert events.queries.ids == ("blue,", "red")
    assert events.report["notes"]["cut_query"] == 3


def test_many_files_of_one_log_are_read_in_the_order_of_their_names(shop: Shop) -> None:
    recipe, folder = shop(recipe=('file = "shown.csv"', 'file = "day*.csv"\nmany = true'))
    for day, item in ((2, "late"), (1, "early")):
        row = f"user,product,at,clicked\nann,{item},1700000100,1\n"
        (folder / f"day{day}.csv").write_text(row, encoding="utf-8")
    events = ingest(recipe, folder)
    rows = np.flatnonzero(events.is_recommend)
    assert [events.items.ids[i] for i in events.item[rows]] == ["early", "late"]
    assert set(events.report["files"]) == {"searches.csv", "day1.csv", "day2.csv"}


def test_an_optional_lookup_may_be_absent_and_is_reported(shop: Shop) -> None:
    lookup = '[[lookups]]\nof = "item"\nfile = "t.csv"\nid = "id"\nname = "t"\noptional = true\n'
    recipe, folder = shop()
    recipe.write_text(recipe.read_text(encoding="utf-8") + lookup, encoding="utf-8")
    assert ingest(recipe, folder).report["notes"]["absent_lookups"] == 1
    (folder / "t.csv").write_text("id,t\np1.0,wrong\np1,Red  pumps\np1,again\n", encoding="utf-8")
    events = ingest(recipe, folder)
    assert events.items.names == ("Red pumps", "p2", "p3")
    assert events.report["notes"]["absent_lookups"] == 0
    assert events.report["notes"]["lookup_duplicates"] == 1


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Events, int, int]:
    """Events of a small simulated platform, its number of searches, and of rows."""
    folder = tmp_path_factory.mktemp("simulated") / "logs"
    summary = simulate(folder, SimulateConfig(num_users=60, num_items=1500), seed=3)
    events = ingest("synthetic", folder)
    return events, summary.searches, summary.recommended + summary.found


def test_the_simulated_log_is_read_without_loss(simulated: tuple[Events, int, int]) -> None:
    events, num_searches, num_rows = simulated
    report = events.report
    assert report["rows"] == num_rows
    assert report["used"] + report["merged_by_reason"].get("duplicate", 0) == num_rows
    assert len(events) == report["used"] == report["events"]
    assert report["quarantined"] == report["filtered"] == 0
    assert report["notes"]["unreadable_list"] == report["notes"]["absent_lookups"] == 0
    assert len(np.unique(events.session[events.is_search])) == num_searches
    assert events.query_kind == "simulated"


def test_simulated_words_and_titles_are_readable(simulated: tuple[Events, int, int]) -> None:
    events = simulated[0]
    assert all(not name.isdigit() for name in events.terms.names)
    assert all(" " in name for name in events.items.names)
    query = int(np.flatnonzero(events.query_terms.lengths > 1)[0])
    names = [events.terms.names[term] for term in events.query_terms[query]]
    assert events.queries.names[query] == " ".join(names)


def test_events_are_sorted_by_user_and_time(simulated: tuple[Events, int, int]) -> None:
    events = simulated[0]
    later = np.diff(events.time) >= 0
    assert np.all(np.diff(events.user) >= 0)
    assert np.all(later | (np.diff(events.user) > 0))
    assert np.all(events.is_search == (events.query != NO_ROW))


@pytest.mark.parametrize("limit", ["plenty", "", "1 horse", "1KB"])
def test_a_memory_limit_that_is_none_is_refused(shop: Shop, limit: str) -> None:
    with pytest.raises(BadInputError, match="memory"):
        ingest(*shop(), memory_limit=limit)


def test_an_output_that_cannot_be_made_is_refused_before_the_logs_are_read(
    shop: Shop, tmp_path: Path
) -> None:
    recipe, folder = shop(shown="")
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ArtifactError, match="cannot be written"):
        ingest(recipe, folder, tmp_path / "file" / "out")


def test_the_report_page_shows_every_reason_and_runs_no_text(shop: Shop, tmp_path: Path) -> None:
    rows = ",<script>alert(1)</script>,1700000100,1\n" * 3 + f"ann,{'x' * 300},soon,1\nann,p1,1,1\n"
    ingest(*shop(shown="user,product,at,clicked\nann,p1,1700000100,1\n" + rows), tmp_path / "out")
    page = (tmp_path / "out" / "ingest_report.html").read_text(encoding="utf-8")
    assert "<script>" not in page and page.count("&lt;script&gt;") == 2
    assert all(reason in page for reason in ("no user id", "unreadable time", "time before 1995"))
    assert "x" * 50 in page and "x" * 81 not in page
