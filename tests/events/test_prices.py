"""Prices: read beside slates or from a column, and carried through every step of an ingestion."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sargraph.core.artifact import MANIFEST, read_manifest
from sargraph.core.rng import make_rng
from sargraph.events.events import PRICE, Events
from sargraph.events.ingest import ingest
from sargraph.events.reading.prices import as_prices, read_prices
from sargraph.events.reading.slates import read_slates
from sargraph.events.schema import ACTIONS

from .formats_fixture import ingest_files, lines_of, parquet_bytes

RECIPE = """
name = "hotels"
[[tables]]
file = "log.csv"
source = "recommend"
user = "user"
item = "item"
time = { column = "at", unit = "s" }
slate = { column = "shown", list = "|" }
slate_price = "prices"
"""
HEADER = "user,item,at,shown,prices\n"


def _as_price(entry: Any) -> tuple[float, bool]:
    """(price or NaN, is it unreadable) of one entry, by Python's own rules."""
    text = "" if entry is None else str(entry).strip()
    if text.lower() in ("", "nan", "null", "none", "na", "<na>", "\\n"):
        return math.nan, False
    try:
        value = float(text)
    except ValueError:
        return math.nan, True
    fits = 0 <= value <= float(np.finfo(np.float32).max)
    return (value if fits else math.nan), not fits


def _naive(slates: list[list[str]], prices: list[list[Any]]) -> tuple[list[float], Counter[str]]:
    found, counts = [], Counter(unequal_price_list=0, unreadable_price=0)
    for shown, given_ in zip(slates, prices, strict=True):
        fits = len(shown) == len(given_)
        counts["unequal_price_list"] += bool(given_) and not fits
        for place, item in enumerate(shown):
            price, bad = _as_price(given_[place]) if fits else (math.nan, False)
            counts["unreadable_price"] += bad
            found += [price] if item else []
    return found, counts


SLATES = st.lists(st.lists(st.sampled_from(["a", "b", "", "c d"]), max_size=3), max_size=6)
ENTRY = st.sampled_from(["7", " 71.5 ", "", "free", "-3", "0", "1e3", "NaN", "inf", "1e39", "null"])


def _some_prices(slates: list[list[str]], draw: Any, entry: Any) -> list[list[Any]]:
    lengths = [len(shown) + draw(st.sampled_from([0, 0, 0, 1, -1])) for shown in slates]
    return [[draw(entry) for _ in range(max(length, 0))] for length in lengths]


def _is_one(entries: list[str]) -> bool:
    """A list of blanks alone, without a separator, is an empty text: no list."""
    return len(entries) != 1 or bool(entries[0].strip())


@settings(deadline=None, max_examples=200)
@given(st.data(), SLATES, st.sampled_from(["|", ",", "__"]))
def test_lists_with_a_separator_against_a_loop(
    data: st.DataObject, slates: list[list[str]], separator: str
) -> None:
    prices = _some_prices(slates, data.draw, ENTRY)
    slates, prices = (
        [entries if _is_one(entries) else [] for entries in lists] for lists in (slates, prices)
    )
    columns = [
        pa.chunked_array([[separator.join(entries) for entries in lists]], pa.string())
        for lists in (slates, prices)
    ]
    found, counts = read_prices(columns[1], separator, read_slates(columns[0], separator))
    expected, expected_counts = _naive(slates, prices)
    assert np.array_equal(found, np.array(expected, np.float32), equal_nan=True)
    assert counts == expected_counts


@settings(deadline=None, max_examples=100)
@given(st.data(), SLATES)
def test_json_lists_of_numbers_and_nulls_against_a_loop(
    data: st.DataObject, slates: list[list[str]]
) -> None:
    prices = _some_prices(slates, data.draw, st.sampled_from([7, 71.5, None, -3, 0, "5", "x"]))
    shown = read_slates(pa.chunked_array([[json.dumps(s) for s in slates]], pa.string()), "json")
    texts = [json.dumps(entries) if entries else "" for entries in prices]
    found, counts = read_prices(pa.chunked_array([texts], pa.string()), "json", shown)
    expected, expected_counts = _naive(slates, prices)
    assert np.array_equal(found, np.array(expected, np.float32), equal_nan=True)
    assert counts == expected_counts


@given(st.lists(st.floats(), max_size=20))
@example([math.nan, math.inf, -math.inf, -0.0, -1e-9, 3.5e38, 1e-50])
def test_numbers_that_are_no_price_are_unknown(values: list[float]) -> None:
    prices, bad = as_prices(np.array(values, dtype=np.float64))
    for value, price, is_bad in zip(values, prices.tolist(), bad.tolist(), strict=True):
        fits = 0 <= value <= float(np.finfo(np.float32).max)
        assert is_bad == (not fits and not math.isnan(value))
        assert price == np.float32(value) if fits else math.isnan(price)


