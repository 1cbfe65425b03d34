"""Slates: the shown items of a row, against a loop over the texts."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sargraph.events.reading.slates import read_slates


def _read(texts: list[str | None], separator: str) -> list[tuple[int, int, str]]:
    column = pa.chunked_array([texts[: len(texts) // 2], texts[len(texts) // 2 :]], pa.string())
    shown = read_slates(column, separator)
    assert len(shown.lengths) == len(texts)
    columns = (shown.row.tolist(), shown.place.tolist(), shown.item.to_pylist())
    return list(zip(*columns, strict=True))


def _naive(lists: list[list[str]]) -> list[tuple[int, int, str]]:
    entries = ((r, p, e) for r, shown in enumerate(lists) for p, e in enumerate(shown))
    return [(row, place, entry.strip()) for row, place, entry in entries if entry.strip()]


ENTRIES = st.lists(st.lists(st.sampled_from(["7", " 12 ", "", "a b", "é", "10913"])))


@settings(deadline=None)
@given(ENTRIES, st.sampled_from(["|", ",", "__", "\x18"]))
def test_lists_with_a_separator(lists: list[list[str]], separator: str) -> None:
    assert _read([separator.join(shown) for shown in lists], separator) == _naive(lists)


@settings(deadline=None)
@given(ENTRIES)
def test_json_lists(lists: list[list[str]]) -> None:
    assert _read([json.dumps(shown) for shown in lists], "json") == _naive(lists)


@pytest.mark.parametrize("separator", ["|", "json"])
def test_rows_without_a_list_show_nothing(separator: str) -> None:
    assert _read([None, "", "  "], separator) == []
    assert _read([], separator) == []


def test_numbers_of_json_lists_are_ids_and_broken_lists_show_nothing() -> None:
    texts = ["[7, 103656000000]", "[1, 2", "{}", "[[1]]", '["x|y"]']
    assert _read(texts, "json") == [(0, 0, "7"), (0, 1, "103656000000"), (4, 0, "x|y")]
