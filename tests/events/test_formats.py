"""Delimited text: the same rows from every way to write it; refused rows keep their numbers."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from sargraph.core.errors import DataError, RecipeError
from sargraph.events.reading.files import find_files
from sargraph.events.reading.workspace import Workspace
from sargraph.events.recipe import FileSource

from .formats_fixture import open_file, rows_of, scan_of, write_file

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
    assert rows_of(work, write_file(tmp_path / "a.csv", content), "id", "kw") == EXPECTED


def test_columns_are_found_by_name_in_any_order(work: Workspace, tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.csv", "x,kw,id\n9,a,1\n8,b,2\n")
    assert rows_of(work, path, "id", "kw") == [("1", "a"), ("2", "b")]


def test_of_several_names_the_first_that_the_file_has_is_read(
    work: Workspace, tmp_path: Path
) -> None:
    raw = open_file(work, write_file(tmp_path / "users.csv", "user_id,reco_active_level\n1,7\n"))
    assert raw.column(("rec_active_level", "user_id")) == '"user_id"'
    level = raw.column(("rec_active_level", "reco_active_level"))
    assert [batch.to_pydict() for batch in raw.scan({"level": level})] == [{"level": ["7"]}]


def test_quotes_are_plain_characters_in_tsv(work: Workspace, tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.dat", 'id\tname\n1\t"Weird Al" Yankovic\n2\tRoyce da 5\'9"\n')
    expected = [("1", '"Weird Al" Yankovic'), ("2", "Royce da 5'9\"")]
    assert rows_of(work, path, "id", "name", format="tsv") == expected


def test_gzip_and_other_encodings_and_delimiters(work: Workspace, tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.csv.gz", gzip.compress("id;n\n1;é\n".encode("latin-1")))
    assert rows_of(work, path, "id", "n", encoding="latin-1", delimiter=";") == [("1", "é")]


def test_packed_files_of_one_name_in_several_folders_stay_apart(
    work: Workspace, tmp_path: Path
) -> None:
    opened = []
    for day in ("1", "2"):
        (tmp_path / day).mkdir()
        path = write_file(tmp_path / day / "log.csv.gz", gzip.compress(f"id\n{day}\n".encode()))
        opened.append(open_file(work, path))
    assert [scan_of(raw, "id") for raw in opened] == [[("1",)], [("2",)]]


def test_refused_rows_keep_their_numbers_and_texts(work: Workspace, tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.csv", 'id,kw\n1,"a\nb"\nshort\n2,x,y\n3,"q"r\n4,z\n')
    raw = open_file(work, path)
    assert scan_of(raw, "id", "kw") == [("1", "a\nb"), ("4", "z")]
    assert raw.row_numbers().tolist() == [1, 5]
    assert raw.rejects == [
        (2, "wrong number of columns", "short"),
        (3, "wrong number of columns", "2,x,y"),
        (4, "unbalanced quotes", '3,"q"r'),
    ]


def test_lines_swallowed_by_an_open_quote_are_all_counted(work: Workspace, tmp_path: Path) -> None:
    text = 'id,kw\n1,a\n2,"abc\n3,x\n4,"y"\n5,k\nshort\n6,l\n'
    raw = open_file(work, write_file(tmp_path / "a.csv", text))
    assert scan_of(raw, "id") == [("1",), ("5",), ("6",)]
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
    path = write_file(tmp_path / "a.csv", 'id,kw\n1,a\n2,"abc\n' + "3,x\n" * 5000)
    with pytest.raises(DataError, match=r"the quote in row 2 .* does not close"):
        rows_of(work, path, "id")


def test_blank_lines_are_no_rows(work: Workspace, tmp_path: Path) -> None:
    raw = open_file(work, write_file(tmp_path / "a.csv", "id,kw\n1,a\n\n\n\n3,b\nshort\n\n"))
    assert scan_of(raw, "id") == [("1",), ("3",)]
    assert raw.rejects == [(3, "wrong number of columns", "short")]
    assert raw.row_numbers().tolist() == [1, 2]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_blank_lines_before_a_refused_row_do_not_move_the_numbers(
    work: Workspace, tmp_path: Path, end: str
) -> None:
    lines = ["id,kw", "1,a", "", "", "short", '2,"x', "", 'y"', "", "z", "3,b", ""]
    raw = open_file(work, write_file(tmp_path / "a.csv", end.join(lines)))
    found = [(key, text.replace("\r", "")) for key, text in scan_of(raw, "id", "kw")]
    assert found == [("1", "a"), ("2", "x\n\ny"), ("3", "b")]
    assert [(row, text.strip()) for row, _, text in raw.rejects] == [(2, "short"), (4, "z")]
    assert raw.row_numbers().tolist() == [1, 3, 5]


def test_a_pattern_fits_one_file_unless_the_recipe_says_many(tmp_path: Path) -> None:
    for day in ("2", "1"):
        write_file(tmp_path / f"log-{day}.csv", "id\n1\n")
    with pytest.raises(DataError, match="many = true"):
        find_files(tmp_path, FileSource(file="log-*.csv"))
    found = find_files(tmp_path, FileSource(file="log-*.csv", many=True))
    assert [path.name for path in found] == ["log-1.csv", "log-2.csv"]


@pytest.mark.parametrize(
    ("content", "how", "error", "expected"),
    [
        ("id,id\n1,2\n", {}, DataError, "names column 'id' twice"),
        ("id,ID\n1,2\n", {}, DataError, "names column 'ID' twice .*'id'"),
        ('{"id": 1}\n{"Id": 2}', {"format": "jsonl"}, DataError, "names column 'Id' twice"),
        ("[1]\n", {"format": "jsonl"}, RecipeError, "no column 'id'"),
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
    path = write_file(tmp_path / "a.csv", content)
    with pytest.raises(error, match=expected):
        rows_of(work, path, "id", **how)
