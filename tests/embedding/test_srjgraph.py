"""SRJGraph: layer, loss and gradients against loops, planted topics, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sargraph.core.errors import BadInputError, ConfigError
from sargraph.core.ragged import Ragged
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.srjgraph import SRJGraphModel, SRJGraphTraining
from sargraph.embedding.srjgraph_conv import IntentConv
from sargraph.embedding.srjgraph_edges import IntentEdges
from sargraph.embedding.srjgraph_network import SRJGraph, SRJGraphSize
from sargraph.embedding.train import scorer_of, train
from sargraph.graph.graph import CLICKED, FOUND, EdgeTable
from sargraph.testing.leaks import assert_every_parameter_trains
from sargraph.testing.planted_topics import (
    ACTIVE_ITEMS,
    ACTIVE_USERS,
    SIZES,
    requests,
    share_of_right_pairs,
    two_topics,
)
from sargraph.testing.srjgraph_oracle import SRJGraphOracle

SMALL = {"dim": 8, "num_epochs": 6, "batch_size": 90, "learning_rate": 0.03}
SHIFT = "the loss compares scores of one request, so that a shift of all of them is not seen"
UNTRAINED = {f"heads.{task}_score.third.bias": SHIFT for task in ("search", "recommend")}

QUERIES = [[0, 3], [2, 2, 4], [], [1]]
"""Words of queries; query 2 has none, query 3 is never asked."""
EDGES = [(0, 0, 0), (0, 1, -1), (0, 1, -1), (0, 1, 1), (1, 1, 0), (1, 2, 2), (2, 0, -1), (2, 3, 1)]
"""(user, item, query): parallel edges in one and in both sources; user 3 and item 4 have none."""


def tiny(num_layers: int = 2, query_words: str = "mean") -> tuple[SRJGraph, IntentEdges]:
    user, item, query = (torch.tensor(column) for column in zip(*EDGES, strict=True))
    edges = IntentEdges.build(user, item, query, Ragged.from_lists(QUERIES), (4, 5, 6))
    module = SRJGraph(SRJGraphSize(4, 5, 6, 4, num_layers), query_words, edges, seed=0).double()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float64))
    return module, edges


def oracle_of(module: SRJGraph, query_words: str = "mean") -> SRJGraphOracle:
    weights = {k: v.detach().clone().requires_grad_() for k, v in module.named_parameters()}
    return SRJGraphOracle(weights, len(module.to_item), query_words)


def words(query: int) -> list[int] | None:
    return None if query < 0 else QUERIES[query]


PLAIN = [(user, item, words(query)) for user, item, query in EDGES]


def same(found: torch.Tensor, expected: list[torch.Tensor]) -> None:
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-10, atol=1e-12)


def test_the_layer_and_its_gradients_equal_loops() -> None:
    module, edges = tiny(num_layers=1)
    oracle = oracle_of(module)
    conv = module.to_item[0]
    assert isinstance(conv, IntentConv)
    ends = torch.stack([edges.user, edges.item])
    found = conv(module.user, module.item, module.attributes(edges), ends, edges.attribute)
    w = oracle.weights
    expected = oracle.layer("to_item.0", list(w["user"]), list(w["item"]), PLAIN)
    same(found, expected)
    weight = torch.randn(found.shape, generator=torch.Generator().manual_seed(1)).double()
    (found * weight).sum().backward()
    (torch.stack(expected) * weight).sum().backward()
    reached = 0
    for name, parameter in module.named_parameters():
        assert (parameter.grad is None) == (w[name].grad is None), name
        if parameter.grad is not None:
            torch.testing.assert_close(parameter.grad, w[name].grad, rtol=1e-9, atol=1e-11)
            reached += bool(parameter.grad.any())
    assert reached == 12  # both tables, words, the special attribute, eight weights of the layer


@pytest.mark.parametrize(("num_layers", "query_words"), [(1, "sum"), (2, "mean"), (3, "sum")])
def test_propagation_equals_loops(num_layers: int, query_words: str) -> None:
    module, edges = tiny(num_layers, query_words)
    keep = torch.tensor([True, True, False, True, True, True, False, True])
    for kept in (None, keep):
        rows = [e for e, k in zip(PLAIN, keep, strict=True) if k or kept is None]
        user, item = oracle_of(module, query_words).propagate(rows)
        found = module.propagate(edges, module.attributes(edges), kept)
        same(found[0], user)
        same(found[1], item)


def model_of_tiny() -> SRJGraphModel:
    user, item, query = (np.array(column) for column in zip(*EDGES, strict=True))
    asked = query >= 0
    vocabularies = two_topics().vocabularies
    sizes = {"user": 4, "item": 5, "query": 4, "term": 6}
    graph = replace(
        two_topics(),
        vocabularies={
            k: type(v)(v.ids[: sizes[k]], v.names[: sizes[k]]) for k, v in vocabularies.items()
        },
        edges={
            CLICKED: EdgeTable.of(user[~asked], item[~asked]),
            FOUND: EdgeTable.of(user[asked], item[asked], query=query[asked]),
        },
        query_terms=Ragged.from_lists(QUERIES),
        item_terms=Ragged.from_lists([[]] * 5),
    )
    model = SRJGraphModel.build(graph, SRJGraphTraining(dim=4), seed=0)
    model.module.double()
    module, _ = tiny()
    model.module.load_state_dict(module.state_dict())
    return model


def test_the_loss_and_all_gradients_equal_loops() -> None:
    model = model_of_tiny()
    oracle = oracle_of(model.module)
    edges = [(u, i, words(q)) for u, i, q in EDGES if q < 0]
    edges += [(u, i, words(q)) for u, i, q in EDGES if q >= 0]
    rows, negatives = [1, 4, 7], [3, 4, 2]
    found = model.step((torch.tensor(rows), torch.tensor(negatives)))["loss"]
    expected = oracle.loss([edges[row] for row in rows], negatives, edges)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    found.backward()
    expected.backward()
    for name, parameter in model.module.named_parameters():
        torch.testing.assert_close(parameter.grad, oracle.weights[name].grad, rtol=1e-8, atol=1e-10)


def test_a_row_is_not_read_from_its_own_edge_nor_from_a_parallel_one() -> None:
    _, edges = tiny()
    keep = edges.outside(torch.tensor([0]), torch.tensor([1]))
    assert keep.tolist() == [pair[:2] != (0, 1) for pair in EDGES]
    model = model_of_tiny()
    batch = torch.tensor([0]), torch.tensor([4])
    loss = model.step(batch)["loss"].detach()
    own = model._edges.outside(model._edges.user[:1], model._edges.item[:1])
    terms = Ragged.from_lists([[0, 3], [2, 4], [], [1]])
    query = torch.where(own, model._edges.query, torch.full_like(model._edges.query, 1))
    query[0] = -1
    sizes = (4, 5, 6)
    changed = IntentEdges.build(model._edges.user, model._edges.item, query, terms, sizes)
    model._edges = changed
    torch.testing.assert_close(model.step(batch)["loss"].detach(), loss, rtol=0, atol=1e-14)


def test_other_numberings_of_edges_and_nodes_change_nothing() -> None:
    module, edges = tiny()
    user, item = module.propagate(edges, module.attributes(edges))
    order = torch.tensor([3, 0, 7, 1, 6, 2, 5, 4])
    moved = IntentEdges.build(
        edges.user[order], edges.item[order], edges.query[order],
        Ragged.from_lists(QUERIES), (4, 5, 6),
    )  # fmt: skip
    for found, expected in zip(
        module.propagate(moved, module.attributes(moved)), (user, item), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    place = torch.tensor([2, 0, 3, 1])  # user u becomes place[u]
    renamed = replace(edges, user=place[edges.user])
    with torch.no_grad():
        module.user.copy_(module.user[torch.argsort(place)])
    found_user, found_item = module.propagate(renamed, module.attributes(renamed))
    torch.testing.assert_close(found_user[place], user, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found_item, item, rtol=1e-10, atol=1e-12)


def test_every_parameter_trains() -> None:
    model = SRJGraphModel.build(two_topics(), SRJGraphTraining(dim=8, batch_size=80), seed=0)
    model.module.double()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():  # at the small start two scores are on one side of every kink
        for weight in model.module.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
    batch = next(iter(model.batches(1, torch.Generator().manual_seed(0))))
    assert_every_parameter_trains(model.module, lambda: model.step(batch)["loss"], UNTRAINED)


@pytest.fixture(scope="module")
def trained() -> Embeddings:
    return train(two_topics(), "srjgraph", SMALL, seed=1)


def test_planted_topics_are_recovered(trained) -> None:
    user, scorer = np.arange(ACTIVE_USERS), scorer_of(trained)
    items = np.tile(np.arange(ACTIVE_ITEMS), (len(user), 1))
    query = user % 2 + 2 * (user // 2 % 10)
    for asked in (requests(user), requests(user, query)):
        assert share_of_right_pairs(scorer.score(asked, items), user) > 0.95
    fresh = SRJGraphModel.build(two_topics(), SRJGraphTraining(dim=8), seed=1).scorer()
    assert 0.3 < share_of_right_pairs(fresh.score(requests(user), items), user) < 0.7


def test_the_query_of_a_search_is_read(trained) -> None:
    user = np.array([0, 0, 0])
    scores = scorer_of(trained).score(
        requests(user, np.array([0, 1, -1])), np.tile(np.arange(9), (3, 1))
    )
    assert not np.allclose(scores[0], scores[1]) and not np.allclose(scores[0], scores[2])


def test_scores_equal_the_oracle(trained) -> None:
    weights = {name: torch.tensor(value) for name, value in trained.weights.items()}
    oracle = SRJGraphOracle(weights, 2, "mean")
    users, queries = np.array([0, 5, 39]), np.array([-1, 3, 4])
    items = np.array([[0, 3, -1], [59, 1, 2], [7, 7, 0]])
    scores = scorer_of(trained).score(requests(users, queries), items)
    for row, column in np.ndindex(items.shape):
        item, query = items[row, column], queries[row]
        expected = -np.inf
        if item >= 0:
            said = None if query < 0 else two_topics().query_terms[query].tolist()
            vectors = (trained.tables["user"][users[row]], trained.tables["item"][item])
            expected = float(oracle.score(*map(torch.tensor, vectors), said))
        assert scores[row, column] == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_nodes_without_an_edge_are_finite(trained) -> None:
    assert all(np.isfinite(table).all() for table in trained.tables.values())
    cold = trained.tables["user"][ACTIVE_USERS:]
    assert np.array_equal(cold[0], cold[1])  # nothing is known of either
    everything = np.arange(SIZES["item"])[None, :]
    asked = requests(np.array([ACTIVE_USERS]), np.array([0]))
    assert np.isfinite(scorer_of(trained).score(asked, everything)).all()


def test_saved_embeddings_score_the_same_bits(trained, tmp_path) -> None:
    trained.save(tmp_path / "srjgraph")
    loaded = Embeddings.load(tmp_path / "srjgraph")
    asked = requests(np.arange(6), np.array([0, -1, 3, 4, -1, 2])), np.tile(np.arange(9), (6, 1))
    model = SRJGraphModel.build(two_topics(), SRJGraphTraining(**loaded.config), seed=1)
    state = {name: torch.tensor(value) for name, value in loaded.weights.items()}
    model.module.load_state_dict(state)
    for scorer in (scorer_of(trained), model.scorer()):
        assert np.array_equal(scorer_of(loaded).score(*asked), scorer.score(*asked))


@pytest.mark.parametrize("kind", [CLICKED, FOUND])
def test_a_graph_of_one_source_is_enough(kind) -> None:
    graph = replace(two_topics(), edges={kind: two_topics().edges[kind]})
    found = train(graph, "srjgraph", {**SMALL, "num_epochs": 1})
    asked = requests(np.array([0, 1]), np.array([-1, 0])), np.array([[0, 1], [2, 3]])
    assert np.isfinite(scorer_of(found).score(*asked)).all()


def test_a_pass_takes_every_edge_once_in_no_less_than_so_many_steps() -> None:
    graph = two_topics()
    model = SRJGraphModel.build(graph, SRJGraphTraining(dim=4), seed=0)
    batches = list(model.batches(1, torch.Generator().manual_seed(0)))
    rows = torch.cat([rows for rows, _ in batches])
    assert len(batches) == 4 and torch.equal(rows.sort().values, torch.arange(len(model._edges)))
    chosen = {*zip(model._edges.user.tolist(), model._edges.item.tolist(), strict=True)}
    for rows, negative in batches:
        pairs = zip(model._edges.user[rows].tolist(), negative.tolist(), strict=True)
        assert not chosen & {*pairs}


class TestRefusals:
    def test_a_graph_without_choices(self) -> None:
        none = np.empty(0, dtype=np.int64)
        graph = replace(two_topics(), edges={CLICKED: EdgeTable.of(none, none)})
        with pytest.raises(BadInputError, match="no clicked and no found edge"):
            train(graph, "srjgraph", SMALL)

    def test_users_who_chose_everything_have_nothing_to_learn(self) -> None:
        everything = np.arange(SIZES["item"])
        one = EdgeTable.of(np.zeros(len(everything), dtype=np.int64), everything)
        with pytest.raises(BadInputError, match="expected at least one"):
            train(replace(two_topics(), edges={CLICKED: one}), "srjgraph", SMALL)

    def test_unknown_rows_of_edges(self) -> None:
        one = torch.tensor([7])
        with pytest.raises(BadInputError, match=r"item rows of edges: got 7\.\.7, expected 0\.\.4"):
            IntentEdges.build(one - 7, one, one - 8, Ragged.from_lists([]), (4, 5, 6))

    def test_unknown_settings(self) -> None:
        with pytest.raises(ConfigError, match="did you mean 'num_layers'"):
            train(two_topics(), "srjgraph", {"num_layer": 1})
