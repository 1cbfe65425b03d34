"""Batches of one moment, as KuaiSAR logs them: none of it sees another, gaps are between them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW
from sargraph.events.history import HistoryIndex
from sargraph.events.schema import CLICK, IMPRESSION, RECOMMEND, SEARCH, SEARCHED
from sargraph.events.transitions import NONE, R2R, S2R, transitions_of
from sargraph.graph.build import build_graph
from sargraph.graph.graph import CLICKED
from sargraph.graph.interop import reverse_of
from sargraph.graph.sample import NeighbourSampler
from sargraph.sequence.histories import HistoryReader
from sargraph.testing.events import make_events

ALL = {"max_rec": 400, "max_search": 400, "max_clicks": 9}
VISIT = st.tuples(st.integers(0, 2), st.integers(0, 30), st.booleans(), st.integers(1, 4))
"""(user, time, is it a search, number of rows)"""


def log_of(visits, seed):
    """Batches of recommended items at one time; searches with a row for the query, then clicks."""
    rng, rows = np.random.default_rng(seed), []
    for session, (user, time, is_search, size) in enumerate(visits):
        if is_search:
            query = int(rng.integers(5))
            rows.append((user, time, SEARCH, SEARCHED, NO_ROW, query, session))
            rows += [(user, time + n, SEARCH, CLICK, int(rng.integers(12)), query, session)
                     for n in range(1, size)]  # fmt: skip
        else:
            rows += [(user, time, RECOMMEND, CLICK if rng.random() < 0.6 else IMPRESSION,
                      int(rng.integers(12)), NO_ROW, session) for _ in range(size)]  # fmt: skip
    return make_events(rows, num_users=3, num_items=12, query_terms=[[q] for q in range(5)])


def asked(events):
    """Requests from every choice in recommendation."""
    rows = np.flatnonzero(events.is_recommend & events.is_positive)
    return Requests(events.user[rows], events.query[rows], events.time[rows], events.item[rows],
                    rows)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(st.lists(VISIT, min_size=2, max_size=25), st.integers(0, 99))
def test_the_label_of_a_batch_is_the_newest_of_its_history(visits, seed):
    """Transitions and histories are made by different code; on batches they must agree."""
    events = log_of([*visits, (0, 40, False, 4), (0, 50, False, 4)], seed)
    requests = asked(events)
    labels = transitions_of(events)
    reader = HistoryReader(events, np.ones(len(events), dtype=bool), **ALL)
    batch = reader.read(requests)
    opened = reader.searches.opened_by[batch.search]
    index = HistoryIndex(events, np.ones(len(events), dtype=bool))
    chosen = index.before(requests, 400, source="recommend")
    for n in range(len(requests)):
        rec = [int(events.time[row]) for row in chosen[n]]
        search = [int(events.time[row]) for row in opened[n] if row != NO_ROW]
        now = int(requests.as_of[n])
        assert all(time < now for time in rec + search)  # nothing of its own moment
        last_rec, last_search = max(rec, default=-1), max(search, default=-1)
        row = requests.event[n]
        if last_rec == last_search:
            assert labels.kind[row] == NONE
        elif last_search > last_rec:
            assert (labels.kind[row], labels.gap[row]) == (S2R, now - last_search)
        else:
            assert (labels.kind[row], labels.gap[row]) == (R2R, now - last_rec)


def test_all_rows_of_a_batch_have_one_label_and_a_gap_to_the_batch_before():
    visits = [(0, 0, False, 3), (0, 10, True, 3), (0, 25, False, 4), (0, 60, False, 2),
              (0, 61, True, 1), (0, 70, False, 3)]  # fmt: skip
    rows = []
    for session, (user, time, is_search, size) in enumerate(visits):
        source = SEARCH if is_search else RECOMMEND
        rows += [(user, time, source, CLICK, n, 0 if is_search else NO_ROW, session)
                 for n in range(size)]  # fmt: skip
    events = make_events(rows, num_users=1, num_items=5, query_terms=[[0]])
    labels = transitions_of(events)
    found = {}
    for row in range(len(events)):
        found.setdefault(int(events.time[row]), set()).add(
            (int(labels.kind[row]), int(labels.gap[row]))
        )
    assert all(len(labels_of_batch) == 1 for labels_of_batch in found.values())
    gaps = {time: next(iter(each)) for time, each in found.items() if time}
    assert gaps == {10: (3, 10), 25: (S2R, 15), 60: (R2R, 35), 61: (3, 1), 70: (S2R, 9)}


@pytest.mark.parametrize("seed", range(3))
def test_the_sampler_shows_no_edge_of_a_batch_to_the_batch(seed):
    rng = np.random.default_rng(seed)
    visits = [(int(rng.integers(3)), 10 * int(rng.integers(8)), bool(rng.random() < 0.3), 4)
              for _ in range(30)]  # fmt: skip
    events = log_of(visits, seed)
    graph = build_graph(events)
    sampler = NeighbourSampler(graph, [-1, -1])
    clicked = graph.edges[CLICKED]
    sample = sampler.sample("user", clicked.from_row, as_of=clicked.time)
    edge = sample.edge[reverse_of(CLICKED)]
    seed_of = sample.tree["user"][sample.col[reverse_of(CLICKED)]]
    assert len(edge) and np.all(clicked.time[edge] < clicked.time[seed_of])
