"""File formats: the same rows come out of every one, and refused rows keep their numbers."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sargraph.core.errors import DataError, RecipeError
from sargraph.events.reading.columns import Column
from sargraph.events.reading.files import find_files
from sargraph.events.reading.raw import RawTable, open_raw
from sargraph.events.reading.workspace import Workspace, workspace
from sargraph.events.recipe import FileSource


@pytest.fixture
def work() -> Iterator[Workspace]:
    with workspace() as opened:
        yield opened


def _open(work: Workspace, path: Path, **how: object) -> RawTable:
    return open_raw(work, path, FileSource.model_validate({"file": path.name, **how}))


def _scan(raw: RawTable, *names: str) -> list[tuple[object, ...]]:
    """The values of some columns, entry by entry; afterwards `raw.rejects` is known."""
    batches = list(raw.scan({name: raw.column((name,)) for name in names}))
    return [row for batch in batches for row in zip(*batch.to_pydict().values(), strict=True)]


def _rows(work: Workspace, path: Path, *names: str, **how: object) -> list[tuple[object, ...]]:
    return _scan(_open(work, path, **how), *names)


def _write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


EXPECTED = [("1", "[20, 3]"), ("2", 'say "hi"'), ("3", None)]
CSV = 'id,kw\n1,"[20, 3]"\n2,"say ""hi"""\n3,\n'


@pytest.mark.parametrize(
    "content",
    [
        CSV,
        CSV.replace("\n", "\r\n"),
        CSV.replace("\n", "\r\n", 2),
        "\ufeff" + CSV,
        CSV.rstrip("\n"),
        CSV.replace("id,kw", ' id ,"kw"'),
    ],
    ids=["plain", "crlf", "mixed line ends", "bom", "no last newline", "padded header"],
)
def test_csv(work: Workspace, tmp_path: Path, content: str) -> None:
    assert _rows(work, _write(tmp_path / "a.csv", content), "id", "kw") == EXPECTED


