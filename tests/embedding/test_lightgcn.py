"""LightGCN: propagation and loss against loops, queries as nodes, hidden edges, refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sargraph.core.errors import BadInputError, ConfigError
from sargraph.core.ragged import Ragged
from sargraph.core.scorer import VectorScorer
from sargraph.embedding.lightgcn import LightGCN, LightGCNModel, LightGCNTraining
from sargraph.embedding.lightgcn_data import LightGCNBatch
from sargraph.embedding.symmetric import SymmetricEdges
from sargraph.embedding.train import scorer_of, train
from sargraph.graph.graph import CLICKED, FOUND, ISSUED, LED_TO, EdgeTable, Graph
from sargraph.testing.lightgcn_oracle import LightGCNOracle
from sargraph.testing.planted_topics import ACTIVE_ITEMS, ACTIVE_USERS, SIZES, requests, two_topics

SMALL = {"dim": 8, "num_epochs": 8, "batch_size": 64, "learning_rate": 0.05}
NODES, LAYERS = 9, 3


def random_edges(seed: int = 0, num_edges: int = 14) -> list[tuple[int, int]]:
    rng = np.random.default_rng(seed)
    pairs = {tuple(sorted(rng.permutation(NODES - 1)[:2].tolist())) for _ in range(num_edges)}
    return sorted(pairs)  # the last node has no edge


def symmetric(edges: list[tuple[int, int]], num_nodes: int = NODES) -> SymmetricEdges:
    first, second = (torch.tensor(column) for column in zip(*edges, strict=True))
    return SymmetricEdges.build(first, second, num_nodes)


@pytest.mark.parametrize("seed", range(3))
def test_propagation_equals_loops(seed: int) -> None:
    edges = random_edges(seed)
    module = LightGCN(NODES, 4, LAYERS, seed).double()
    oracle = LightGCNOracle(module.embedding.detach().numpy(), edges, LAYERS)
    found = module.propagate(symmetric(edges).matrix(torch.float64))
    np.testing.assert_allclose(found.detach().numpy(), oracle.final(), rtol=1e-12, atol=1e-14)


def test_propagation_without_some_edges_counts_degrees_anew() -> None:
    edges = random_edges()
    module = LightGCN(NODES, 4, LAYERS, 0).double()
    whole = symmetric(edges)
    hidden = [edges[0], edges[5], (7, 8)]  # the last one is no edge
    keep = whole.outside(*(torch.tensor(column) for column in zip(*hidden, strict=True)))
    assert keep.tolist() == [edge not in hidden for edge in edges]
    found = module.propagate(whole.matrix(torch.float64, keep))
    kept = [edge for edge in edges if edge not in hidden]
    oracle = LightGCNOracle(module.embedding.detach().numpy(), kept, LAYERS)
    np.testing.assert_allclose(found.detach().numpy(), oracle.final(), rtol=1e-12, atol=1e-14)


def test_the_gradient_of_propagation_is_its_slope() -> None:
    module = LightGCN(NODES, 2, LAYERS, 0).double()
    matrix = symmetric(random_edges()).matrix(torch.float64)
    weights = torch.randn(NODES, 2, dtype=torch.float64)
    (module.propagate(matrix) * weights).sum().backward()
    found = module.embedding.grad
    step = 1e-6
    for place in np.ndindex(NODES, 2):
        losses = []
        for sign in (1, -1):
            with torch.no_grad():
                module.embedding[place] += sign * step
                losses.append(float((module.propagate(matrix) * weights).sum()))
                module.embedding[place] -= sign * step
        slope = (losses[0] - losses[1]) / (2 * step)
        assert slope == pytest.approx(float(found[place]), abs=1e-6)


def loop_edges(graph: Graph, queries: bool) -> set[tuple[int, int]]:
    """Every edge of the graph as two nodes, users first, then items, queries, terms."""
    item, query = SIZES["user"], SIZES["user"] + SIZES["item"]
    term = query + SIZES["query"]
    found = set()
    for kind in (CLICKED, FOUND):
        table = graph.edges[kind]
        found |= {(u, item + i) for u, i in zip(table.from_row, table.to_row, strict=True)}
    if not queries:
        return found
    asked = graph.edges[FOUND]
    for u, i, q in zip(asked.from_row, asked.to_row, asked.query, strict=True):
        found |= {(u, query + q), (item + i, query + q)}
        found |= {(query + q, term + t) for t in graph.query_terms[q]}
    if ISSUED in graph.edges:
        table = graph.edges[ISSUED]
        for u, q in zip(table.from_row, table.to_row, strict=True):
            found |= {(u, query + q), *((query + q, term + t) for t in graph.query_terms[q])}
    return found


def with_silent_search() -> Graph:
    """The planted world with a search that led to nothing, its query and words asked nowhere else.

    One word is said twice in it; one query more is known by its text alone.
    """
    graph = two_topics()
    terms = [row.tolist() for row in graph.query_terms]
    terms[28], terms[29] = [19, 19, 3], [18]
    found = graph.edges[FOUND]
    found = found.take((found.query < 28) | (found.query == -1))
    issued = EdgeTable.of(np.array([3, 3]), np.array([28, 28]))
    led_to = EdgeTable.of(found.query[:5], found.to_row[:5])
    edges = {**graph.edges, FOUND: found, ISSUED: issued, LED_TO: led_to}
    return replace(graph, edges=edges, query_terms=Ragged.from_lists(terms))


@pytest.mark.parametrize("queries", [False, True])
def test_edges_equal_loops_and_a_pair_joined_twice_counts_once(queries: bool) -> None:
    graph = with_silent_search()
    edges = LightGCNModel.build(graph, LightGCNTraining(dim=4, queries=queries), 0).data.edges
    found = list(zip(edges.first.tolist(), edges.second.tolist(), strict=True))
    assert len(found) == len(set(found))
    assert set(found) == loop_edges(graph, queries)


def model_and_oracle(**settings: object) -> tuple[LightGCNModel, LightGCNOracle]:
    graph = with_silent_search()
    config = LightGCNTraining.model_validate({"dim": 4, "num_layers": 2, **settings})
    model = LightGCNModel.build(graph, config, 0)
    model.module.double()
    with torch.no_grad():
        noise = torch.randn(
            model.module.embedding.shape, generator=torch.Generator().manual_seed(1)
        )
        model.module.embedding.copy_(noise * (model.module.embedding != 0))
    edges = sorted(loop_edges(graph, config.queries))
    return model, LightGCNOracle(model.module.embedding.detach().numpy(), edges, 2)


def as_nodes(batch: LightGCNBatch, graph: Graph, queries: bool) -> list:
    item, term = SIZES["user"], SIZES["user"] + SIZES["item"] + SIZES["query"]
    rows = zip(*(getattr(batch, name).tolist() for name in ("user", "item", "negative", "query")),
               strict=True)  # fmt: skip
    return [
        (u, item + i, item + j, sorted({term + t for t in graph.query_terms[q].tolist()})
         if queries and q >= 0 else [])
        for u, i, j, q in rows
    ]  # fmt: skip


@pytest.mark.parametrize("queries", [False, True])
@pytest.mark.parametrize("regularisation", [0.0, 0.2])
def test_loss_equals_loops(queries: bool, regularisation: float) -> None:
    model, oracle = model_and_oracle(queries=queries, regularisation=regularisation, batch_size=40)
    batch = next(model.batches(1, torch.Generator().manual_seed(0)))
    rows = as_nodes(batch, with_silent_search(), queries)
    assert any(terms for *_, terms in rows) == queries
    losses = model.step(batch)
    expected = oracle.loss(rows, regularisation)
    assert float(losses["loss"].detach()) == pytest.approx(expected, rel=1e-10)
    assert (float(losses["squares"].detach()) == 0) == (regularisation == 0)


def test_hidden_edges_are_those_of_the_batch() -> None:
    """The loss is that of a graph without the rows' own user-item and query-item edges."""
    model, oracle = model_and_oracle(queries=True, hide_edges=True, batch_size=20)
    graph = with_silent_search()
    batch = next(model.batches(1, torch.Generator().manual_seed(0)))
    item, query = SIZES["user"], SIZES["user"] + SIZES["item"]
    own = set()
    for u, i, q in zip(*(c.tolist() for c in (batch.user, batch.item, batch.query)), strict=True):
        own |= {(u, item + i), (item + i, query + q)}
    kept = [edge for edge in loop_edges(graph, True) if edge not in own]
    without = LightGCNOracle(oracle.raw, kept, 2)
    rows = as_nodes(batch, graph, True)
    found = float(model.step(batch)["loss"].detach())
    assert found == pytest.approx(without.loss(rows, model.config.regularisation), rel=1e-10)
    assert found != pytest.approx(oracle.loss(rows, model.config.regularisation), rel=1e-4)


