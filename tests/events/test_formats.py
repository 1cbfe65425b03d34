"""File formats: the same rows come out of every one, and refused rows keep their numbers."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sargraph.core.errors import DataError, RecipeError
from sargraph.events.reading.files import find_files
from sargraph.events.reading.raw import load
from sargraph.events.reading.workspace import Workspace, workspace
from sargraph.events.recipe import FileSource


@pytest.fixture
def work() -> Iterator[Workspace]:
    with workspace() as opened:
        yield opened


def _rows(work: Workspace, path: Path, *names: str, **how: object) -> list[tuple[str | None, ...]]:
    source = FileSource.model_validate({"file": path.name, **how})
    raw = load(work, path, source, [(name,) for name in names])
    table = raw.select({name: raw.column((name,)) for name in names})
    return list(zip(*(table[name].to_pylist() for name in names), strict=True))


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
    path = _write(tmp_path / "users.csv", "user_id,reco_active_level\n1,7\n")
    raw = load(work, path, FileSource(file="users.csv"), [("user_id",)])
    assert raw.column(("rec_active_level", "user_id")) == '"user_id"'
    names = ("rec_active_level", "reco_active_level")
    again = load(work, path, FileSource(file="users.csv"), [names])
    assert again.select({"level": again.column(names)})["level"].to_pylist() == ["7"]


def test_quotes_are_plain_characters_in_tsv(work: Workspace, tmp_path: Path) -> None:
    path = _write(tmp_path / "a.dat", 'id\tname\n1\t"Weird Al" Yankovic\n2\tRoyce da 5\'9"\n')
    expected = [("1", '"Weird Al" Yankovic'), ("2", "Royce da 5'9\"")]
    assert _rows(work, path, "id", "name", format="tsv") == expected


def test_gzip_and_other_encodings_and_delimiters(work: Workspace, tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv.gz", gzip.compress("id;n\n1;é\n".encode("latin-1")))
    assert _rows(work, path, "id", "n", encoding="latin-1", delimiter=";") == [("1", "é")]


def test_parquet(work: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": [1, 2], "t": [1.5e12, None], "l": [[20, 3], []]}), path)
    expected = [("1", "1500000000000.0", "[20,3]"), ("2", None, "[]")]
    assert _rows(work, path, "id", "t", "l", format="parquet") == expected


def test_jsonl(work: Workspace, tmp_path: Path) -> None:
    lines = [json.dumps({"id": 1, "l": ["a", 2]}), "{broken", json.dumps({"l": None, "id": "x"})]
    path = _write(tmp_path / "a.jsonl", "\n".join(lines))
    expected = [("1", '["a", 2]'), ("x", None)]
    assert _rows(work, path, "id", "l", format="jsonl") == expected
    assert work.quarantine.rows == [2]
    assert work.quarantine.reasons == ["not a JSON object"]


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
    raw = load(work, path, FileSource(file="a.csv"), [("id",), ("kw",)])
    assert raw.numbers.tolist() == [1, 5]
    assert raw.num_rows == 5
    found = zip(work.quarantine.rows, work.quarantine.reasons, work.quarantine.texts, strict=True)
    assert list(found) == [
        (2, "wrong number of columns", "short"),
        (3, "wrong number of columns", "2,x,y"),
        (4, "unbalanced quotes", '3,"q"r'),
    ]


def test_lines_swallowed_by_an_open_quote_are_all_counted(work: Workspace, tmp_path: Path) -> None:
    text = 'id,kw\n1,a\n2,"abc\n3,x\n4,"y"\n5,k\nshort\n6,l\n'
    raw = load(work, _write(tmp_path / "a.csv", text), FileSource(file="a.csv"), [("id",)])
    assert raw.numbers.tolist() == [1, 5, 7]
    assert work.quarantine.rows == [2, 3, 4, 6]
    assert work.quarantine.texts == ['2,"abc', "3,x", '4,"y"', "short"]


def test_a_quote_that_swallows_the_rest_of_a_file_is_refused(
    work: Workspace, tmp_path: Path
) -> None:
    path = _write(tmp_path / "a.csv", 'id,kw\n1,a\n2,"abc\n' + "3,x\n" * 5000)
    with pytest.raises(DataError, match=r"the quote in row 2 .* does not close"):
        load(work, path, FileSource(file="a.csv"), [("id",)])


def test_blank_lines_are_no_rows(work: Workspace, tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", "id,kw\n1,a\n\n\n\n3,b\nshort\n\n")
    raw = load(work, path, FileSource(file="a.csv"), [("id",)])
    assert (len(raw), raw.num_rows) == (2, 3)
    assert work.quarantine.texts == ["short"]


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
