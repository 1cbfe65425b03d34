"""HGT: vectors and gradients against loops, left-out edges, planted topics, what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sargraph.core.errors import BadInputError, ConfigError
from sargraph.core.ragged import Ragged
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.hgt import HGTModel, HGTTraining
from sargraph.embedding.hgt_edges import TypedEdges
from sargraph.embedding.hgt_network import HGT
from sargraph.embedding.train import scorer_of, train
from sargraph.events.vocabulary import Vocabulary
from sargraph.graph.graph import CLICKED, CONTAINS, FOLLOWS, FOUND, ISSUED, LED_TO, EdgeTable, Graph
from sargraph.graph.interop import reverse_of
from sargraph.testing.hgt_oracle import HGTOracle
from sargraph.testing.leaks import assert_every_parameter_trains
from sargraph.testing.planted_topics import (
    ACTIVE_ITEMS,
    ACTIVE_USERS,
    SIZES,
    requests,
    share_of_right_pairs,
    two_topics,
)

SMALL = {"dim": 8, "num_heads": 2, "num_epochs": 6, "batch_size": 90, "learning_rate": 0.02}

QUERIES = [[0, 3], [2, 2, 4], [], [1]]
"""Query 3 has no edge."""
TINY = {"user": 4, "item": 5, "query": 4, "term": 6}
"""User 3, item 4 and term 5 have no edge."""


def tiny_graph(**more: EdgeTable) -> Graph:
    def table(pairs: list[tuple[int, int]], **columns: list[int]) -> EdgeTable:
        rows = np.array(pairs, dtype=np.int64)
        return EdgeTable.of(rows[:, 0], rows[:, 1], **{k: np.array(v) for k, v in columns.items()})

    return Graph(
        vocabularies={k: Vocabulary([f"{k}{row}" for row in range(n)]) for k, n in TINY.items()},
        edges={
            CLICKED: table([(0, 0), (0, 1), (0, 1), (2, 3)]),
            FOUND: table([(0, 1), (1, 1), (1, 2), (2, 3)], query=[0, 0, 1, 2], event=[7, 5, 9, 8]),
            ISSUED: table([(0, 0), (1, 0), (1, 1), (2, 2)], event=[6, 4, 3, 2]),
            LED_TO: table([(0, 1), (0, 1), (1, 2), (2, 3)], event=[5, 7, 9, -1]),
            CONTAINS: table([(0, 0), (0, 3), (1, 2), (1, 4)]),
            FOLLOWS: table([(0, 2), (2, 0)]),
        },
        query_terms=Ragged.from_lists(QUERIES),
        item_terms=Ragged.from_lists([[]] * 5),
        name="tiny",
        content_hash="b" * 64,
    )


def random_weights(module: torch.nn.Module) -> None:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float64))


def tiny(num_layers: int = 2, heads: int = 2) -> tuple[HGT, TypedEdges, HGTOracle]:
    edges = TypedEdges.of(tiny_graph())
    module = HGT(edges, ("user", "item", "query"), 4, num_layers, heads, seed=0).double()
    random_weights(module)
    weights = {k: v.detach().clone().requires_grad_() for k, v in module.named_parameters()}
    last = [kind for kind in edges.types if kind[2] in ("user", "item", "query")]
    return module, edges, HGTOracle(weights, [edges.types] * (num_layers - 1) + [last], heads)


def plain(messages) -> dict:
    return {k: [(s, t) for s, t in ends.t().tolist()] for k, ends in messages.items()}


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("num_layers", "heads"), [(1, 1), (2, 2)])
def test_vectors_and_gradients_equal_loops(num_layers: int, heads: int) -> None:
    module, edges, oracle = tiny(num_layers, heads)
    messages = edges.messages()
    found = module.propagate(Ragged.from_lists(QUERIES), messages)
    expected = oracle.propagate(QUERIES, plain(messages))
    losses = []
    for kind in ("user", "item", "query"):
        rows = torch.stack(expected[kind])
        close(found[kind], rows)
        weight = torch.randn(rows.shape, generator=torch.Generator().manual_seed(1)).double()
        losses.append(((found[kind] * weight).sum(), (rows * weight).sum()))
    for loss in map(sum, zip(*losses, strict=True)):
        loss.backward()
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(
            parameter.grad, oracle.weights[name].grad, rtol=1e-7, atol=1e-9, msg=name
        )


def test_the_order_of_edges_and_of_nodes_does_not_matter() -> None:
    module, edges, _ = tiny()
    queries, messages = Ragged.from_lists(QUERIES), edges.messages()
    before = module.propagate(queries, messages)
    turned = module.propagate(queries, {kind: ends.flip(1) for kind, ends in messages.items()})
    for kind in before:
        close(turned[kind], before[kind])
    place = torch.tensor([2, 0, 3, 1])  # user u becomes place[u]
    renamed = {
        kind: torch.stack([place[rows] if end == "user" else rows
                           for end, rows in zip((kind[0], kind[2]), ends, strict=True)])
        for kind, ends in messages.items()
    }  # fmt: skip
    with torch.no_grad():
        module.table["user"].copy_(module.table["user"][torch.argsort(place)])
    after = module.propagate(queries, renamed)
    close(after["user"][place], before["user"])
    close(after["item"], before["item"])


def test_queries_without_an_edge_are_made_of_their_terms() -> None:
    module, edges, _ = tiny()
    queries = Ragged.from_lists(QUERIES)
    found = module.propagate(queries, edges.messages())["query"]
    alone = module.unconnected_queries(module.mean_of_terms(queries))
    close(alone[3], found[3])
    assert not torch.allclose(alone[:3], found[:3])
    close(module.mean_of_terms(queries)[1], module.table["term"][[2, 2, 4]].mean(0))
    assert not module.mean_of_terms(queries)[2].any()


def test_a_step_reads_none_of_its_own_edges() -> None:
    edges = TypedEdges.of(tiny_graph())
    row = [torch.tensor([value]) for value in (0, 1, 0)]
    keep = {kind: kept.tolist() for kind, kept in edges.outside(*row).items()}
    assert keep[CLICKED] == [True, False, False, True]
    assert keep[FOUND] == [False, True, True, True]
    assert keep[ISSUED] == [False, True, True, True]
    assert keep[LED_TO] == [True, False, True, True]  # event 7 only: event 5 is another user's
    assert all(keep[CONTAINS]) and all(keep[FOLLOWS])
    without_event = edges.outside(*(torch.tensor([value]) for value in (2, 3, 2)))
    assert without_event[LED_TO].tolist() == [True, True, True, False]
    asked_nothing = edges.outside(*(torch.tensor([value]) for value in (2, 3, -1)))
    assert asked_nothing[LED_TO].all() and asked_nothing[ISSUED].all()
    messages = edges.messages(edges.outside(*row))
    assert messages[reverse_of(CLICKED)].tolist() == [[0, 3], [0, 2]]


def test_left_out_edges_have_no_effect() -> None:
    graph = tiny_graph()
    model = HGTModel.build(graph, HGTTraining(dim=4, num_heads=2), seed=0)
    model.module.double()
    random_weights(model.module)
    batch = tuple(torch.tensor([value]) for value in (0, 1, 3, 0))
    loss = model.step(batch)["loss"].detach()
    moved = {
        CLICKED: ([1, 2], 1, 4), FOUND: ([0], 0, 3), ISSUED: ([0], 0, 3), LED_TO: ([1], 1, 4),
    }  # fmt: skip
    kept = model._edges.outside(batch[0], batch[1], batch[3])
    changed = {kind: ends.clone() for kind, ends in model._edges.index.items()}
    for kind, (rows, end, value) in moved.items():
        assert torch.nonzero(~kept[kind]).flatten().tolist() == rows
        changed[kind][end, rows] = value
    model._edges = replace(model._edges, index=changed)
    close(model.step(batch)["loss"].detach(), loss)
    changed[LED_TO][1, 0] = 4  # one that stays is read
    assert abs(float(model.step(batch)["loss"].detach() - loss)) > 1e-9


def with_queries(graph: Graph) -> Graph:
    """The planted world with its queries and terms as nodes that have edges."""
    found, terms = graph.edges[FOUND], graph.query_terms
    return replace(graph, edges={
        **graph.edges,
        ISSUED: EdgeTable.of(found.from_row, found.query),
        LED_TO: EdgeTable.of(found.query, found.to_row),
        CONTAINS: EdgeTable.of(terms.row_of_value, terms.values),
    })  # fmt: skip


@pytest.mark.parametrize("queries", [False, True])
def test_every_parameter_trains(queries: bool) -> None:
    graph = with_queries(two_topics()) if queries else two_topics()
    model = HGTModel.build(graph, HGTTraining(dim=8, num_heads=2, batch_size=80), seed=0)
    model.module.double()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():  # away from a symmetric start, but not so far that attention saturates
        for weight in model.module.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
    batch = next(iter(model.batches(1, torch.Generator().manual_seed(0))))
    assert_every_parameter_trains(model.module, lambda: model.step(batch)["loss"])


@pytest.fixture(scope="module")
def trained() -> Embeddings:
    return train(with_queries(two_topics()), "hgt", SMALL, seed=1)


def assert_topics_are_recovered(embeddings: Embeddings) -> None:
    user, scorer = np.arange(ACTIVE_USERS), scorer_of(embeddings)
    items = np.tile(np.arange(ACTIVE_ITEMS), (len(user), 1))
    query = user % 2 + 2 * (user // 2 % 10)
    for asked in (requests(user), requests(user, query)):
        assert share_of_right_pairs(scorer.score(asked, items), user) > 0.95
    strangers = np.full(len(user), ACTIVE_USERS)
    of_query = scorer.score(requests(strangers, query), items)
    assert share_of_right_pairs(of_query, query) > 0.9


def test_planted_topics_are_recovered(trained) -> None:
    assert_topics_are_recovered(trained)
    fresh = HGTModel.build(two_topics(), HGTTraining(dim=8, num_heads=2), seed=1).scorer()
    user = np.arange(ACTIVE_USERS)
    items = np.tile(np.arange(ACTIVE_ITEMS), (len(user), 1))
    assert 0.3 < share_of_right_pairs(fresh.score(requests(user), items), user) < 0.7


def test_they_are_recovered_where_no_edge_names_a_query_or_term() -> None:
    assert_topics_are_recovered(train(two_topics(), "hgt", SMALL, seed=1))


def test_a_graph_without_queries_answers_searches_by_the_user() -> None:
    graph = replace(
        two_topics(),
        vocabularies={**two_topics().vocabularies, "query": Vocabulary([]), "term": Vocabulary([])},
        edges={CLICKED: two_topics().edges[CLICKED]},
        query_terms=Ragged.from_lists([]),
    )
    found = train(graph, "hgt", SMALL, seed=1)
    assert sorted(found.tables) == ["item", "user"]
    user = np.arange(ACTIVE_USERS)
    items = np.tile(np.arange(ACTIVE_ITEMS), (len(user), 1))
    scores = scorer_of(found).score(requests(user), items)
    assert share_of_right_pairs(scores, user) > 0.95
    assert np.array_equal(scorer_of(found).score(requests(user, user * 0), items), scores)


def test_scores_are_products_of_the_tables(trained) -> None:
    tables = trained.tables
    assert {kind: len(table) for kind, table in tables.items()} == SIZES
    users, queries = np.array([0, 5]), np.array([-1, 3])
    items = np.array([[0, 3, -1], [59, 1, 2]])
    scores = scorer_of(trained).score(requests(users, queries), items)
    for row, column in np.ndindex(items.shape):
        wanted = tables["user"][users[row]].astype(float)
        if queries[row] >= 0:
            wanted = wanted + tables["query"][queries[row]]
        item = items[row, column]
        expected = wanted @ tables["item"][item] if item >= 0 else -np.inf
        assert scores[row, column] == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_nodes_without_an_edge_are_finite(trained) -> None:
    assert all(np.isfinite(table).all() for table in trained.tables.values())
    cold = trained.tables["user"][ACTIVE_USERS:]
    assert np.array_equal(cold[0], cold[1])  # nothing is known of either


def test_saved_embeddings_score_the_same_bits(trained, tmp_path) -> None:
    trained.save(tmp_path / "hgt")
    loaded = Embeddings.load(tmp_path / "hgt")
    asked = requests(np.arange(6), np.array([0, -1, 3, 4, -1, 2])), np.tile(np.arange(9), (6, 1))
    model = HGTModel.build(with_queries(two_topics()), HGTTraining(**loaded.config), seed=1)
    state = {name: torch.tensor(value) for name, value in loaded.weights.items()}
    model.module.load_state_dict(state)
    for scorer in (scorer_of(trained), model.scorer()):
        assert np.array_equal(scorer_of(loaded).score(*asked), scorer.score(*asked))


class TestRefusals:
    def test_a_graph_without_choices(self) -> None:
        graph = tiny_graph()
        graph = replace(graph, edges={ISSUED: graph.edges[ISSUED]})
        with pytest.raises(BadInputError, match="no user with an item chosen and one not chosen"):
            train(graph, "hgt", SMALL)

    def test_wrong_settings(self) -> None:
        with pytest.raises(ConfigError, match="expected a multiple of num_heads"):
            train(two_topics(), "hgt", {"dim": 10, "num_heads": 4})
        with pytest.raises(ConfigError, match="did you mean 'num_heads'"):
            train(two_topics(), "hgt", {"num_head": 1})
