"""MT-Small: searches and recommendations in one file, no times, samples of 100 candidates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sargraph.core.types import NO_ROW
from sargraph.events.events import Events
from sargraph.events.ingest import ingest
from sargraph.events.schema import CLICK, IMPRESSION
from sargraph.events.split import TEST, TRAIN, VALID, requests_for, split_events

TRAIN_ROWS = 'user,query,item,label\n0,[],0,1\n2,[6],2,1\n2,"[6, 0, 0]",3,0\n2,[],0,0\n'
VALID_ROWS = 'sample_num,user,query,item,label\n1,7,"[42,6]",7,1\n1,7,"[42,6]",8,0\n2,0,[],5,1\n'
# The same user, query and negative item in two samples, and a list that cannot be read.
TEST_ROWS = (
    "sample_num,user,query,item,label\n"
    '1,7,"[42,6]",7,1\n1,7,"[42,6]",9,0\n2,7,"[42,6]",8,1\n2,7,"[42,6]",9,0\n3,2,"[42",7,1\n'
)


@pytest.fixture(params=["item", "Item"])
def events(request: pytest.FixtureRequest, tmp_path: Path) -> Events:
    for name, text in (("train", TRAIN_ROWS), ("valid", VALID_ROWS), ("test", TEST_ROWS)):
        path = tmp_path / f"{name}_data.csv"
        path.write_text(text.replace("item", request.param), encoding="utf-8")
    return ingest("mt_small", tmp_path)


def test_an_empty_list_is_recommendation_and_any_word_is_search(events: Events) -> None:
    assert np.array_equal(events.query == NO_ROW, events.is_recommend)
    assert int(events.is_recommend.sum()) == 4
    assert events.queries.ids == ("42 6", "6")  # 0 is padding and no word


def test_labels_are_clicks_and_impressions(events: Events) -> None:
    actions = events.columns["action"]
    assert (int(np.sum(actions == CLICK)), int(np.sum(actions == IMPRESSION))) == (7, 5)


def test_a_list_that_cannot_be_read_is_the_empty_query_and_counted(events: Events) -> None:
    assert events.report["notes"]["unreadable_list"] == 1
    assert events.report["notes"]["empty_query"] == 3
    assert (events.report["rows"], events.report["used"], len(events)) == (12, 12, 12)


def test_the_files_are_the_parts_of_the_split(events: Events) -> None:
    split = split_events(events)
    assert [len(split.rows(part)) for part in (TRAIN, VALID, TEST)] == [4, 3, 5]
    assert (split.cut_valid, split.cut_test) == (1, 2)
    assert len(requests_for(events, split, VALID, "recommend").user) == 1
    assert len(requests_for(events, split, TEST, "search").user) == 2


def test_a_sample_is_one_search_and_its_negatives_stay(events: Events) -> None:
    in_test = (events.time == 2) & events.is_search
    _, sizes = np.unique(events.session[in_test], return_counts=True)
    assert sizes.tolist() == [2, 2]
    assert events.report["merged"] == 0