def test_columns_are_found_by_name_in_any_order(work: Workspace, tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", "x,kw,id\n9,a,1\n8,b,2\n")
    assert _rows(work, path, "id", "kw") == [("1", "a"), ("2", "b")]


def test_of_several_names_the_first_that_the_file_has_is_read(
    work: Workspace, tmp_path: Path
) -> None:
    raw = _open(work, _write(tmp_path / "users.csv", "user_id,reco_active_level\n1,7\n"))
    assert raw.column(("rec_active_level", "user_id")) == '"user_id"'
    level = raw.column(("rec_active_level", "reco_active_level"))
    assert [batch.to_pydict() for batch in raw.scan({"level": level})] == [{"level": ["7"]}]


def test_quotes_are_plain_characters_in_tsv(work: Workspace, tmp_path: Path) -> None:
    path = _write(tmp_path / "a.dat", 'id\tname\n1\t"Weird Al" Yankovic\n2\tRoyce da 5\'9"\n')
    expected = [("1", '"Weird Al" Yankovic'), ("2", "Royce da 5'9\"")]
    assert _rows(work, path, "id", "name", format="tsv") == expected


def test_gzip_and_other_encodings_and_delimiters(work: Workspace, tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv.gz", gzip.compress("id;n\n1;é\n".encode("latin-1")))
    assert _rows(work, path, "id", "n", encoding="latin-1", delimiter=";") == [("1", "é")]


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
    raw = _open(work, path, format="parquet")
    assert raw.relation.types == {
        "id": "BIGINT",
        "small": "UTINYINT",
        "t": "DOUBLE",
        "on": "BOOLEAN",
        "at": "TIMESTAMP",
        "day": "DATE",
        "utc": "TIMESTAMP WITH TIME ZONE",
    }
    found = _scan(raw, "id", "small", "t", "on", "big", "text", "list")
    first, second = (2**62, 1, 1.5e12, True, str(2**64 - 1), "a", "[20,3]"), (2, None, None, False)
    assert found == [first, (*second, "0", None, "[]")]


def test_a_damaged_parquet_file_says_so(work: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": list(range(1000))}), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="damaged Parquet file"):
        _open(work, path, format="parquet")


def test_jsonl(work: Workspace, tmp_path: Path) -> None:
    lines = [
        json.dumps({"id": 1, "l": ["a", 2]}),
        "{broken",
        "",
        json.dumps({"l": None, "id": "x"}),
    ]
    raw = _open(work, _write(tmp_path / "a.jsonl", "\n".join(lines)), format="jsonl")
    assert _scan(raw, "id", "l") == [("1", '["a",2]'), ("x", None)]
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
    path = _write(tmp_path / "a.jsonl", text)
    expected = (str(2**64 + 7), "1684742000000", line["te~xt"], "true", '{"x":1}')
    assert _rows(work, path, *line, format="jsonl") == [expected, expected]


def test_bad_json_lines_are_counted_one_by_one(work: Workspace, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    bad = ("{", "[1]", "7", "null", '"x"', '{"id": }', "{'id': 1}", '{"id": 1} x', "\x1f")
    lines = [bad[n % len(bad)] if rng.random() < 0.2 else f'{{"id": {n}}}' for n in range(3000)]
    raw = _open(work, _write(tmp_path / "a.jsonl", "\n".join(lines)), format="jsonl")
    good = [
        (str(n),)
        for n, line in enumerate(lines)
        if line.startswith('{"id": ') and line[-2] != " " and line[-1] == "}"
    ]
    assert _scan(raw, "id") == good
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
    _write(tmp_path / "a.csv", f"user,real,on\n7,7.0,true\n{2**53 + 1},2.75,false\n0,,\n")
    for of in ("number", "integer", "text"):
        found = []
        for name in ("a.parquet", "a.csv"):
            raw = _open(work, tmp_path / name, format=name[2:])
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
    path = _write(tmp_path / "a.txt", "1 7 8\n2 7\n")
    expected = [("1", "7", "0"), ("1", "8", "1"), ("2", "7", "0")]
    assert _rows(work, path, "user", "item", "place", format="sequences") == expected


def test_json_lists(work: Workspace, tmp_path: Path) -> None:
    path = _write(tmp_path / "a.json", '{"4": [1, 2], "83": []}')
    expected = [("4", "[1, 2]"), ("83", "[]")]
    assert _rows(work, path, "id", "values", format="json_lists") == expected


def test_refused_rows_keep_their_numbers_and_texts(work: Workspace, tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", 'id,kw\n1,"a\nb"\nshort\n2,x,y\n3,"q"r\n4,z\n')
    raw = _open(work, path)
    assert _scan(raw, "id", "kw") == [("1", "a\nb"), ("4", "z")]
    assert raw.row_numbers().tolist() == [1, 5]
    assert raw.rejects == [
        (2, "wrong number of columns", "short"),
        (3, "wrong number of columns", "2,x,y"),
        (4, "unbalanced quotes", '3,"q"r'),
    ]


def test_lines_swallowed_by_an_open_quote_are_all_counted(work: Workspace, tmp_path: Path) -> None:
    text = 'id,kw\n1,a\n2,"abc\n3,x\n4,"y"\n5,k\nshort\n6,l\n'
    raw = _open(work, _write(tmp_path / "a.csv", text))
    assert _scan(raw, "id") == [("1",), ("5",), ("6",)]
    assert raw.row_numbers().tolist() == [1, 5, 7]
    assert [(row, text) for row, _, text in raw.rejects] == [
        (2, '2,"abc'),
        (3, "3,x"),
        (4, '4,"y"'),
        (6, "short"),
    ]


def test_a_quote_that_swallows_the_rest_of_a_file_is_refused(
    work: Workspace, tmp_path: Path
) -> None:
    path = _write(tmp_path / "a.csv", 'id,kw\n1,a\n2,"abc\n' + "3,x\n" * 5000)
    with pytest.raises(DataError, match=r"the quote in row 2 .* does not close"):
        _rows(work, path, "id")


def test_blank_lines_are_no_rows(work: Workspace, tmp_path: Path) -> None:
    raw = _open(work, _write(tmp_path / "a.csv", "id,kw\n1,a\n\n\n\n3,b\nshort\n\n"))
    assert _scan(raw, "id") == [("1",), ("3",)]
    assert [text for _, _, text in raw.rejects] == ["short"]


def test_a_pattern_fits_one_file_unless_the_recipe_says_many(tmp_path: Path) -> None:
    for day in ("2", "1"):
        _write(tmp_path / f"log-{day}.csv", "id\n1\n")
    with pytest.raises(DataError, match="many = true"):
        find_files(tmp_path, FileSource(file="log-*.csv"))
    found = find_files(tmp_path, FileSource(file="log-*.csv", many=True))
    assert [path.name for path in found] == ["log-1.csv", "log-2.csv"]


@pytest.mark.parametrize(
    ("content", "how", "error", "expected"),
    [
        ("id,id\n1,2\n", {}, DataError, "names column 'id' twice"),
        ("id,kw\n", {}, DataError, "holds no rows"),
        ("id,kw\n1,2\n", {"encoding": "utf-9"}, RecipeError, "unknown encoding 'utf-9'"),
        ("[1]", {"format": "json_lists"}, DataError, "expected an object of lists"),
        ("{", {"format": "json_lists"}, DataError, "is not JSON"),
    ],
)
def test_files_that_cannot_be_read_say_why(
    work: Workspace,
    tmp_path: Path,
    content: str,
    how: dict[str, str],
    error: type[Exception],
    expected: str,
) -> None:
    path = _write(tmp_path / "a.csv", content)
    with pytest.raises(error, match=expected):
        _rows(work, path, "id", **how)
