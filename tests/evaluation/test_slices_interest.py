"""New interests and gaps on logs made for them, and on real ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW
from sargraph.evaluation.slices_gap import gap_slices, search_gaps
from sargraph.evaluation.slices_interest import new_interests
from sargraph.events.events import Categories
from sargraph.events.ingest import ingest
from sargraph.events.searches import search_numbers
from sargraph.events.split import TEST, SplitConfig, requests_for, split_events
from sargraph.events.vocabulary import Vocabulary
from sargraph.sequence.searches import Searches
from sargraph.testing.events import random_events


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


@pytest.mark.parametrize("typed", [1000, 2000])
def test_it_does_not_matter_when_a_requests_own_query_was_typed(make_events, typed):
    """A split hides the click that is asked for, but not the text typed before it."""
    rows = [
        (100, "recommend", "click", 0, 3, -1, 1),
        (typed, "search", "search", 0, -1, 0, 0),
        (2000, "search", "click", 0, 1, 0, 0),
    ]
    events = make_events(rows, num_users=1, num_items=4, query_terms=[[0]],
                         item_terms=[[1], [0], [2], [2]], num_terms=3)  # fmt: skip
    split = split_events(events, SplitConfig(cuts=(500, 1500)))
    requests = requests_for(events, split, TEST, "search")
    assert requests.as_of.tolist() == [2000]
    assert new_interests(events, split.visible, requests).tolist() == [True]
    found = gap_slices(events, split.visible, requests)
    assert [name for name in found if found[name][0]] == ["gap since search never"]


def test_an_earlier_search_for_the_same_text_is_history(make_events, make_requests):
    rows = [
        (1000, "search", "search", 0, -1, 0, 6),
        (1900, "search", "search", 0, -1, 0, 7),
        (2000, "search", "click", 0, 0, 0, 7),
    ]
    events = make_events(rows, num_users=1, num_items=1, query_terms=[[0]],
                         item_terms=[[0]], num_terms=1)  # fmt: skip
    requests = make_requests([0], [0], queries=[0], as_of=[2000], events=[2])
    visible = np.ones(3, bool)
    assert new_interests(events, visible, requests).tolist() == [False]
    assert search_gaps(events, visible, requests).tolist() == [1000]


def test_one_search_is_here_what_sequence_models_leave_out_of_a_history():
    events = random_events(np.random.default_rng(0), num_events=400, untimed_share=0.2)
    ours, theirs = search_numbers(events), Searches.group(events, events.time > 0, 3).of_event
    assert np.array_equal(ours == NO_ROW, theirs == NO_ROW)
    pairs = set(zip(ours.tolist(), theirs.tolist(), strict=True))
    assert len(pairs) == len(set(ours.tolist())) == len(set(theirs.tolist())) > 50


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
