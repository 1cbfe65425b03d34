"""New interests and gaps on logs made for them, and on real ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sargraph.core.ragged import Ragged
from sargraph.evaluation.slices_gap import gap_slices, search_gaps
from sargraph.evaluation.slices_interest import new_interests
from sargraph.events.events import Categories
from sargraph.events.ingest import ingest
from sargraph.events.split import TEST, SplitConfig, requests_for, split_events
from sargraph.events.vocabulary import Vocabulary


def test_a_query_typed_before_its_own_click_is_no_history_of_it(make_events, make_requests):
    """The rows of one search: typed, a first click, the click that is asked for."""
    rows = [
        (1000, "search", "search", 0, -1, 0, 7),
        (1500, "search", "click", 0, 1, 0, 7),
        (2000, "search", "click", 0, 0, 0, 7),
    ]
    events = make_events(rows, num_users=1, num_items=2, query_terms=[[0]],
                         item_terms=[[0], [0]], num_terms=1)  # fmt: skip
    requests = make_requests([0], [0], queries=[0], as_of=[2000], events=[2])
    visible = np.ones(3, bool)
    assert new_interests(events, visible, requests).tolist() == [True]
    assert search_gaps(events, visible, requests).tolist() == [-1]
    other = make_requests([0], [0], queries=[0], as_of=[2000])
    assert new_interests(events, visible, other).tolist() == [False]
    assert search_gaps(events, visible, other).tolist() == [500]


def test_new_interests_of_beauty(data_dir):
    """15.6 % of the last choices share nothing with what the user chose before."""
    if not (data_dir / "amazon_beauty").is_dir():
        pytest.skip("no folder amazon_beauty")
    # So small a share that no interaction becomes a search.
    events = ingest(
        "amazon_sequences", data_dir / "amazon_beauty", overrides=["derive.share=1e-12"]
    )
    assert not events.is_search.any()
    split = split_events(events)
    requests = requests_for(events, split, TEST, "recommend")
    found = new_interests(events, split.visible, requests)
    assert len(found) == 22_363
    assert found.mean() == pytest.approx(0.156, abs=0.0005)


def test_a_term_and_a_category_of_one_row_are_two_things(make_events, make_requests):
    rows = [(1, "recommend", "click", 0, 0, -1), (2, "recommend", "click", 0, 1, -1)]
    events = make_events(rows, 1, 2, item_terms=[[0], []], num_terms=1)
    category = Categories(
        Vocabulary(["1/a"]), np.ones(1, np.int64), Ragged.from_lists([[], [0]])
    )  # fmt: skip
    events = replace(events, categories=category)
    requests = make_requests([0], [1], as_of=[2], events=[1])
    assert new_interests(events, np.ones(2, bool), requests).tolist() == [True]
