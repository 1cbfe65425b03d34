"""Tables of several files, and files whose paths mean something to other programs."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sargraph.core.errors import DataError

from .formats_fixture import ingest_files, lines_of, parquet_bytes

MIXED = """
name = "mixed"
[[tables]]
file = "log*.csv"
many = true
source = "attributed"
user = "user"
time = { column = "at", unit = "s" }
item = "what"
query = "what"
action = { column = "kind", values = { click = "click" } }
attribution = { column = "kind", opens = ["search"] }
"""
SEARCHES = """
name = "searches"
[[tables]]
file = "*.csv"
many = true
source = "search"
user = "user"
item = "item"
query = { column = "text", tokens = "tag" }
search = ["search_id"]
time = { column = "at", unit = "s" }
"""
SHOWN = """
name = "shown"
[[tables]]
file = "FILE"
many = true
format = "FORMAT"
source = "recommend"
user = "user"
item = "item"
time = { column = "at", unit = "s" }
"""
CSV = SHOWN.replace("FORMAT", "csv").replace("FILE", "**/*.csv")
PARQUET = SHOWN.replace("FORMAT", "parquet").replace("FILE", "**/*.parquet")
HEAD = "user,at,kind,what\n"


def test_a_click_belongs_to_the_search_in_the_file_before(tmp_path: Path) -> None:
    files = {
        "log1.csv": HEAD + "ann,1700000000,search,red\n",
        "log2.csv": HEAD + "ann,1700000010,click,p1\n",
    }
    events = ingest_files(tmp_path, MIXED, files)
    assert [line[3:] for line in lines_of(events)] == [("search", "red")] * 2
    assert events.session[0] == events.session[1]


def test_rows_of_one_search_in_two_files_are_one_session(tmp_path: Path) -> None:
    head = "user,item,text,search_id,at\n"
    files = {
        "a.csv": head + "ann,p1,red,s1,1700000000\n",
        "b.csv": head + "ann,p2,red,s1,1700000010\nann,p3,red,s2,1700000010\n",
    }
    events = ingest_files(tmp_path, SEARCHES, files)
    assert events.session[0] == events.session[1] != events.session[2]


def test_rows_of_one_group_in_two_files_are_one_event(tmp_path: Path) -> None:
    recipe = SEARCHES.replace('search = ["search_id"]', 'group_by = ["user", "item", "at"]')
    head = "user,item,text,at\n"
    files = {
        "a.csv": head + "ann,p1,red,1700000000\n",
        "b.csv": head + "ann,p1,blue,1700000000\n",
    }
    events = ingest_files(tmp_path, recipe, files)
    assert lines_of(events) == [("ann", "p1", 1_700_000_000_000, "search", "blue|red")]
    assert events.report["files"]["b.csv"]["merged"] == {"same group": 1}


def test_bad_rows_are_numbered_in_their_own_file(tmp_path: Path) -> None:
    head = "user,item,at\n"
    files = {
        "a.csv": head + "ann,p1,1700000000\nann,p2,soon\n",
        "b.csv": head + ",p1,1700000000\nbob,p2,1700000000\nbob,p3,later\n",
    }
    ingest_files(tmp_path, CSV, files)
    bad = pq.read_table(tmp_path / "out" / "quarantine.parquet").to_pylist()
    found = [(row["file"], row["row"], row["text"][-10:]) for row in bad]
    assert found == [("b.csv", 1, "1700000000"), ("a.csv", 2, "p2, at=soon"[-10:]),
                     ("b.csv", 3, "3, at=later"[-10:])]  # fmt: skip


def test_a_file_with_numbers_and_one_with_texts_are_one_table(tmp_path: Path) -> None:
    files = {
        "a.parquet": parquet_bytes(user=[7], item=[1], at=[1_700_000_000]),
        "b.parquet": parquet_bytes(user=["7", "x"], item=["1", "2"], at=[1_700_000_001] * 2),
    }
    events = ingest_files(tmp_path, PARQUET, files)
    assert [line[:2] for line in lines_of(events)] == [("7", "1"), ("7", "1"), ("x", "2")]


@pytest.mark.parametrize("unit", ["s", "auto"])
def test_one_part_may_be_empty_but_not_all(tmp_path: Path, unit: str) -> None:
    recipe = PARQUET.replace('unit = "s"', f'unit = "{unit}"')
    types = {"user": pa.string(), "item": pa.string(), "at": pa.int64()}
    empty = parquet_bytes(**{name: pa.array([], kind) for name, kind in types.items()})
    full = parquet_bytes(user=["ann"], item=["p1"], at=[1_700_000_000])
    events = ingest_files(tmp_path, recipe, {"a.parquet": empty, "b.parquet": full})
    assert len(events) == 1
    assert events.report["files"]["a.parquet"]["rows"] == 0
    with pytest.raises(DataError, match="no rows"):
        ingest_files(tmp_path / "none", recipe, {"a.parquet": empty, "b.parquet": empty})


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_a_path_with_signs_of_patterns_is_that_path(tmp_path: Path, format_: str) -> None:
    recipe = SHOWN.replace("FORMAT", format_).replace("FILE", f"x.{format_}")
    for user, logs in (("ann", "logs[1]"), ("zed", "logs1")):
        content: str | bytes = f"user,item,at\n{user},p1,1700000000\n"
        if format_ == "parquet":
            content = parquet_bytes(user=[user], item=["p1"], at=[1_700_000_000])
        events = ingest_files(tmp_path, recipe, {f"x.{format_}": content}, logs)
        assert events.users.ids == (user,)
        (tmp_path / "out" / "manifest.json").unlink()
        for path in (tmp_path / "out").iterdir():
            path.unlink()
        (tmp_path / "out").rmdir()


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_a_folder_called_column_equals_value_changes_no_column(
    tmp_path: Path, format_: str
) -> None:
    content: str | bytes = "user,item,at\nann,p1,1700000000\n"
    if format_ == "parquet":
        content = parquet_bytes(user=["ann"], item=["p1"], at=[1_700_000_000])
    recipe = SHOWN.replace("FORMAT", format_).replace("FILE", f"**/*.{format_}")
    events = ingest_files(tmp_path, recipe, {f"user=bob/at=5/x.{format_}": content}, "item=zzz")
    assert lines_of(events) == [("ann", "p1", 1_700_000_000_000, "recommend", "")]
