"""build_graph against plain loops over the events; times, weights and event rows stay aligned."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from sargraph.core.config import parse_config
from sargraph.core.errors import ConfigError, DataError
from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.events.events import Categories
from sargraph.events.schema import CLICK, IMPRESSION, RECOMMEND, SEARCH, SEARCHED
from sargraph.events.searches import search_numbers, searches
from sargraph.events.split import SplitConfig, split_events
from sargraph.events.vocabulary import Vocabulary
from sargraph.graph.audit import audit
from sargraph.graph.build import GraphConfig, build_graph
from sargraph.graph.graph import (
    BELONGS_TO,
    CLICKED,
    CONTAINS,
    FOLLOWS,
    FOUND,
    ISSUED,
    LED_TO,
    SIMILAR_TO,
    EdgeTable,
    Graph,
)
from sargraph.testing.events import make_events, random_events


def naive_edges(events, is_training):
    """(from, to, time, weight, query, event) of each behaviour type by the definition."""
    edges = {CLICKED: [], FOUND: [], ISSUED: [], LED_TO: []}
    seen = set()
    for row in range(len(events)):
        user, item, query = (int(events.columns[c][row]) for c in ("user", "item", "query"))
        tail = (int(events.time[row]), float(events.columns["weight"][row]))
        if not is_training[row]:
            continue
        search = (user, int(events.session[row]), query)
        if events.is_search[row] and query != NO_ROW and search not in seen:
            seen.add(search)
            edges[ISSUED].append((user, query, *tail, NO_ROW, row))
        if events.is_positive[row]:
            kind = FOUND if events.is_search[row] else CLICKED
            edges[kind].append((user, item, *tail, query, row))
            if kind == FOUND and query != NO_ROW:
                edges[LED_TO].append((query, item, *tail, NO_ROW, row))
    return edges


def as_tuples(table):
    columns = (table.from_row, table.to_row, table.time, table.weight, table.query, table.event)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("kind", ["none", "global_time", "leave_last_out"])
def test_edges_are_those_of_a_loop_over_the_training_events(kind):
    events = random_events(np.random.default_rng(1), untimed_share=0.3)
    weight = np.random.default_rng(2).random(len(events)).astype(np.float32)
    session = events.session // 7  # several rows, even of other users, share a session number
    events = replace(events, columns={**events.columns, "weight": weight, "session": session})
    split = None if kind == "none" else split_events(events, SplitConfig(kind=kind, twins=True))
    is_training = np.ones(len(events), dtype=bool) if split is None else split.is_train
    graph = build_graph(events, split)
    for edge_type, expected in naive_edges(events, is_training).items():
        assert expected
        assert as_tuples(graph.edges[edge_type]) == expected, edge_type
    assert graph.cut == (NO_TIME if split is None else split.cut_valid)


def test_every_query_contains_its_terms_as_background():
    events = random_events(np.random.default_rng(3))
    table = build_graph(events).edges[CONTAINS]
    expected = [(q, t) for q, terms in enumerate(events.query_terms) for t in terms]
    assert list(zip(table.from_row, table.to_row, strict=True)) == expected
    assert np.all(table.time == NO_TIME)
    assert np.all(table.event == NO_ROW)


def test_contains_training_leaves_out_queries_that_only_held_out_events_issued():
    rows = [
        (0, 1, RECOMMEND, CLICK, 0, NO_ROW, 0),
        (0, 2, SEARCH, CLICK, 1, 0, 1),
        (0, 3, RECOMMEND, CLICK, 2, NO_ROW, 2),
        (0, 4, SEARCH, CLICK, 3, 1, 3),
    ]
    events = make_events(rows, num_users=1, num_items=4, query_terms=[[0, 1], [2]])
    split = split_events(events, SplitConfig(valid_share=0.25, test_share=0.25))
    assert np.sum(split.is_train) == 2
    assert len(build_graph(events, split).edges[CONTAINS]) == 3
    only_training = build_graph(events, split, config=GraphConfig(contains="training"))
    assert only_training.edges[CONTAINS].from_row.tolist() == [0, 0]


def test_one_issued_edge_per_search_also_without_a_click():
    rows = [
        (0, 5, SEARCH, IMPRESSION, 0, 2, 9),
        (0, 5, SEARCH, CLICK, 1, 2, 9),
        (0, 5, SEARCH, CLICK, 3, 2, 9),
        (0, 5, SEARCH, CLICK, 3, 1, 9),  # another query in the same session
        (0, 6, SEARCH, SEARCHED, NO_ROW, 2, 10),  # nothing shown, nothing clicked
        (1, 5, SEARCH, SEARCHED, NO_ROW, 2, 9),  # another user
        (1, 7, SEARCH, CLICK, 0, 0, NO_ROW),  # rows without a session are searches of their own
        (1, 7, SEARCH, CLICK, 1, 0, NO_ROW),
    ]
    events = make_events(rows, num_users=2, num_items=4, query_terms=[[0], [1], [2]])
    graph = build_graph(events)
    assert searches(events, np.ones(8, dtype=bool)).tolist() == [0, 3, 4, 5, 6, 7]
    assert search_numbers(events).tolist() == [0, 0, 0, 1, 2, 3, 4, 5]
    assert graph.edges[ISSUED].event.tolist() == [0, 3, 4, 5, 6, 7]
    assert len(graph.edges[FOUND]) == len(graph.edges[LED_TO]) == 5


def test_parallel_edges_are_kept_and_impressions_are_not_edges():
    rows = [(0, t, RECOMMEND, CLICK, 1, NO_ROW, t) for t in (1, 2, 3)]
    rows += [(0, 4, RECOMMEND, IMPRESSION, 1, NO_ROW, 4)]
    graph = build_graph(make_events(rows, num_users=1, num_items=2))
    assert graph.edges[CLICKED].time.tolist() == [1, 2, 3]


def test_verbs_are_chosen_and_a_misspelt_verb_is_refused():
    events = random_events(np.random.default_rng(5))
    graph = build_graph(events, config=GraphConfig(verbs=("clicked", "contains")))
    assert list(graph.edges) == [CLICKED, CONTAINS]
    with pytest.raises(ConfigError, match="verbs"):
        parse_config(GraphConfig, {"verbs": ["cliked"]}, "[graph]")


def test_extra_edges_are_added_and_may_not_replace_built_ones():
    events = random_events(np.random.default_rng(6))
    friends = EdgeTable.of(np.array([0, 1]), np.array([1, 0]), weight=[0.5, 0.5])
    graph = build_graph(events, extra_edges={SIMILAR_TO: friends})
    assert graph.edges[SIMILAR_TO].weight.tolist() == [0.5, 0.5]
    with pytest.raises(DataError, match="built from the events already"):
        build_graph(events, extra_edges={CLICKED: friends})
    with pytest.raises(DataError, match="unknown node type 'shop'"):
        build_graph(events, extra_edges={("user", "visited", "shop"): friends})


def test_a_late_extra_edge_is_refused():
    events = random_events(np.random.default_rng(7))
    split = split_events(events, SplitConfig())
    late = EdgeTable.of(np.array([0]), np.array([1]), time=[split.cut_valid])
    with pytest.raises(DataError, match="at or after the cut"):
        build_graph(events, split, extra_edges={SIMILAR_TO: late})


def test_editing_events_after_the_cut_changes_nothing():
    events = random_events(np.random.default_rng(8))
    split = split_events(events, SplitConfig())
    item = events.item.copy()
    item[~split.is_train] = (item[~split.is_train] + 1) % len(events.items)
    edited = replace(events, columns={**events.columns, "item": item})
    before, after = build_graph(events, split), build_graph(edited, split)
    for edge_type, table in before.edges.items():
        for name, column in vars(table).items():
            np.testing.assert_array_equal(column, getattr(after.edges[edge_type], name))


def test_a_saved_graph_comes_back_whole_and_knows_its_events(tmp_path):
    events = random_events(np.random.default_rng(9)).save(tmp_path / "events")
    split = split_events(events, SplitConfig())
    graph = build_graph(events, split).save(tmp_path / "graph")
    loaded = Graph.load(tmp_path / "graph")
    assert loaded.parents == {"events": events.content_hash, "split": split.content_hash}
    assert loaded.content_hash == graph.content_hash != ""
    assert (loaded.cut, loaded.time_kind, loaded.name) == (graph.cut, graph.time_kind, graph.name)
    assert loaded.vocabularies == graph.vocabularies
    for edge_type, table in graph.edges.items():
        for name, column in vars(table).items():
            read = getattr(loaded.edges[edge_type], name)
            assert read.dtype == column.dtype
            np.testing.assert_array_equal(read, column)


def test_times_are_not_rounded():
    """Milliseconds of today do not fit in float32: two clicks a millisecond apart stay apart."""
    rows = [(0, 1_700_000_000_000 + ms, RECOMMEND, CLICK, 0, NO_ROW, ms) for ms in (0, 1)]
    table = build_graph(make_events(rows, num_users=1, num_items=1)).edges[CLICKED]
    assert np.diff(table.time).tolist() == [1]


def test_belongs_to_and_follows_are_background_edges_on_request(related):
    assert BELONGS_TO not in build_graph(related).edges
    verbs = ("clicked", "belongs_to", "follows")
    graph = build_graph(related, config=GraphConfig(verbs=verbs))
    assert list(graph.edges) == [CLICKED, BELONGS_TO, FOLLOWS]
    assert graph.vocabularies["category"] == related.categories.vocabulary
    for kind, relation in ((BELONGS_TO, related.categories.of_item), (FOLLOWS, related.follows)):
        table = graph.edges[kind]
        expected = [(row, value) for row, values in enumerate(relation) for value in values]
        assert list(zip(table.from_row, table.to_row, strict=True)) == expected
        assert np.all(table.time == NO_TIME)
        assert np.all(table.event == NO_ROW)


def test_a_category_or_a_follow_that_is_listed_twice_is_one_edge(related):
    def doubled(relation):
        return Ragged.from_lists([[*row, *row] for row in relation])

    categories = replace(related.categories, of_item=doubled(related.categories.of_item))
    twice = replace(related, categories=categories, follows=doubled(related.follows))
    config = GraphConfig(where_present=("belongs_to", "follows"))
    once, graph = build_graph(related, config=config), build_graph(twice, config=config)
    for kind in (BELONGS_TO, FOLLOWS):
        assert as_tuples(graph.edges[kind]) == as_tuples(once.edges[kind])


def test_a_relation_that_the_log_lacks_is_an_error_or_left_out(related):
    bare = replace(related, categories=None, follows=None)
    for verb, what in (("belongs_to", "categories"), ("follows", "follows")):
        with pytest.raises(DataError, match=f"has no {what}.*where_present"):
            build_graph(bare, config=GraphConfig(verbs=("clicked", verb)))
    config = GraphConfig(where_present=("belongs_to", "follows"))
    assert "category" not in build_graph(bare, config=config).num_nodes
    without_follows = build_graph(replace(related, follows=None), config=config)
    assert BELONGS_TO in without_follows.edges
    assert FOLLOWS not in without_follows.edges


def test_a_graph_with_relations_is_saved_converted_described_and_audited(related, tmp_path):
    split = split_events(related, SplitConfig())
    config = GraphConfig(where_present=("belongs_to", "follows"))
    graph = build_graph(related, split, config=config)
    loaded = Graph.load(graph.save(tmp_path / "graph") and tmp_path / "graph")
    assert loaded.num_nodes == graph.num_nodes
    np.testing.assert_array_equal(loaded.edges[BELONGS_TO].to_row, graph.edges[BELONGS_TO].to_row)
    data = graph.to_pyg()
    data.validate()
    assert data["category"].num_nodes == len(related.categories.vocabulary)
    assert data["user", "rev_follows", "user"].edge_index.tolist() == [
        graph.edges[FOLLOWS].to_row.tolist(),
        graph.edges[FOLLOWS].from_row.tolist(),
    ]
    lines = graph.describe().set_index("edge_type")
    assert lines.loc["item belongs_to category", "background"] == len(graph.edges[BELONGS_TO])
    assert audit(graph, related, split).ok
    timed = replace(graph.edges[BELONGS_TO], time=graph.edges[BELONGS_TO].time.copy())
    timed.time[2] = 5
    wrong = replace(graph, edges={**graph.edges, BELONGS_TO: timed})
    (finding,) = audit(wrong, related, split).findings
    assert (finding.edge_type, finding.num_edges, finding.first) == (BELONGS_TO, 1, 2)


@pytest.fixture
def related():
    """Random events with two levels of categories and follows; some rows have none."""
    events = random_events(np.random.default_rng(12))
    vocabulary = Vocabulary(["1/a", "1/b", "2/x", "2/y"], ["A", "B", "X", "Y"])
    of_item = Ragged.from_lists([[i % 2, 2 + i % 2] if i % 3 else [] for i in range(20)])
    categories = Categories(vocabulary, np.array([1, 1, 2, 2]), of_item)
    follows = Ragged.from_lists([[(u + 1) % 12, (u + 5) % 12] if u % 2 else [] for u in range(12)])
    return replace(events, categories=categories, follows=follows)


def test_building_is_vectorised():
    """A tenth of the goal (500,000 edges a second on one core), so that a busy machine passes."""
    rng = np.random.default_rng(11)
    n = 100_000
    small = random_events(rng)
    columns = {
        "time": np.arange(n), "source": np.arange(n) % 2, "action": np.full(n, CLICK),
        "user": np.sort(rng.integers(12, size=n)), "item": rng.integers(20, size=n),
        "query": np.where(np.arange(n) % 2, NO_ROW, 3), "session": np.arange(n),
        "position": np.full(n, -1), "weight": np.ones(n),
    }  # fmt: skip
    typed = {k: columns[k].astype(v.dtype) for k, v in small.columns.items()}
    events = replace(small, columns=typed)
    started = time.process_time()
    graph = build_graph(events)
    seconds = time.process_time() - started
    assert sum(map(len, graph.edges.values())) / seconds > 50_000