def test_every_positive_comes_once_a_pass_and_negatives_were_never_chosen() -> None:
    graph = two_topics()
    chosen = {
        (u, i) for kind in (CLICKED, FOUND)
        for u, i in zip(graph.edges[kind].from_row, graph.edges[kind].to_row, strict=True)
    }  # fmt: skip
    clicked, found = graph.edges[CLICKED], graph.edges[FOUND]
    asked = {(u, i, -1) for u, i in zip(clicked.from_row, clicked.to_row, strict=True)}
    asked |= {*zip(found.from_row, found.to_row, found.query, strict=True)}
    expected = {False: {(u, i, -1) for u, i in chosen}, True: asked}
    for queries, rows in expected.items():
        config = LightGCNTraining(dim=4, batch_size=50, queries=queries)
        seen = []
        model = LightGCNModel.build(graph, config, 0)
        for batch in model.batches(1, torch.Generator().manual_seed(0)):
            seen += zip(batch.user.tolist(), batch.item.tolist(), batch.query.tolist(), strict=True)
            wrong = set(zip(batch.user.tolist(), batch.negative.tolist(), strict=True))
            assert not wrong & chosen
        assert len(seen) == len(rows) == model.counts["positives"] and set(seen) == rows


def test_scores_and_queries_equal_loops() -> None:
    graph = with_silent_search()
    found = train(graph, "lightgcn", {**SMALL, "num_layers": 2, "queries": True}, seed=1)
    raw = found.weights["embedding"].astype(np.float64)
    oracle = LightGCNOracle(raw, sorted(loop_edges(graph, True)), 2)
    final, term = oracle.final(), SIZES["user"] + SIZES["item"] + SIZES["query"]
    users, queries = np.array([0, 5, ACTIVE_USERS, 3]), np.array([4, -1, 28, 29])
    scores = scorer_of(found).score(requests(users, queries), np.array([[0, 58, 7]] * 4))
    for row, (user, query) in enumerate(zip(users, queries, strict=True)):
        terms = {term + t for t in graph.query_terms[query]} if query >= 0 else set()
        known = sorted(t for t in terms if raw[t].any())  # word 18 is in query 29 alone
        for place, item in enumerate((0, 58, 7)):
            expected = oracle.score(final, user, SIZES["user"] + item, known)
            assert scores[row, place] == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_words_of_an_unseen_query_are_understood() -> None:
    """A query of the test time has no edge, and finds the items of its words' topic."""
    graph = two_topics()
    found = graph.edges[FOUND]
    known = graph.edges | {FOUND: found.take(found.query < 20)}
    trained = train(replace(graph, edges=known), "lightgcn", {**SMALL, "queries": True}, seed=1)
    assert not trained.weights["embedding"][SIZES["user"] + SIZES["item"] :][20:30].any()
    stranger, items = np.full(10, ACTIVE_USERS), np.arange(ACTIVE_ITEMS)
    scores = scorer_of(trained).score(
        requests(stranger, np.arange(20, 30)), np.tile(items, (10, 1))
    )
    for query, row in zip(range(20, 30), scores, strict=True):
        same = items % 2 == query % 2
        assert (row[same][:, None] > row[~same]).mean() > 0.9


