"""Bad input: each kind ends in one clear line with status 2, or in a counted quarantine."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sargraph.core.errors import BadInputError, DataError, RecipeError
from sargraph.events.ingest import ingest

Shop: TypeAlias = Callable[..., tuple[Path, Path]]

HEADER = "user,product,at,clicked\n"
GOOD = "ann,p1,1700000100,1\n"


def _refusal(recipe: Path, folder: Path) -> BadInputError:
    with pytest.raises(BadInputError) as caught:
        ingest(recipe, folder)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_missing_folder_and_a_missing_file_are_named(shop: Shop, tmp_path: Path) -> None:
    recipe, folder = shop()
    assert "no such folder" in str(_refusal(recipe, tmp_path / "nowhere"))
    (folder / "shown.csv").rename(folder / "showm.csv")
    error = _refusal(recipe, folder)
    assert isinstance(error, DataError)
    assert "did you mean 'showm.csv'" in str(error)


def test_a_missing_column_names_the_nearest(shop: Shop) -> None:
    recipe, folder = shop(shown=HEADER.replace("product", "prodct") + GOOD)
    error = _refusal(recipe, folder)
    assert isinstance(error, RecipeError)
    assert "shown.csv has no column 'product'" in str(error)
    assert "did you mean 'prodct'" in str(error)


def test_an_unknown_recipe_key_names_the_nearest(shop: Shop) -> None:
    recipe, folder = shop(recipe=("query =", "qeury ="))
    assert "did you mean 'query'" in str(_refusal(recipe, folder))


@pytest.mark.parametrize("content", ["", HEADER], ids=["no bytes", "only a header"])
def test_an_empty_file(shop: Shop, content: str) -> None:
    assert "shown.csv" in str(_refusal(*shop(shown=content)))


def test_bytes_that_are_not_utf8_are_named_by_place_and_a_declared_encoding_reads_them(
    shop: Shop,
) -> None:
    text = "user,product,at,text\nann,p1,1700000000,caf\u00e9\n"
    recipe, folder = shop(searches=text.encode("latin-1"))
    error = str(_refusal(recipe, folder))
    at = text.index("\u00e9")
    assert f"byte 0xe9 at offset {at}" in error and 'encoding = "latin-1"' in error
    recipe, folder = shop(
        searches=text.encode("latin-1"),
        recipe=('file = "searches.csv"', 'file = "searches.csv"\nencoding = "latin-1"'),
    )
    assert ingest(recipe, folder).queries.ids == ("caf\u00e9",)


def test_the_offset_of_a_bad_byte_is_right_beyond_the_first_block(shop: Shop) -> None:
    filler = "ann,p1,1700000000,caf\u00e9\n" * 100_000
    content = ("user,product,at,text\n" + filler).encode() + b"ann,p1,1700000000,\xff\n"
    assert f"byte 0xff at offset {content.index(0xFF)}" in str(_refusal(*shop(searches=content)))


@pytest.mark.parametrize(
    ("time", "likely"), [("1700000000", "'s'"), ("1700000000000000", "'us'")], ids=["s", "us"]
)
def test_seconds_and_microseconds_declared_as_milliseconds(
    shop: Shop, time: str, likely: str
) -> None:
    wrong = 'source = "recommend"\nuser = "user"\nitem = "product"\ntime = { column = "at", unit'
    recipe, folder = shop(
        shown=HEADER + GOOD.replace("1700000100", time),
        recipe=(f'{wrong} = "s"', f'{wrong} = "ms"'),
    )
    error = _refusal(recipe, folder)
    assert isinstance(error, DataError)
    assert "declared in 'ms'" in str(error) and f"looks like {likely}" in str(error)


@pytest.mark.parametrize("missing", ["", "NaN", "nan", "null", "None", "NA", "  ", "\\N"])
def test_ids_that_are_none_are_put_in_quarantine(shop: Shop, missing: str) -> None:
    rows = f"{missing},p1,1700000100,1\nann,{missing},1700000100,1\n"
    report = ingest(*shop(shown=HEADER + rows + GOOD)).report
    assert report["quarantined_by_reason"] == {"no item id": 1, "no user id": 1}
    assert [row["row"] for row in report["quarantine_sample"]] == [1, 2]
    assert report["files"]["shown.csv"]["used"] == 1


def test_duplicate_events_are_counted_and_the_first_is_kept(shop: Shop) -> None:
    events = ingest(*shop(shown=HEADER + GOOD * 3))
    assert events.report["merged_by_reason"] == {"duplicate": 2}
    assert int(events.is_recommend.sum()) == 1


def test_future_times_are_put_in_quarantine(shop: Shop) -> None:
    recipe, folder = shop(shown=HEADER + GOOD * 2 + "ann,p9,1700200000,1\n")
    now = 1700000100 * 1000
    report = ingest(recipe, folder, now=now).report
    assert report["quarantined_by_reason"] == {"time in the future": 1}
    later = ingest(recipe, folder, now=now + 2 * 86_400_000).report
    assert later["quarantined"] == 0


def test_rows_with_a_wrong_number_of_columns_are_put_in_quarantine(shop: Shop) -> None:
    report = ingest(*shop(shown=HEADER + "ann,p1\n" + GOOD + "ann,p1,1,1,1\n")).report
    assert report["quarantined_by_reason"] == {"wrong number of columns": 2}
    assert report["rows"] == report["used"] + report["quarantined"] == 6


def test_a_truncated_gzip(shop: Shop) -> None:
    recipe, folder = shop(recipe=('"shown.csv"', '"shown.csv.gz"'))
    packed = gzip.compress((HEADER + GOOD * 1000).encode())
    for content in (packed[:-20], packed[:30], b"not a gzip"):
        (folder / "shown.csv.gz").write_bytes(content)
        error = _refusal(recipe, folder)
        assert isinstance(error, DataError)
        assert "damaged gzip" in str(error)


def test_a_truncated_parquet(shop: Shop) -> None:
    recipe, folder = shop(recipe=('file = "shown.csv"', 'file = "s.parquet"\nformat = "parquet"'))
    path = folder / "s.parquet"
    columns = {"user": ["a"], "product": ["p"], "at": [1700000000], "clicked": [True]}
    pq.write_table(pa.table(columns), path)
    whole = path.read_bytes()
    assert ingest(recipe, folder).report["recommend_events"] == 1
    for content in (whole[:-10], whole[:20], b"", b"PAR1" + bytes(60) + whole[-40:]):
        path.write_bytes(content)
        error = _refusal(recipe, folder)
        assert isinstance(error, DataError)
        assert "s.parquet" in str(error)


def test_a_damaged_page_inside_a_whole_parquet(shop: Shop) -> None:
    recipe, folder = shop(recipe=('file = "shown.csv"', 'file = "s.parquet"\nformat = "parquet"'))
    path = folder / "s.parquet"
    columns = {"user": ["a"], "product": ["p"], "at": [1700000000], "clicked": [True]}
    pq.write_table(pa.table(columns), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes([0xFF] * 40) + whole[44:])
    assert isinstance(_refusal(recipe, folder), DataError)


def test_a_log_without_any_usable_row_is_refused_with_the_reasons(shop: Shop) -> None:
    recipe, folder = shop(
        searches="user,product,at,text\n,p,1700000000,x\n", shown=HEADER + ",,,\n"
    )
    assert "no user id" in str(_refusal(recipe, folder))


def test_nothing_is_written_when_the_input_is_bad(shop: Shop, tmp_path: Path) -> None:
    recipe, folder = shop(shown="")
    with pytest.raises(DataError):
        ingest(recipe, folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_quarantined_text_is_cut(shop: Shop, tmp_path: Path) -> None:
    recipe, folder = shop(shown=HEADER + f",{'x' * 5000},1700000100,1\n" + GOOD)
    ingest(recipe, folder, tmp_path / "out")
    [row] = pq.read_table(tmp_path / "out" / "quarantine.parquet").to_pylist()
    assert (row["file"], row["row"], row["reason"]) == ("shown.csv", 1, "no user id")
    assert len(row["text"]) == 200
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["quarantined"] == 1
