"""Chosen items per user."""

from __future__ import annotations

import numpy as np

from sargraph.evaluation.positives import known_positives, seen_items


def test_known_and_seen_against_a_loop(make_events):
    events = make_events(
        [
            (1, "recommend", "click", 0, 2, -1),
            (2, "recommend", "impression", 0, 1, -1),
            (3, "search", "click", 0, 0, 0),
            (4, "recommend", "click", 0, 2, -1),
            (5, "search", "search", 2, -1, 0),
            (6, "search", "buy", 2, 3, 0),
        ],
        num_users=3,
        num_items=4,
        query_terms=[[0]],
        num_terms=1,
    )
    assert [row.tolist() for row in known_positives(events)] == [[0, 2], [], [3]]
    early = events.time < 3
    assert [row.tolist() for row in seen_items(events, early)] == [[2], [], []]
    assert len(known_positives(events.select(np.zeros(6, bool)))) == 3