def _priced(events: Events) -> dict[tuple[str, int, str, str], float | None]:
    """(user, seconds, item, action) -> price; None = unknown."""
    assert events.price is not None
    names = zip(lines_of(events), events.columns["action"].tolist(), strict=True)
    return {
        (user, time // 1000 - 1_700_000_000, item, ACTIONS[action]): None if p != p else float(p)
        for ((user, item, time, *_), action), p in zip(names, events.price.tolist(), strict=True)
    }


def test_every_shown_item_has_the_price_beside_it(tmp_path: Path) -> None:
    rows = [
        "v,b,1700000020,a|b|c,1.5|2.5|3.5",  # users and times out of order
        "u,b,1700000010,a||b|a,7||9|8",  # an empty place, and an item shown twice
        "u,z,1700000000,a|b,5|6",  # the item clicked was not shown
        "u,a,1700000030,,",
        "u,c,1700000040,a|b|c,5|6",
        "u,c,1700000050,c|a,|-4",
    ]
    events = ingest_files(tmp_path, RECIPE, {"log.csv": HEADER + "\n".join(rows) + "\n"})
    assert _priced(events) == {
        ("u", 0, "a", "impression"): 5, ("u", 0, "b", "impression"): 6,
        ("u", 0, "z", "click"): None, ("u", 10, "a", "impression"): 7,
        ("u", 10, "b", "click"): 9, ("u", 30, "a", "click"): None,
        ("u", 40, "a", "impression"): None, ("u", 40, "b", "impression"): None,
        ("u", 40, "c", "click"): None, ("u", 50, "a", "impression"): None,
        ("u", 50, "c", "click"): None, ("v", 20, "a", "impression"): 1.5,
        ("v", 20, "b", "click"): 2.5, ("v", 20, "c", "impression"): 3.5,
    }  # fmt: skip
    notes = events.report["notes"]
    assert (notes["unequal_price_list"], notes["unreadable_price"]) == (1, 1)
    assert (events.report["priced_events"], notes["merged_events"]) == (7, 1)


def test_filters_keep_prices_with_their_events(tmp_path: Path) -> None:
    """The core, the cap and merging of repeats: what is left has the price it had before."""
    rng = make_rng(0, "prices")
    lines = [HEADER]
    for n in range(300):
        user, at = min(rng.integers(1, 7, 2)), 1_700_000_000 + rng.integers(60)
        shown = [f"i{i}" for i in rng.permutation(12)[:4]]
        prices = "|".join(str(10 * int(s[1:]) + int(user)) for s in shown)
        lines.append(f"u{user},{shown[n % 4]},{at},{'|'.join(shown)},{prices}\n")
    files = {"log.csv": "".join(lines)}
    sizes = []
    for overrides in (
        [], ["max_user_events=60"], ["core.min_item_users=5", "core.min_user_items=8"],
        ["duplicates=last"], ["duplicates=keep"],
    ):  # fmt: skip
        events = ingest_files(tmp_path, RECIPE, files, overrides=overrides)
        sizes.append(len(events))
        for (user, item, *_), price in zip(lines_of(events), events.price.tolist(), strict=True):
            assert price == 10 * int(item[1:]) + int(user[1:])
    assert len(set(sizes)) >= 4


def test_tables_without_prices_beside_one_with(tmp_path: Path) -> None:
    other = RECIPE.split("[[tables]]")[1].replace("log.csv", "other.csv").split("slate =")[0]
    files = {
        "log.csv": HEADER + "u,a,1700000000,a|b,5|6\n",
        "other.csv": "user,item,at\nu,b,1700000005\n",
    }
    events = ingest_files(tmp_path, f"{RECIPE}[[tables]]{other}", files)
    assert _priced(events) == {
        ("u", 0, "a", "click"): 5, ("u", 0, "b", "impression"): 6, ("u", 5, "b", "click"): None,
    }  # fmt: skip


ONE = RECIPE.replace("slate_price = ", "price = ").replace(
    'slate = { column = "shown", list = "|" }', ""
)
VALUES = ["7", "", "71.5", "cheap", "-1"]


@pytest.mark.parametrize("format_", ["csv", "jsonl", "parquet"])
def test_a_column_of_prices(tmp_path: Path, format_: str) -> None:
    recipe = ONE.replace('"log.csv"', f'"log.{format_}"\nformat = "{format_}"')
    rows = [("u", f"i{n}", 1_700_000_000 + n, value) for n, value in enumerate(VALUES)]
    header = HEADER.replace("shown,", "").strip().split(",")
    content: str | bytes
    if format_ == "parquet":
        columns = dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))
        columns["prices"] = [7.0, None, 71.5, math.inf, -1.0]
        content = parquet_bytes(**columns)
    elif format_ == "jsonl":
        lines = [dict(zip(header, row, strict=True)) for row in rows]
        content = "".join(json.dumps(line) + "\n" for line in lines)
    else:
        content = "\n".join(",".join(map(str, row)) for row in [header, *rows]) + "\n"
    events = ingest_files(tmp_path, recipe, {f"log.{format_}": content})
    expected = [7, math.nan, 71.5, math.nan, math.nan]
    assert np.array_equal(events.price, np.array(expected, np.float32), equal_nan=True)
    assert events.report["notes"]["unreadable_price"] == 2
    assert events.report["used"] == len(VALUES)