def test_users_queries_and_terms_without_an_edge_stay_zero() -> None:
    graph = with_silent_search()
    found = train(graph, "lightgcn", {**SMALL, "queries": True}, seed=2)
    assert not found.tables["user"][ACTIVE_USERS:].any()
    assert found.tables["user"][:ACTIVE_USERS].any(axis=1).all()
    assert found.tables["item"].any(axis=1).all()
    assert sorted(found.tables) == ["item", "query", "term", "user"]
    plain = train(graph, "lightgcn", SMALL, seed=2)
    assert sorted(plain.tables) == ["item", "user"]


def test_without_queries_a_search_is_answered_as_a_recommendation() -> None:
    scorer = scorer_of(train(two_topics(), "lightgcn", SMALL))
    users, items = np.arange(5), np.tile(np.arange(9), (5, 1))
    asked = [scorer.score(requests(users, q), items) for q in (None, np.arange(5))]
    assert np.array_equal(*asked)


class TestRefusals:
    def test_a_graph_without_choices(self) -> None:
        none = np.empty(0, dtype=np.int64)
        graph = replace(two_topics(), edges={CLICKED: EdgeTable.of(none, none)})
        with pytest.raises(BadInputError, match="no user with an item chosen and one not chosen"):
            train(graph, "lightgcn", SMALL)

    def test_queries_without_terms(self) -> None:
        graph = two_topics()
        vocabularies = graph.vocabularies | {"term": graph.vocabularies["term"].__class__([], [])}
        bare = replace(graph, vocabularies=vocabularies, query_terms=Ragged.from_lists([[]] * 30))
        with pytest.raises(BadInputError, match="has no terms"):
            train(bare, "lightgcn", {**SMALL, "queries": True})
        train(bare, "lightgcn", {**SMALL, "num_epochs": 1})

    def test_unknown_rows(self) -> None:
        config = LightGCNTraining(dim=4, queries=True)
        scorer = LightGCNModel.build(two_topics(), config, seed=0).scorer()
        assert isinstance(scorer, VectorScorer)
        one, item = np.array([0]), np.array([[0]])
        with pytest.raises(BadInputError, match=r"user rows: got 99\.\.99, expected 0\.\.39"):
            scorer.score(requests(np.array([99])), item)
        with pytest.raises(BadInputError, match=r"query rows: got 30\.\.30, expected -1\.\.29"):
            scorer.score(requests(one, np.array([30])), item)
        with pytest.raises(BadInputError, match="candidate rows"):
            scorer.score(requests(one), np.array([[60]]))

    def test_unknown_settings(self) -> None:
        with pytest.raises(ConfigError, match="did you mean 'num_layers'"):
            train(two_topics(), "lightgcn", {"layers": 2})
