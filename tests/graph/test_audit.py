"""The audit passes an honest graph and finds every kind of planted leak."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sargraph.core.errors import DataError
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.events.schema import CLICK, RECOMMEND, SEARCH
from sargraph.events.split import LEFT_OUT, TEST, TRAIN, VALID, SplitConfig, split_events
from sargraph.graph.audit import audit
from sargraph.graph.build import build_graph
from sargraph.graph.graph import CLICKED, FOUND, ISSUED, LED_TO, EdgeTable
from sargraph.graph.interop import reverse_of
from sargraph.testing.events import make_events, random_events


@pytest.fixture(scope="module")
def world():
    events = random_events(np.random.default_rng(0), num_events=600, untimed_share=0.3)
    split = split_events(events, SplitConfig(twins=True))
    return events, split, build_graph(events, split)


def with_edges(graph, edge_type, added):
    table = graph.edges[edge_type] if edge_type in graph.edges else added.take(slice(0, 0))
    joined = {
        name: np.concatenate([column, getattr(added, name)]) for name, column in vars(table).items()
    }
    return replace(graph, edges={**graph.edges, edge_type: EdgeTable(**joined)})


def rules_found(result, edge_type):
    return {finding.rule for finding in result.findings if finding.edge_type == edge_type}


def edge_of_event(events, row, edge_type, **changes):
    ends = [events.columns[kind][[row]] for kind in (edge_type[0], edge_type[2])]
    columns = {"time": events.time[[row]], "event": [row], **changes}
    return EdgeTable.of(*ends, **columns)


@pytest.mark.parametrize("kind", ["global_time", "leave_last_out"])
@pytest.mark.parametrize("twins", [True, False])
def test_a_graph_built_from_training_events_is_clean(kind, twins):
    events = random_events(np.random.default_rng(1), num_events=500, untimed_share=0.3)
    split = split_events(events, SplitConfig(kind=kind, twins=twins))
    result = audit(build_graph(events, split), events, split)
    assert result.ok
    assert result.num_edges > 100
    assert result.to_frame().empty


def test_a_leaking_graph_is_refused_in_one_line_and_a_clean_one_is_not(world):
    events, split, graph = world
    audit(graph, events, split).refuse()
    with pytest.raises(DataError, match="knows of held-out events") as caught:
        audit(build_graph(events), events, split).refuse()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", [VALID, TEST, LEFT_OUT])
@pytest.mark.parametrize("edge_type", [CLICKED, FOUND, ISSUED, LED_TO])
def test_an_edge_of_a_held_out_event_is_found(world, part, edge_type):
    events, split, graph = world
    wanted = events.is_recommend if edge_type == CLICKED else events.is_search
    row = int(np.flatnonzero((split.part == part) & wanted & events.is_positive)[0])
    leaky = with_edges(graph, edge_type, edge_of_event(events, row, edge_type))
    result = audit(leaky, events, split)
    assert not result.ok
    assert "from a held-out event" in rules_found(result, edge_type)
    finding = next(f for f in result.findings if f.rule == "from a held-out event")
    assert (finding.num_edges, finding.first) == (1, len(graph.edges[edge_type]))


def test_a_graph_built_without_the_split_is_found(world):
    events, split, _ = world
    result = audit(build_graph(events), events, split)
    for edge_type in (CLICKED, FOUND, ISSUED, LED_TO):
        expected = {"from a held-out event", "at or after the cut"}
        assert expected <= rules_found(result, edge_type)


def test_a_timed_edge_at_the_cut_is_found_in_any_edge_type(world):
    events, split, graph = world
    late = EdgeTable.of([0], [1], time=[split.cut_valid])
    similar = ("user", "similar_to", "user")
    result = audit(with_edges(graph, similar, late), events, split)
    assert rules_found(result, similar) == {"at or after the cut"}
    early = EdgeTable.of([0], [1], time=[split.cut_valid - 1])
    assert audit(with_edges(graph, similar, early), events, split).ok


def target_row(events, split, source):
    return int(np.flatnonzero((split.part == TEST) & source & events.is_positive)[0])


def test_an_edge_on_a_targets_pair_is_found_in_either_direction(world):
    events, split, graph = world
    row = target_row(events, split, events.is_recommend)
    user, item = events.user[[row]], events.item[[row]]
    for edge_type, ends in (
        (("user", "saved", "item"), (user, item)),
        (("item", "shown_to", "user"), (item, user)),
    ):
        result = audit(with_edges(graph, edge_type, EdgeTable.of(*ends)), events, split)
        assert rules_found(result, edge_type) == {"on the pair of a target"}
    without_twins = replace(split, twins=False)
    assert audit(
        with_edges(graph, ("user", "saved", "item"), EdgeTable.of(user, item)),
        events,
        without_twins,
    ).ok


def test_edges_of_a_twin_event_are_found_even_where_the_split_calls_the_twin_training():
    rows = [(0, t, RECOMMEND, CLICK, t, NO_ROW, t) for t in range(1, 9)]
    rows += [(0, 0, SEARCH, CLICK, 9, 0, 0), (0, 9, RECOMMEND, CLICK, 9, NO_ROW, 9)]
    events = make_events(rows, num_users=1, num_items=10, query_terms=[[0]])
    split = split_events(events, SplitConfig(twins=True))
    assert split.part[0] == LEFT_OUT
    assert audit(build_graph(events, split), events, split).ok
    part = split.part.copy()
    part[0] = TRAIN
    wrong = replace(split, part=part)
    result = audit(build_graph(events, wrong), events, wrong)
    for edge_type in (FOUND, LED_TO):
        assert rules_found(result, edge_type) == {"on the pair of a target"}


def test_a_leak_that_names_a_training_event_is_found(world):
    events, split, graph = world
    row = target_row(events, split, events.is_recommend)
    alibi = graph.edges[CLICKED].event[[0]]
    forged = edge_of_event(events, row, CLICKED, event=alibi, time=[NO_TIME])
    result = audit(with_edges(graph, CLICKED, forged), events, replace(split, twins=False))
    assert "differs from its event" in rules_found(result, CLICKED)


@pytest.mark.parametrize("event", [-7, 10**6])
def test_an_edge_of_an_event_that_does_not_exist_is_found(world, event):
    events, split, graph = world
    forged = EdgeTable.of([0], [0], event=[event])
    result = audit(with_edges(graph, ISSUED, forged), events, split)
    assert rules_found(result, ISSUED) == {"differs from its event"}


def test_a_behaviour_edge_without_an_event_is_found(world):
    events, split, graph = world
    row = target_row(events, split, events.is_search)
    anonymous = edge_of_event(events, row, LED_TO, event=[NO_ROW], time=[NO_TIME])
    result = audit(with_edges(graph, LED_TO, anonymous), events, split)
    assert rules_found(result, LED_TO) == {"names no event"}


def test_a_wrong_query_on_a_found_edge_is_found(world):
    events, split, graph = world
    table = graph.edges[FOUND]
    other = (table.query + 1) % len(events.queries)
    leaky = replace(graph, edges={**graph.edges, FOUND: replace(table, query=other)})
    assert "differs from its event" in rules_found(audit(leaky, events, split), FOUND)


def test_a_stored_reverse_type_is_found(world):
    events, split, graph = world
    table = graph.edges[CLICKED]
    flipped = replace(table, from_row=table.to_row, to_row=table.from_row)
    leaky = with_edges(graph, reverse_of(CLICKED), flipped)
    found = rules_found(audit(leaky, events, split), reverse_of(CLICKED))
    assert "reversed edges are stored" in found


def test_a_leak_through_a_reverse_edge_is_found(world):
    events, split, graph = world
    row = target_row(events, split, events.is_recommend)
    data = graph.to_pyg()
    store = data[reverse_of(CLICKED)]
    planted = torch.tensor([[events.item[row]], [events.user[row]]])
    store.edge_index = torch.cat([store.edge_index, planted], dim=1)
    result = audit(graph, events, split, hetero=data)
    assert rules_found(result, reverse_of(CLICKED)) == {"reverse differs from forward"}
    assert result.findings[0].num_edges == 1


def test_reversed_features_out_of_order_are_found(world):
    events, split, graph = world
    data = graph.to_pyg()
    data[reverse_of(FOUND)].query = data[reverse_of(FOUND)].query.flip(0)
    result = audit(graph, events, split, hetero=data)
    assert rules_found(result, reverse_of(FOUND)) == {"reverse differs from forward"}


def test_an_unknown_edge_type_in_pyg_is_found(world):
    events, split, graph = world
    data = graph.to_pyg()
    data["user", "will_click", "item"].edge_index = torch.zeros(2, 4, dtype=torch.int64)
    result = audit(graph, events, split, hetero=data)
    assert [(f.rule, f.num_edges) for f in result.findings] == [("unknown edge type in PyG", 4)]


@pytest.mark.parametrize("column", ["weight", "position"])
def test_a_weight_or_a_position_that_is_not_its_events_is_found(world, column):
    """A count over all events tells of the held-out ones without a single new edge."""
    events, split, graph = world
    table = graph.edges[CLICKED]
    counted = replace(table, **{column: getattr(table, column) + 1})
    leaky = replace(graph, edges={**graph.edges, CLICKED: counted})
    assert rules_found(audit(leaky, events, split), CLICKED) == {"differs from its event"}
