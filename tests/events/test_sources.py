"""Source by query, by attribution, and slates, through a whole ingestion."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow.parquet as pq

from sargraph.events.events import Events
from sargraph.events.ingest import ingest
from sargraph.events.schema import ACTIONS, SOURCES

Row: TypeAlias = tuple[str, str | None, str | None, str, str, int]

MIXED = """
name = "mixed"
[[tables]]
file = "log.csv"
source = "attributed"
user = "user"
time = { column = "at", unit = "s" }
item = "what"
query = "what"
action = { column = "kind", values = { click = "click", buy = "buy" } }
slate = { column = "shown", list = "|" }
attribution = { column = "kind", opens = ["search"], ends = ["home"], WITHIN }
""".replace("WITHIN", 'within = "visit", minutes = 10')
HEADER = "user,visit,at,kind,what,shown\n"
LOG = """ann,1,1700000000,click,p1,
ann,1,1700000010,search,Red Shoes,
ann,1,1700000020,click,p2,p1|p2|p3
ann,1,1700000030,home,,
ann,1,1700000040,click,p3,
ann,2,1700000050,click,p1,
ann,1,1700000060,search,blue,
ann,1,1700000070,buy,p4,
ann,1,1700000661,click,p5,
bob,1,1700000070,click,p1,
"""
BY_QUERY = """
name = "by_query"
[[tables]]
file = "log.csv"
source = "by_query"
user = "user"
time = { column = "at", unit = "s" }
item = "item"
query = "text"
"""


def _read(folder: Path, recipe: str, text: str) -> Events:
    (folder / "logs").mkdir()
    (folder / "recipe.toml").write_text(recipe, encoding="utf-8")
    (folder / "logs" / "log.csv").write_text(text, encoding="utf-8")
    return ingest(folder / "recipe.toml", folder / "logs", folder / "out")


def _rows(events: Events) -> list[Row]:
    items, queries = (*events.items.ids, None), (*events.queries.ids, None)
    columns = events.columns
    return [
        (
            events.users.ids[events.user[e]],
            items[events.item[e]],
            queries[events.query[e]],
            SOURCES[columns["source"][e]],
            ACTIONS[columns["action"][e]],
            int(columns["position"][e]),
        )
        for e in range(len(events))
    ]


def test_rows_belong_to_the_open_search_of_their_visit(tmp_path: Path) -> None:
    events = _read(tmp_path, MIXED, HEADER + LOG)
    assert _rows(events) == [
        ("ann", "p1", None, "recommend", "click", -1),
        ("ann", None, "red shoes", "search", "search", -1),
        ("ann", "p2", "red shoes", "search", "click", 1),
        ("ann", "p1", "red shoes", "search", "impression", 0),
        ("ann", "p3", "red shoes", "search", "impression", 2),
        ("ann", "p3", None, "recommend", "click", -1),
        ("ann", "p1", None, "recommend", "click", -1),
        ("ann", None, "blue", "search", "search", -1),
        ("ann", "p4", "blue", "search", "buy", -1),
        ("ann", "p5", None, "recommend", "click", -1),
        ("bob", "p1", None, "recommend", "click", -1),
    ]
    report = events.report
    assert (report["rows"], report["used"], report["events"]) == (10, 9, 11)
    assert report["filtered_by_reason"] == {"marks the end of a search": 1}
    fates = pq.read_table(tmp_path / "out" / "fates.parquet").to_pylist()
    assert [row["row"] for row in fates] == [4]


def test_a_search_and_what_it_led_to_are_one_session(tmp_path: Path) -> None:
    events = _read(tmp_path, MIXED, HEADER + LOG)
    of_search = [set(events.session[events.query == q].tolist()) for q in range(2)]
    assert all(len(sessions) == 1 for sessions in of_search) and of_search[0] != of_search[1]


def test_rows_of_no_query_share_a_list_only_where_the_log_names_one(tmp_path: Path) -> None:
    """An empty name is not the name of one long list."""
    recipe = 'time_kind = "ordinal"' + BY_QUERY.replace('"s"', '"ordinal"') + 'search = "list"'
    log = "user,at,item,text,list\nann,1,p1,,\nann,2,p2,,7\nann,3,p3,,7\nann,4,p4,red,8\n"
    events = _read(tmp_path, recipe, log + "ann,5,p5,,\nann,6,p6,red,8\nann,7,p7,,9\n")
    assert events.session.tolist() == [-1, 0, 0, 1, -1, 1, 2]


def test_a_search_in_quarantine_opens_nothing(tmp_path: Path) -> None:
    """A search whose time is unreadable has no place; one without more faults ends the last."""
    log = "ann,1,soon,search,lost,\nann,1,1700000000,click,p1,\n"
    log += "ann,1,1700000010,search,red,\nann,1,1,search,old,\nann,1,1700000020,click,p2,\n"
    events = _read(tmp_path, MIXED, HEADER + log)
    assert [(row[1], row[2]) for row in _rows(events)] == [
        ("p1", None),
        (None, "red"),
        ("p2", "red"),
    ]
    reasons = {"unreadable time": 1, "time before 1995": 1}
    assert events.report["quarantined_by_reason"] == reasons


def test_an_unknown_action_is_in_quarantine(tmp_path: Path) -> None:
    events = _read(tmp_path, MIXED, HEADER + LOG + "bob,1,1700000080,lick,p2,\n")
    assert events.report["quarantined_by_reason"] == {"unreadable action": 1}


def test_rows_without_a_query_are_recommendation(tmp_path: Path) -> None:
    log = "user,at,item,text\nann,1700000000,p1,Red\nann,1700000001,p2,\nann,1700000002,p3,  \n"
    events = _read(tmp_path, BY_QUERY, log)
    assert [(row[1], row[2], row[3]) for row in _rows(events)] == [
        ("p1", "red", "search"),
        ("p2", None, "recommend"),
        ("p3", None, "recommend"),
    ]
    assert np.all((events.query >= 0) == events.is_search)


def test_a_row_with_neither_query_nor_item_is_quarantined(tmp_path: Path) -> None:
    recipe = BY_QUERY.replace('item = "item"', 'item = { column = "item", optional = true }')
    text = "user,at,item,text\nann,1700000000,p1,\nann,1700000010,,red\nann,1700000020,,\n"
    events = _read(tmp_path, recipe, text)
    assert len(events) == 2
    assert events.report["quarantined_by_reason"] == {"no item id": 1}


def test_without_times_a_click_belongs_to_the_search_before_it_in_the_file(tmp_path: Path) -> None:
    recipe = MIXED.replace('{ column = "at", unit = "s" }', '"none"')
    recipe = recipe.replace(', within = "visit", minutes = 10', "")
    log = "".join(
        f"ann,1,,{kind},{what},\n"
        for kind, what in (("click", "p9"), ("search", "red"), ("click", "p1"),
                           ("search", "blue"), ("click", "p2"))
    )  # fmt: skip
    found = {(row[1], row[2]) for row in _rows(_read(tmp_path, recipe, HEADER + log)) if row[1]}
    assert found == {("p9", None), ("p1", "red"), ("p2", "blue")}


SLATES = """
name = "slates"
[[tables]]
file = "log.csv"
source = "search"
user = "user"
time = { column = "at", unit = "s" }
item = { column = "item", optional = true }
query = "text"
slate = { column = "shown", list = "|", missing = ["0", "-"] }
"""


def test_a_slate_leaves_out_what_is_missing_and_keeps_first_places(tmp_path: Path) -> None:
    text = "user,at,item,text,shown\nann,1700000000,p2,red,0|p2|p1|p2|-\n"
    found = [(row[1], row[4], row[5]) for row in _rows(_read(tmp_path, SLATES, text))]
    assert found == [("p2", "click", 1), ("p1", "impression", 2)]


def test_a_search_that_led_to_nothing_still_showed_its_slate(tmp_path: Path) -> None:
    text = "user,at,item,text,shown\nann,1700000000,,red,p1|p2\n"
    found = [(row[1], row[2], row[4]) for row in _rows(_read(tmp_path, SLATES, text))]
    assert found == [(None, "red", "search"), ("p1", "red", "impression"),
                     ("p2", "red", "impression")]  # fmt: skip