def test_the_price_of_a_row_is_not_that_of_what_was_shown_beside_it(tmp_path: Path) -> None:
    recipe = RECIPE.replace("slate_price", "price")
    events = ingest_files(tmp_path, recipe, {"log.csv": HEADER + "u,a,1700000000,a|b,5\n"})
    assert _priced(events) == {("u", 0, "a", "click"): 5, ("u", 0, "b", "impression"): None}


LOG = {"log.csv": HEADER + "u,a,1700000000,a|b|c,5|6|\nv,b,1700000000,a|b,7|8\n"}


def test_prices_are_saved_loaded_and_selected(tmp_path: Path) -> None:
    events = ingest_files(tmp_path, RECIPE, LOG)
    loaded = Events.load(tmp_path / "out")
    assert loaded.price is not None and loaded.price.dtype == np.float32
    assert np.array_equal(loaded.price, events.price, equal_nan=True)
    rows = np.flatnonzero(loaded.is_positive)
    assert loaded.select(rows).price.tolist() == [5, 8]
    assert loaded.select(loaded.is_positive).price.tolist() == [5, 8]
    loaded.save(tmp_path / "again")
    copies = [tmp_path / name / PRICE for name in ("out", "again")]
    assert copies[0].read_bytes() == copies[1].read_bytes()


def test_events_without_prices_have_no_file_of_them(tmp_path: Path) -> None:
    recipe = RECIPE.replace('slate_price = "prices"', "")
    events = ingest_files(tmp_path, recipe, LOG)
    assert events.price is None and Events.load(tmp_path / "out").price is None
    assert PRICE not in read_manifest(tmp_path / "out").files
    assert "priced_events" not in events.report
    assert "unequal_price_list" not in events.report["notes"]


def test_an_artefact_from_before_there_were_prices_can_be_loaded(tmp_path: Path) -> None:
    """What older versions wrote: the same files without that of prices, and no key of theirs."""
    ingest_files(tmp_path, RECIPE.replace('slate_price = "prices"', ""), LOG)
    path = tmp_path / "out" / MANIFEST
    manifest = json.loads(path.read_text())
    for table in manifest["config"]["recipe"]["tables"]:
        table.pop("price")
    path.write_text(json.dumps(manifest))
    assert Events.load(tmp_path / "out").price is None


def test_prices_of_another_length_are_no_prices_of_these_events(tmp_path: Path) -> None:
    events = ingest_files(tmp_path, RECIPE, LOG)
    parts = {**vars(events), "price": np.zeros(len(events) + 1, np.float32)}
    with pytest.raises(ValueError, match="price must be"):
        Events(**parts)


def test_threads_do_not_change_a_byte_of_prices(tmp_path: Path) -> None:
    rng = make_rng(1, "prices")
    lines = [HEADER]
    for _ in range(60_000):
        shown = rng.integers(0, 300, 3)
        prices = [f"{p / 100}" if p % 7 else "" for p in rng.integers(0, 9999, 3).tolist()]
        at = 1_700_000_000 + rng.integers(500)
        slate, price = "|".join(f"i{s}" for s in shown), "|".join(prices)
        lines.append(f"u{rng.integers(50)},i{shown[0]},{at},{slate},{price}\n")
    ingest_files(tmp_path, RECIPE, {"log.csv": "".join(lines)}, threads=1)
    two = ingest(tmp_path / "recipe.toml", tmp_path / "logs", tmp_path / "two", threads=2)
    for name in (PRICE, "events.parquet", "report.json"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    assert 0 < two.report["priced_events"] < len(two)
