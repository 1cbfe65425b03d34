"""Parquet, JSON and the formats of single data sets: native values stay, bad lines are counted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sargraph.core.errors import DataError
from sargraph.events.reading.columns import Column
from sargraph.events.reading.workspace import Workspace

from .formats_fixture import ingest_files, open_file, parquet_bytes, rows_of, scan_of, write_file

RECIPE = """
name = "shown"
[[tables]]
file = "x.parquet"
format = "parquet"
source = "recommend"
user = "user"
item = "item"
time = { column = "at", unit = "UNIT" }
"""


def test_parquet_keeps_native_values_and_writes_lists_as_json(
    work: Workspace, tmp_path: Path
) -> None:
    path = tmp_path / "a.parquet"
    columns = {
        "id": pa.array([2**62, 2], pa.int64()),
        "small": pa.array([1, None], pa.uint8()),
        "t": [1.5e12, None],
        "on": [True, False],
        "at": pa.array([0, 1], pa.timestamp("ns")),
        "day": pa.array([0, 1], pa.date32()),
        "utc": pa.array([0, 1], pa.timestamp("ms", "UTC")),
        "big": pa.array([2**64 - 1, 0], pa.uint64()),
        "text": ["a", None],
        "list": [[20, 3], []],
    }
    pq.write_table(pa.table(columns), path)
    raw = open_file(work, path, format="parquet")
    assert raw.relation.types == {
        "id": "BIGINT",
        "small": "UTINYINT",
        "t": "DOUBLE",
        "on": "BOOLEAN",
        "at": "TIMESTAMP",
        "day": "DATE",
        "utc": "TIMESTAMP WITH TIME ZONE",
    }
    found = scan_of(raw, "id", "small", "t", "on", "big", "text", "list")
    first, second = (2**62, 1, 1.5e12, True, str(2**64 - 1), "a", "[20,3]"), (2, None, None, False)
    assert found == [first, (*second, "0", None, "[]")]


def test_a_damaged_parquet_file_says_so(work: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": list(range(1000))}), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="damaged Parquet file"):
        open_file(work, path, format="parquet")


def test_jsonl(work: Workspace, tmp_path: Path) -> None:
    lines = [
        json.dumps({"id": 1, "l": ["a", 2]}),
        "{broken",
        "",
        json.dumps({"l": None, "id": "x"}),
    ]
    raw = open_file(work, write_file(tmp_path / "a.jsonl", "\n".join(lines)), format="jsonl")
    assert scan_of(raw, "id", "l") == [("1", '["a",2]'), ("x", None)]
    assert raw.rejects == [(2, "not a JSON object", "{broken")]
    assert raw.row_numbers().tolist() == [1, 3]


def test_jsonl_values_come_as_they_stand(work: Workspace, tmp_path: Path) -> None:
    line = {
        "a/b": 2**64 + 7,
        "t": 1684742000000,
        "te~xt": 'caf\u00e9 \U0001f35c "q"\n',
        "on": True,
        "o": {"x": 1},
    }
    text = "\ufeff" + json.dumps(line) + "\r\n" + json.dumps(line, ensure_ascii=False) + "\r\n"
    path = write_file(tmp_path / "a.jsonl", text)
    expected = (str(2**64 + 7), "1684742000000", line["te~xt"], "true", '{"x":1}')
    assert rows_of(work, path, *line, format="jsonl") == [expected, expected]


def test_strange_json_keys_and_texts_do_no_harm(work: Workspace, tmp_path: Path) -> None:
    lines = ['{"": 1, "id": 3}', '{"id": "\\ud83c"}', '{"id": "\\u0000a"}', '{"id\'; --": 1}', "{}"]
    raw = open_file(work, write_file(tmp_path / "a.jsonl", "\n".join(lines)), format="jsonl")
    assert raw.relation.header == ["id", "id'; --"]
    assert scan_of(raw, "id", "id'; --") == [
        ("3", None),
        ("\x00a", None),
        (None, "1"),
        (None, None),
    ]
    assert raw.rejects == [(2, "not a JSON object", '{"id": "\\ud83c"}')]


def test_bad_json_lines_are_counted_one_by_one(work: Workspace, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    bad = ("{", "[1]", "7", "null", '"x"', '{"id": }', "{'id': 1}", '{"id": 1} x', "\x1f")
    lines = [bad[n % len(bad)] if rng.random() < 0.2 else f'{{"id": {n}}}' for n in range(3000)]
    raw = open_file(work, write_file(tmp_path / "a.jsonl", "\n".join(lines)), format="jsonl")
    good = [
        (str(n),)
        for n, line in enumerate(lines)
        if line.startswith('{"id": ') and line[-2] != " " and line[-1] == "}"
    ]
    assert scan_of(raw, "id") == good
    refused = [n + 1 for n, line in enumerate(lines) if line in bad]
    assert [number for number, _, _ in raw.rejects] == refused
    assert len(good) + len(refused) == len(lines)


def test_native_columns_and_their_texts_give_the_same_fields(
    work: Workspace, tmp_path: Path
) -> None:
    """A Parquet log and the same log as CSV must not differ in one value."""
    values = {
        "user": pa.array([7, 2**53 + 1, 0], pa.int64()),
        "real": pa.array([7.0, 2.75, None], pa.float64()),
        "on": pa.array([True, False, None], pa.bool_()),
    }
    pq.write_table(pa.table(values), tmp_path / "a.parquet")
    write_file(tmp_path / "a.csv", f"user,real,on\n7,7.0,true\n{2**53 + 1},2.75,false\n0,,\n")
    for of in ("number", "integer", "text"):
        found = []
        for name in ("a.parquet", "a.csv"):
            raw = open_file(work, tmp_path / name, format=name[2:])
            columns = {
                c: Column(raw.column((c,)), raw.relation.types.get(c, "VARCHAR")) for c in values
            }
            sql = {c: getattr(column, of) for c, column in columns.items()}
            [batch] = raw.scan(sql)
            found.append(batch.to_pydict())
            assert raw.rejects == []
        if of == "text":
            found[1]["real"][0] = "7"  # a whole real number is written without its point
        if of == "integer":
            for batch in found:
                batch.pop("on")  # the text "true" is no integer
        assert found[0] == found[1]


def test_sequences_have_a_place_per_item(work: Workspace, tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.txt", "1 7 8\n2 7\n")
    expected = [("1", "7", "0"), ("1", "8", "1"), ("2", "7", "0")]
    assert rows_of(work, path, "user", "item", "place", format="sequences") == expected


def test_json_lists(work: Workspace, tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.json", '{"4": [1, 2], "83": []}')
    expected = [("4", "[1, 2]"), ("83", "[]")]
    assert rows_of(work, path, "id", "values", format="json_lists") == expected


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Shanghai"])
def test_timestamps_of_every_unit_and_zone_are_read(
    tmp_path: Path, unit: str, zone: str | None
) -> None:
    """A data frame with a time zone writes nanoseconds with a zone."""
    at = pa.array([1_700_000_000], pa.timestamp("s")).cast(pa.timestamp(unit)).cast(
        pa.timestamp(unit, zone)
    )  # fmt: skip
    file = parquet_bytes(user=["ann"], item=["p1"], at=at)
    recipe = RECIPE.replace("UNIT", "iso")
    assert ingest_files(tmp_path, recipe, {"x.parquet": file}).time[0] == 1_700_000_000_000


def test_whole_floats_and_bytes_are_the_ids_they_spell(tmp_path: Path) -> None:
    file = parquet_bytes(
        user=pa.array([2.0**60, 7.0, 1e16]), item=pa.array(["é".encode()] * 3, pa.binary()),
        at=pa.array([1_700_000_000] * 3),
    )  # fmt: skip
    events = ingest_files(tmp_path, RECIPE.replace("UNIT", "s"), {"x.parquet": file})
    assert set(events.users.ids) == {str(2**60), "7", "10000000000000000"}
    assert events.items.ids == ("é",)
