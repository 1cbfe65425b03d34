"""JDsearch: lists side by side, a test query with its candidates, and lists that do not fit."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sargraph.core.errors import DataError
from sargraph.core.types import NO_ROW
from sargraph.events.events import Events
from sargraph.events.ingest import ingest
from sargraph.events.schema import BUY, CLICK, IMPRESSION, LIKE
from sargraph.events.split import TEST, requests_for, split_events

T = "\x18"
HEADER = [
    "query",
    *("candidate_wid_list", "candidate_label_list"),
    *("history_qry_list", "history_wid_list", "history_type_list", "history_time_list"),
]
GOOD = [
    f"5{T}6",
    "11_12_13_14",
    "0_1.0_2_3",
    f"-1_5{T}6_5{T}6_-1",
    "1_2_3_11",
    "ORD_CLICK_CART_FLW",
]
PRODUCTS = "wid name brand_id brand_name cate_id_1 cate_name_1 cate_id_2 cate_name_2 "
PRODUCTS += "cate_id_3 cate_name_3 cate_id_4 cate_name_4 shop_id"


def _write(folder: Path, *rows: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    lines = ["\t".join(row) for row in (HEADER, *rows)]
    (folder / "user_behavior_data.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    product = ["11", f"8{T}9", "3", "", "70", "a", "71", f"b{T}c", "", "", "72", "d", "44"]
    products = ["\t".join(PRODUCTS.split()), "\t".join(product)]
    (folder / "product_meta_data.txt").write_text("\n".join(products) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def events(tmp_path: Path) -> Events:
    return ingest("jdsearch", _write(tmp_path / "jd", [*GOOD, "0_7_0_3_90"]))


def _rows(events: Events) -> list[tuple[str, int, int, str | None]]:
    """(item, place in time, action, query or None) of every event, in order."""
    queries = [None if q == NO_ROW else events.queries.ids[q] for q in events.query]
    items = [events.items.ids[item] for item in events.item]
    actions = events.columns["action"].tolist()
    return list(zip(items, events.time.tolist(), actions, queries, strict=True))


def test_gaps_add_up_and_the_last_one_leads_to_the_test_query(events: Events) -> None:
    assert _rows(events) == [
        ("1", 0, BUY, None),
        ("2", 7, CLICK, "5 6"),
        ("3", 7, LIKE, "5 6"),
        ("11", 10, LIKE, None),
        ("11", 100, IMPRESSION, "5 6"),
        ("12", 100, CLICK, "5 6"),
        ("13", 100, LIKE, "5 6"),
        ("14", 100, BUY, "5 6"),
    ]
    assert events.columns["position"].tolist() == [-1, -1, -1, -1, 0, 1, 2, 3]
    assert (events.time_kind, events.query_kind) == ("ordinal", "real")


def test_a_search_is_a_query_and_what_it_led_to(events: Events) -> None:
    assert events.session.tolist() == [-1, 0, 0, -1, 1, 1, 1, 1]


def test_products_have_terms_brands_shops_and_categories(events: Events) -> None:
    item = events.items.row("11")
    terms = [events.terms.ids[term] for term in events.item_terms[item]]
    assert terms == ["8", "9", "brand:3", "shop:44"]
    assert events.categories is not None
    found = [events.categories.vocabulary.ids[c] for c in events.categories.of_item[item]]
    assert found == ["1/70", "2/71", "4/72"]
    assert events.categories.level.tolist() == [1, 2, 4]


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        (6, "0_7_0_3", "lists of unequal length"),
        (4, "1_2_3", "lists of unequal length"),
        (5, "ORD_CLICK", "lists of unequal length"),
        (2, "0_1", "candidates and labels of unequal number"),
        (2, "0_1_2_9", "unknown label 9"),
        (6, "0_x_0_3_90", "unreadable time gap"),
        (6, "0_-7_0_3_90", "negative time gap"),
    ],
)
def test_ragged_lists_put_the_line_in_quarantine_with_the_reason(
    tmp_path: Path, column: int, value: str, reason: str
) -> None:
    good = [*GOOD, "0_7_0_3_90"]
    bad = [value if place == column else cell for place, cell in enumerate(good)]
    events = ingest("jdsearch", _write(tmp_path / "jd", good, bad, good))
    assert events.report["quarantined_by_reason"] == {reason: 1}
    assert (events.report["rows"], events.report["used"]) == (3, 2)
    assert events.users.ids == ("1", "3")


def test_a_short_line_and_another_file_are_refused(tmp_path: Path) -> None:
    good = [*GOOD, "0_7_0_3_90"]
    events = ingest("jdsearch", _write(tmp_path / "jd", good, good[:3]))
    assert events.report["quarantined_by_reason"] == {"lists of unequal length": 1}
    (tmp_path / "jd" / "user_behavior_data.txt").write_text("a\tb\n1\t2\n")
    with pytest.raises(DataError, match="expected the behaviour file of JDsearch"):
        ingest("jdsearch", tmp_path / "jd")


@pytest.fixture(scope="module")
def frame(data_dir: Path) -> pd.DataFrame:
    path = data_dir / "jdsearch_sample" / "user_behavior_data_sample.txt"
    frame = pd.read_csv(path, sep="\t", dtype=str, quoting=3, keep_default_na=False)
    return frame.apply(lambda column: column.str.split("_"))


@pytest.fixture(scope="module")
def sample(data_dir: Path) -> Events:
    return ingest("jdsearch", data_dir / "jdsearch_sample")


def test_the_sample_has_every_action_once(sample: Events, frame: pd.DataFrame) -> None:
    expected: set[tuple[object, ...]] = set()
    names = {"ORD": BUY, "CART": LIKE, "FLW": LIKE, "CLICK": CLICK}
    for number, row in frame.iterrows():
        place = np.cumsum([int(gap) for gap in row["history_time_list"]]).tolist()
        columns = (row[f"history_{name}_list"] for name in ("wid", "qry", "type"))
        for item, query, kind, at in zip(*columns, place[:-1], strict=True):
            shown = None if query == "-1" else query.replace(T, " ")
            expected.add((str(int(str(number)) + 1), item, at, names[kind], shown))
        query = row["query"][0].replace(T, " ")
        labels = zip(row["candidate_wid_list"], row["candidate_label_list"], strict=True)
        for item, label in labels:
            action = (IMPRESSION, CLICK, LIKE, BUY)[int(float(label))]
            expected.add((str(int(str(number)) + 1), item, place[-1], action, query))
    users = [sample.users.ids[user] for user in sample.user]
    found = Counter((user, *row) for user, row in zip(users, _rows(sample), strict=True))
    assert set(found) == expected
    assert (len(found), len(sample), sample.report["used"]) == (len(expected), len(expected), 3)


def test_the_sample_counts(sample: Events, frame: pd.DataFrame) -> None:
    without = sum(query == "-1" for row in frame["history_qry_list"] for query in row)
    assert (len(frame), len(sample.users), without) == (3, 3, 129)
    assert sample.report["notes"]["empty_query"] == without
    assert sample.report["notes"]["lookup_rows"] == 409
    split = split_events(sample)
    requests = requests_for(sample, split, TEST, "search")
    assert len(requests.user) == 3
    assert sample.categories is not None
    assert set(sample.categories.level.tolist()) == {1, 2, 3, 4}
