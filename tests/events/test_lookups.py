"""Lookups: names, texts, categories and follows; streamed, the first word on an id counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sargraph.core.errors import RecipeError
from sargraph.events.events import Events
from sargraph.events.ingest import ingest

from .formats_fixture import ingest_files, parquet_bytes

Shop: TypeAlias = Callable[..., tuple[Path, Path]]

ITEMS = """
[[lookups]]
of = "item"
file = "items.csv"
id = "id"
name = "title"
terms = [{ column = "title" }, { column = "tags", list = "|", prefix = "#" }]
categories = [{ column = "c1", missing = ["0"] }, { column = "c2", missing = ["0"] }]
category_names = ["n1", "n2"]
"""
USERS = """
[[lookups]]
of = "user"
file = "users.csv"
id = "id"
follows = { column = "follows", list = "|" }
"""
HEADER = "id,title,tags,c1,n1,c2,n2\n"


@pytest.fixture
def with_lookup(shop: Shop) -> Callable[..., Events]:
    """Ingest the two logs with one lookup, its file written as text."""

    def read(lookup: str, name: str, text: str, out: Path | None = None) -> Events:
        recipe, folder = shop()
        recipe.write_text(recipe.read_text(encoding="utf-8") + lookup, encoding="utf-8")
        (folder / name).write_text(text, encoding="utf-8")
        return ingest(recipe, folder, out)

    return read


def test_the_first_word_on_an_id_counts(with_lookup: Callable[..., Events]) -> None:
    rows = "p1,Red  Pumps,sale|new,1,Shoes,10,Pumps\np1,Blue,old,2,Hats,20,Caps\n"
    events = with_lookup(
        ITEMS, "items.csv", HEADER + rows + "p9,Unused,x,1,Shoes,0,none\n,?,,,,,\n"
    )
    assert events.items.names == ("Red Pumps", "p2", "p3")
    terms = [events.terms.ids[t] for t in events.item_terms[0].tolist()]
    assert terms == ["red", "pumps", "#sale", "#new"]
    assert events.item_terms.lengths.tolist() == [4, 0, 0]
    notes = events.report["notes"]
    assert (notes["lookup_rows"], notes["lookup_duplicates"], notes["lookup_unused"]) == (4, 1, 1)
    assert events.report["rows"] == 6  # rows of lookups are no rows of the log


def test_a_row_of_a_lookup_without_an_id_is_in_quarantine(
    with_lookup: Callable[..., Events], tmp_path: Path
) -> None:
    text = HEADER + "p1,A,,0,,0,\nNaN,B,,0,,0,\np2,C\np3,D,,0,,0,\n"
    events = with_lookup(ITEMS, "items.csv", text, tmp_path / "out")
    assert events.items.names == ("A", "p2", "D")
    rows = pq.read_table(tmp_path / "out" / "quarantine.parquet").to_pylist()
    found = [(row["file"], row["row"], row["reason"]) for row in rows]
    assert sorted(found) == [("items.csv", 2, "no id"), ("items.csv", 3, "wrong number of columns")]


def test_categories_come_level_by_level_with_their_names(
    with_lookup: Callable[..., Events],
) -> None:
    rows = "p2,A,,7,Shoes,7,Pumps\np1,B,,7,Shoes,0,\np3,C,,2,Hats,9,\n"
    categories = with_lookup(ITEMS, "items.csv", HEADER + rows).categories
    assert categories is not None
    assert categories.vocabulary.ids == ("1/2", "1/7", "2/7", "2/9")
    assert categories.vocabulary.names == ("Hats", "Shoes", "Pumps", "2/9")
    assert categories.level.tolist() == [1, 1, 2, 2]
    assert [row.tolist() for row in categories.of_item] == [[1], [1, 2], [0, 3]]


def test_a_log_without_categories_and_follows_has_none(shop: Shop) -> None:
    events = ingest(*shop())
    assert events.categories is None and events.follows is None


def test_follows_are_pairs_of_known_users(with_lookup: Callable[..., Events]) -> None:
    rows = "ann,bob|zoe\nbob,ann\nbob,ann|bob.0\nzoe,ann\nann, bob \n"
    events = with_lookup(USERS, "users.csv", "id,follows\n" + rows)
    assert events.users.ids == ("ann", "bob")
    assert events.follows is not None
    assert [row.tolist() for row in events.follows] == [[1], [0]]
    assert events.report["notes"]["follows_unknown_user"] == 2


def test_several_lookups_add_to_one_another(shop: Shop) -> None:
    recipe, folder = shop()
    second = ITEMS.replace("items.csv", "more.csv")
    recipe.write_text(recipe.read_text(encoding="utf-8") + ITEMS + second, encoding="utf-8")
    (folder / "items.csv").write_text(HEADER + "p1,First,a,1,X,0,\n", encoding="utf-8")
    (folder / "more.csv").write_text(
        HEADER + "p1,Second,b,1,Y,0,\np2,Two,c,1,Z,0,\n", encoding="utf-8"
    )
    events = ingest(recipe, folder)
    assert events.items.names == ("First", "Two", "p3")
    assert [events.terms.ids[t] for t in events.item_terms[0]] == ["first", "#a", "second", "#b"]
    assert events.categories is not None
    assert events.categories.vocabulary.names == ("X",)


def test_a_large_lookup_is_streamed_in_batches(with_lookup: Callable[..., Events]) -> None:
    """The word on an id may stand in any batch; unused ids leave no trace but a count."""
    size = 700_000
    lines = [f"x{n},t{n},,0,,0," for n in range(size)]
    lines[650_000] = "p2,late,,0,,0,"
    lines[10] = "p3,early,,0,,0,"
    lines[690_000] = "p3,again,,0,,0,"
    events = with_lookup(ITEMS, "items.csv", HEADER + "\n".join(lines) + "\n")
    assert events.items.names == ("p1", "late", "early")
    notes = events.report["notes"]
    assert (notes["lookup_rows"], notes["lookup_unused"]) == (size, size - 3)
    assert len(events.terms) < 20


def test_a_missing_column_of_a_lookup_is_named(with_lookup: Callable[..., Events]) -> None:
    with pytest.raises(RecipeError, match=r"items\.csv has no column 'title'.*'titel'"):
        with_lookup(ITEMS, "items.csv", HEADER.replace("title", "titel") + "p1,A,,0,,0,\n")


def test_a_lookup_whose_rows_are_all_refused_names_nothing(
    with_lookup: Callable[..., Events],
) -> None:
    events = with_lookup(ITEMS, "items.csv", HEADER + "p1,A\np2\n")
    assert events.items.names == ("p1", "p2", "p3")
    assert events.report["notes"]["lookup_rows"] == 2


def test_a_category_that_a_lookup_names_twice_is_one(with_lookup: Callable[..., Events]) -> None:
    lookup = ITEMS.replace('{ column = "c1", missing', '{ column = "c1", list = "|", missing')
    events = with_lookup(lookup, "items.csv", HEADER + "p1,a,,9|9|8,Funny,3,Joke\n")
    assert events.categories is not None
    found = events.categories.of_item[events.items.row("p1")]
    assert [events.categories.vocabulary.ids[row] for row in found] == ["1/9", "1/8", "2/3"]


def test_followed_users_are_found_whatever_signs_their_ids_have(tmp_path: Path) -> None:
    recipe = """
