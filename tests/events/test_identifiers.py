"""Ids: one spelling per id however it is written, and codes in the order of the sorted ids."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sargraph.core.types import NO_ROW
from sargraph.events.ingest import ingest
from sargraph.events.reading.identifiers import Coded, canonical_ids, count_alike
from sargraph.events.text import canonical_id

Shop: TypeAlias = Callable[..., tuple[Path, Path]]

COMPOSED, APART = "caf\u00e9", "cafe\u0301"
BIG = 2**53 + 1


def _coded(values: list[object], type_: pa.DataType | None = None) -> Coded:
    return Coded.from_column(pa.chunked_array([pa.array(values, type_)]))


@pytest.mark.parametrize(
    ("values", "type_", "expected"),
    [
        (["7", " 7 ", "7.0", "7.000", "\t7\n"], pa.string(), ["7"]),
        ([7, 7], pa.int64(), ["7"]),
        ([7.0], pa.float64(), ["7"]),
        (["007", "7", "07"], pa.string(), ["007", "07", "7"]),
        ([COMPOSED, APART], pa.string(), [COMPOSED]),
        (["Ann", "ann", "ANN"], pa.string(), ["ANN", "Ann", "ann"]),
        ([BIG, BIG + 1, -(2**63)], pa.int64(), sorted(map(str, (BIG, BIG + 1, -(2**63))))),
        (["7.5", "7.", "-7.0", "1e3"], pa.string(), ["-7", "1e3", "7", "7.5"]),
        (["a\0b", "\U0001f600"], pa.string(), ["a\0b", "\U0001f600"]),
    ],
)
def test_mixed_type_ids_have_one_canonical_rule(
    values: list[object], type_: pa.DataType, expected: list[str]
) -> None:
    assert _coded(values, type_).ids == sorted(expected)


@pytest.mark.parametrize(
    "none", ["", "  ", "NaN", "nan", "null", "NULL", "None", "NA", "<NA>", "\\N"]
)
def test_texts_that_mean_none_are_no_ids(none: str) -> None:
    coded = _coded(["a", none, None, "b"])
    assert coded.ids == ["a", "b"]
    assert coded.codes.tolist() == [0, NO_ROW, NO_ROW, 1]


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=6), st.sampled_from(["7", "7.0", " 7"]))))
def test_codes_point_into_the_sorted_canonical_ids(values: list[str | None]) -> None:
    coded = _coded([*values], pa.string())
    assert coded.ids == sorted(set(coded.ids), key=lambda text: text.encode())
    for value, code in zip(values, coded.codes.tolist(), strict=True):
        [canonical] = canonical_ids(pa.array([value], pa.string())).to_pylist()
        assert (coded.ids[code] if code != NO_ROW else None) == canonical
        if canonical is not None and value is not None:
            assert canonical == canonical_id(value)


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=6), min_size=1, max_size=4))
def test_parts_are_united_in_one_vocabulary(parts: list[list[str]]) -> None:
    coded = [_coded([*part], pa.string()) for part in parts]
    ids, tables = Coded.unite(coded)
    assert ids == sorted(set().union(*parts))
    for part, own, table in zip(parts, coded, tables, strict=True):
        assert [ids[table[code]] for code in own.codes] == part


def test_what_looks_alike_is_counted_and_stays_apart() -> None:
    num_alike, sample = count_alike(["007", "7", "Ann", "ann", "b", "0", "00"])
    assert num_alike == 3
    assert sample == ["007 and 7", "Ann and ann", "0 and 00"]


def test_spellings_that_became_one_are_counted_and_shown() -> None:
    coded = _coded(["7", "7.0", " 7", "8", "8", None])
    assert (coded.num_joined, coded.joined) == (2, [("7.0", "7"), (" 7", "7")])


def test_missing_texts_of_the_recipe_are_no_ids() -> None:
    column = pa.chunked_array([pa.array(["-1", "0", "1"])])
    assert Coded.from_column(column, ("-1", "0")).ids == ["1"]


def test_ids_of_different_types_meet_in_one_vocabulary(shop: Shop) -> None:
    """Huge int64 ids of a Parquet file are those that the other log writes as texts."""
    recipe, folder = shop(
        searches=f"user,product,at,text\n{BIG},7,1700000000,x\n 8 ,7.0,1700000001,y\n",
        recipe=('file = "shown.csv"', 'file = "s.parquet"\nformat = "parquet"'),
    )
    columns = {
        "user": pa.array([BIG, BIG + 1, 8], pa.int64()),
        "product": pa.array([7.0, 8.0, 7.0], pa.float64()),
        "at": pa.array([1_700_000_100] * 3, pa.int64()),
        "clicked": pa.array([True, False, True]),
    }
    pq.write_table(pa.table(columns), folder / "s.parquet")
    events = ingest(recipe, folder)
    assert set(events.users.ids) == {str(BIG), str(BIG + 1), "8"}
    assert set(events.items.ids) == {"7", "8"}
    of_user = {events.users.ids[u]: int((events.user == u).sum()) for u in range(3)}
    assert of_user == {str(BIG): 2, str(BIG + 1): 1, "8": 2}
    assert events.report["ids"]["item"]["spellings_joined"] == 1


def test_missing_texts_are_compared_as_the_ids_they_spell() -> None:
    column = pa.chunked_array([pa.array(["0.0", "0", " 0 ", "1", "00"])])
    assert Coded.from_column(column, ("0.0",)).ids == ["00", "1"]
