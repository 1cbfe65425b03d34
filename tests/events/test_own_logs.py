"""One's own two logs in CSV, JSON lines and Parquet, with every word of the template in use."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sargraph.core.errors import DataError
from sargraph.core.types import NO_ROW
from sargraph.events.events import Events
from sargraph.events.ingest import ingest
from sargraph.events.recipe import Recipe, read_recipe
from sargraph.events.schema import BUY, CLICK, IMPRESSION, LIKE, SEARCHED

from .formats_fixture import write_log

T0 = 1700000000000
BIG = 2**53 + 1  # an id that a float cannot hold

SEARCHES = [
    {"user_id": "ann", "item_id": BIG, "timestamp": T0, "query": "Red  SHOES", "rank": 0, "n": 7},
    {"user_id": "ann", "item_id": 12, "timestamp": T0, "query": "Red  SHOES", "rank": 1, "n": 7},
    {
        "user_id": "bob",
        "item_id": None,
        "timestamp": T0 + 5,
        "query": "手机 case",
        "rank": None,
        "n": 8,
    },
]
CLICKED = [1, 0, 0]
SHOWN = [
    {"user_id": "ann", "item_id": 12, "timestamp": T0 + 1000, "event": "view"},
    {"user_id": "bob", "item_id": BIG, "timestamp": T0, "event": "buy"},
    {"user_id": "bob", "item_id": 12, "timestamp": T0 + 9, "event": "like"},
    {"user_id": "bob", "item_id": 12, "timestamp": T0 + 10, "event": "share"},
]
ITEMS = [{"item_id": 12, "title": "Blue Hat", "category_id": 3, "category": "Hats"}]
FOLLOWS = [{"user_id": "ann", "follows": "bob|cid"}]


def _write(folder: Path, format_: str, per_second: int = 1000) -> Path:
    """All four files in one format; times in ms, or in s."""
    searches = [
        {**{"search_id" if k == "n" else k: v for k, v in row.items()}, "clicked": clicked}
        for row, clicked in zip(SEARCHES, CLICKED, strict=True)
    ]
    logs = {"searches": searches, "recommendations": SHOWN, "items": ITEMS, "follows": FOLLOWS}
    for name, rows in logs.items():
        timed = [
            {k: v * per_second // 1000 if k == "timestamp" else v for k, v in row.items()}
            for row in rows
        ]
        write_log(folder / f"{name}.{format_}", format_, timed)
    return folder


def _recipe(format_: str, *overrides: str) -> Recipe:
    """The template for another format: only `file` and `format` change."""
    data = read_recipe("own_logs").model_dump(mode="json", exclude_none=True)
    for source in (*data["tables"], *data["lookups"]):
        source |= {"file": source["file"].replace(".csv", f".{format_}"), "format": format_}
    return read_recipe(Recipe.model_validate(data), overrides)


def _rows(events: Events) -> list[tuple[Any, ...]]:
    names = [None if i == NO_ROW else events.items.ids[i] for i in events.item]
    queries = [None if q == NO_ROW else events.queries.ids[q] for q in events.query]
    users = [events.users.ids[u] for u in events.user]
    rest = (events.time.tolist(), events.columns["action"].tolist())
    positions = events.columns["position"].tolist()
    return list(zip(users, *rest, names, queries, positions, strict=True))


EXPECTED = [
    ("ann", T0, CLICK, str(BIG), "red shoes", 0),
    ("ann", T0, IMPRESSION, "12", "red shoes", 1),
    ("ann", T0 + 1000, IMPRESSION, "12", None, -1),
    ("bob", T0, BUY, str(BIG), None, -1),
    ("bob", T0 + 5, SEARCHED, None, "手机 case", -1),
    ("bob", T0 + 9, LIKE, "12", None, -1),
]


@pytest.mark.parametrize("format_", ["csv", "tsv", "jsonl", "parquet"])
def test_two_logs_of_ones_own_in_every_format(tmp_path: Path, format_: str) -> None:
    events = ingest(_recipe(format_), _write(tmp_path, format_))
    assert _rows(events) == EXPECTED
    assert events.report["quarantined_by_reason"] == {"unreadable action": 1}
    assert (events.report["rows"], events.report["used"]) == (7, 6)
    hat = events.items.row("12")
    assert events.items.names[hat] == "Blue Hat"
    assert events.categories is not None and events.follows is not None
    assert [events.categories.vocabulary.names[c] for c in events.categories.of_item[hat]] == [
        "Hats"
    ]
    assert events.follows[events.users.row("ann")].tolist() == [events.users.row("bob")]


def test_every_format_gives_the_same_bytes(tmp_path: Path) -> None:
    hashes = set()
    for format_ in ("csv", "jsonl", "parquet"):
        folder = tmp_path / format_
        folder.mkdir()
        events = ingest(_recipe(format_), _write(folder, format_))
        hashes.add(tuple(column.tobytes() for column in events.columns.values()))
    assert len(hashes) == 1


@pytest.mark.parametrize("format_", ["csv", "jsonl", "parquet"])
def test_ms_vs_s_needs_no_word_in_the_recipe(tmp_path: Path, format_: str) -> None:
    events = ingest(_recipe(format_), _write(tmp_path, format_, per_second=1))
    assert set(events.time.tolist()) == {T0, T0 + 1000}


def test_ms_vs_s_in_one_file_is_refused(tmp_path: Path) -> None:
    folder = _write(tmp_path, "csv")
    path = folder / "recommendations.csv"
    path.write_text(path.read_text() + f"cid,12,{T0 // 1000},buy\n")
    with pytest.raises(DataError, match="no one unit fits column 'timestamp'"):
        ingest("own_logs", folder)


def test_lookups_that_are_not_there_are_no_fault(tmp_path: Path) -> None:
    folder = _write(tmp_path, "csv")
    for name in ("items", "follows"):
        (folder / f"{name}.csv").unlink()
    events = ingest("own_logs", folder)
    assert _rows(events) == EXPECTED
    assert (events.categories, events.follows) == (None, None)
    assert events.report["notes"]["absent_lookups"] == 2


def test_queries_without_spaces_share_terms_by_characters(tmp_path: Path) -> None:
    folder = _write(tmp_path, "csv")
    recipe = _recipe("csv").model_dump(mode="json", exclude_none=True)
    recipe["tables"][0]["query"]["tokens"] = "characters"
    events = ingest(Recipe.model_validate(recipe), folder)
    assert "手 手机 机 case" in events.queries.ids


ONE_LOG = """
name = "one"
[[tables]]
file = "log.{format}"
format = "{format}"
source = "by_query"
user = "user"
item = {{ column = "item", optional = true }}
time = {{ column = "at", unit = "iso", zone = "Europe/London" }}
query = "query"
"""


@pytest.mark.parametrize("format_", ["csv", "jsonl", "parquet"])
def test_one_log_for_both_with_local_times_of_a_zone(tmp_path: Path, format_: str) -> None:
    rows = [
        {"user": "u", "item": "a", "query": "hat", "at": "2023-03-26 00:30:00"},
        {"user": "u", "item": "b", "query": "", "at": "2023-03-26 02:30:00"},  # an hour ahead
        {"user": "u", "item": "c", "query": None, "at": "2023-03-26 02:30:00+02:00"},
        {"user": "u", "item": "", "query": "hat", "at": "2023-03-26 03:00:00"},
    ]
    write_log(tmp_path / f"log.{format_}", format_, rows)
    recipe = tmp_path / "one.toml"
    recipe.write_text(ONE_LOG.format(format=format_))
    events = ingest(recipe, tmp_path)
    start = int(np.datetime64("2023-03-26", "ms").astype(int))
    minutes = [(time - start) // 60_000 for time in events.time.tolist()]
    assert minutes == [30, 30, 90, 120]
    found = [(row[3], row[4], row[2]) for row in _rows(events)]
    assert sorted(found, key=str) == sorted(
        [("a", "hat", CLICK), ("c", None, CLICK), ("b", None, CLICK), (None, "hat", SEARCHED)],
        key=str,
    )


def test_a_parquet_log_of_native_timestamps(tmp_path: Path) -> None:
    columns = {
        "user": pa.array([1, 2**62, 1], pa.int64()),
        "item": pa.array([7.0, 8.0, None], pa.float64()),  # a column with gaps becomes floats
        "query": ["a", "", "b"],
        "at": pa.array([T0, T0 + 1, T0 + 2], pa.timestamp("ms")),
    }
    pq.write_table(pa.table(columns), tmp_path / "log.parquet")
    recipe = tmp_path / "one.toml"
    text = ONE_LOG.format(format="parquet").replace(', zone = "Europe/London"', "")
    recipe.write_text(text)
    events = ingest(recipe, tmp_path)
    assert events.users.ids == ("1", str(2**62))
    assert events.items.ids == ("7", "8")
    assert sorted(events.time.tolist()) == [T0, T0 + 1, T0 + 2]
    recipe.write_text(text.replace('"iso"', '"auto"'))
    assert sorted(ingest(recipe, tmp_path).time.tolist()) == [T0, T0 + 1, T0 + 2]


DIGINETICA = """
name = "diginetica"
query_kind = "none"
[[tables]]
file = "train-item-views.csv"
delimiter = ";"
source = "recommend"
user = "sessionId"
item = "itemId"
time = { column = "eventdate", unit = "iso", elapsed = "timeframe" }
"""


def test_a_timeframe_is_added_to_the_date_of_its_session(tmp_path: Path) -> None:
    text = "sessionId;userId;itemId;timeframe;eventdate\n"
    text += "1;NA;81766;526309;2016-05-09\n1;NA;31331;1031018;2016-05-09\n2;5;31331;x;2016-05-09\n"
    (tmp_path / "train-item-views.csv").write_text(text)
    recipe = tmp_path / "diginetica.toml"
    recipe.write_text(DIGINETICA)
    events = ingest(recipe, tmp_path)
    day = int(np.datetime64("2016-05-09", "ms").astype(int))
    assert (events.time - day).tolist() == [526309, 1031018]
    assert events.report["quarantined_by_reason"] == {"unreadable time": 1}


def test_non_utf8_logs_name_the_byte_and_the_way_out(tmp_path: Path) -> None:
    folder = _write(tmp_path, "csv")
    path = folder / "searches.csv"
    path.write_bytes(path.read_bytes().replace(b"SHOES", "CAFÉ".encode("latin-1")))
    with pytest.raises(DataError, match=r'byte 0xc9 at offset .* `encoding = "latin-1"`'):
        ingest("own_logs", folder)


def test_packed_json_lines_are_unpacked(tmp_path: Path) -> None:
    folder = _write(tmp_path, "jsonl")
    plain = folder / "searches.jsonl"
    (folder / "searches.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    recipe = _recipe("jsonl").model_dump(mode="json", exclude_none=True)
    recipe["tables"][0]["file"] = "searches.jsonl.gz"
    assert _rows(ingest(Recipe.model_validate(recipe), folder)) == EXPECTED


def test_mixed_type_ids_are_one_and_007_is_another(tmp_path: Path) -> None:
    rows = [
        {"user_id": user, "item_id": 1, "timestamp": T0 + n, "event": "buy"}
        for n, user in enumerate([7, "7", 7.0, "007"])
    ]
    folder = _write(tmp_path, "jsonl")
    (folder / "recommendations.jsonl").write_text("\n".join(map(json.dumps, rows)))
    events = ingest(_recipe("jsonl"), folder)
    assert {"7", "007"} <= set(events.users.ids)
    assert int(np.sum(events.user == events.users.row("7"))) == 3
    assert events.report["ids"]["user"]["alike"] == 1