name = "shown"
[[tables]]
file = "shown.csv"
source = "recommend"
user = "user"
item = "item"
time = { column = "at", unit = "s" }
[[lookups]]
of = "user"
file = "users.csv"
id = "id"
follows = { column = "follows", list = "json" }
"""
    users = ["ann lee", "a|b", "007", "7"]
    shown = "user,item,at\n" + "".join(f"{user},p1,1700000000\n" for user in users)
    follows = 'id,follows\n7,"[""ann lee"", ""a|b"", ""007"", 7.0]"\n'
    events = ingest_files(tmp_path, recipe, {"shown.csv": shown, "users.csv": follows})
    assert events.follows is not None
    followed = events.follows[events.users.row("7")].tolist()
    assert {events.users.ids[row] for row in followed} == set(users)


@pytest.mark.parametrize("type_", [pa.bool_(), pa.date32(), pa.timestamp("ms"), pa.int64()])
def test_ids_of_a_lookup_may_have_any_native_type(tmp_path: Path, type_: pa.DataType) -> None:
    ids = pa.array([0, 1], pa.int32()).cast(pa.int64())
    ids = ids.cast(type_) if type_ != pa.date32() else ids.cast(pa.int32()).cast(type_)
    shown = parquet_bytes(user=["ann"] * 2, item=ids, at=[1_700_000_000] * 2)
    items = parquet_bytes(id=ids, title=["first", "second"])
    recipe = """
name = "shown"
[[tables]]
file = "shown.parquet"
format = "parquet"
source = "recommend"
user = "user"
item = "item"
time = { column = "at", unit = "s" }
[[lookups]]
of = "item"
file = "items.parquet"
format = "parquet"
id = "id"
name = "title"
"""
    events = ingest_files(tmp_path, recipe, {"shown.parquet": shown, "items.parquet": items})
    assert sorted(events.items.names) == ["first", "second"]
