"""Ids in text formats: any id comes back, no reader splits one, no spreadsheet runs one."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sargraph.embedding.export_csv import safe_cell, text_of_cell, write_csv
from sargraph.embedding.export_word2vec import float_format, id_of_word, word_of_id
from sargraph.events.vocabulary import Vocabulary
from sargraph.testing.tables import embeddings_of, random_tables

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
RISKY = st.text("=+-@＝,;|\t\r\n '\"\u200b\x00a1")  # noqa: RUF001


@given(TEXT | RISKY)
def test_an_id_is_one_word_and_comes_back(id_: str) -> None:
    word = word_of_id(id_)
    assert word.split() == [word] and word.splitlines() == [word]
    assert not any(ord(sign) < 0x20 or 0x7F <= ord(sign) < 0xA0 for sign in word)
    assert id_of_word(word) == id_
    assert id_ == "" or unquote(word) == id_


def test_plain_ids_stay_as_they_are() -> None:
    for id_ in ("item7", "辣面", "a/b", "x=1", "ä-ö", "../x"):
        assert word_of_id(id_) == id_
    assert word_of_id("spicy noodle%") == "spicy%20noodle%25"
    assert word_of_id("") == "%" and word_of_id("%") == "%25"


@given(TEXT | RISKY)
def test_a_guarded_text_comes_back(text: str) -> None:
    assert text_of_cell(safe_cell(text)) == text


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", " =1", "\ufeff=1"])
def test_what_a_spreadsheet_would_run_is_guarded(text: str) -> None:
    assert safe_cell(text) == "'" + text


def test_only_what_could_be_run_is_changed() -> None:
    for text in ("spicy noodle", "a-b", "it's", "a, b", "1=1", "x@y.z", ""):
        assert safe_cell(text) == text
    assert safe_cell("a;=1") == "a;'=1"
    assert safe_cell("'tis") == "''tis"


def first_visible(cell: str) -> str:
    return next((sign for sign in cell if sign.isprintable() and not sign.isspace()), "")


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(RISKY, RISKY), min_size=1, max_size=4, unique_by=lambda pair: pair[0]))
def test_no_cell_is_a_formula_whatever_separator_the_spreadsheet_takes(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    folder: Path = tmp_path_factory.mktemp("csv")
    ids, names = zip(*rows, strict=True)
    tables = random_tables(1, dim=2, item=len(rows))
    write_csv(embeddings_of(tables, {"item": Vocabulary(ids, names)}), folder)
    text = (folder / "item.csv").read_bytes().decode("utf-8")
    for separator in ",;|\t":
        for line in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            for cell in line:
                assert first_visible(cell) not in tuple("=+-@＝") or is_number(cell)  # noqa: RUF001
                assert separator != "," or not cell.startswith(("\t", "\r", "\n"))


@given(st.floats(width=32, allow_nan=False))
def test_nine_digits_name_a_float32_uniquely(value: float) -> None:
    text = float_format(2, " ") % (value, -value)
    for reader in (np.float32, float):  # at once, or through a double
        read = np.array([reader(cell) for cell in text.split(" ")]).astype(np.float32)
        expected = np.array([value, -value], np.float32)
        np.testing.assert_array_equal(read.view(np.int32), expected.view(np.int32))
