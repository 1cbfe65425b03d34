"""BPR: its loss and gradient against loops, planted topics, cold users, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sargraph.core.errors import BadInputError, ConfigError
from sargraph.core.scorer import VectorScorer
from sargraph.embedding.bpr import BPR, BPRModel, BPRTraining
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.train import scorer_of, train
from sargraph.graph.graph import CLICKED, FOUND, EdgeTable, Graph
from sargraph.testing.bpr_oracle import BPROracle
from sargraph.testing.planted_topics import ACTIVE_ITEMS, ACTIVE_USERS, SIZES, requests, two_topics

SMALL = {"dim": 8, "num_epochs": 12, "batch_size": 64, "learning_rate": 0.05}


def small_module() -> tuple[BPR, BPROracle]:
    module = BPR(5, 7, 3, seed=0).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, dtype=torch.float64))
    arrays = (p.detach().numpy() for p in (module.user, module.item, module.item_bias))
    return module, BPROracle(*arrays)


@pytest.mark.parametrize("regularisation", [0.0, 0.3])
def test_loss_and_gradient_equal_loops(regularisation: float) -> None:
    module, oracle = small_module()
    rng = np.random.default_rng(0)
    triples = [(int(rng.integers(5)), *rng.permutation(7)[:2].tolist()) for _ in range(20)]
    columns = (torch.tensor(column) for column in zip(*triples, strict=True))
    ranking, squares = module.loss(*columns, regularisation)
    assert float((ranking + squares).detach()) == pytest.approx(
        oracle.loss(triples, regularisation)
    )
    assert float(squares.detach()) == 0 or regularisation
    (ranking + squares).backward()
    found = (module.user.grad, module.item.grad, module.item_bias.grad)
    for gradient, expected in zip(found, oracle.gradient(triples, regularisation), strict=True):
        np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-9, atol=1e-12)


def test_the_oracles_gradient_is_the_slope_of_its_loss() -> None:
    _, oracle = small_module()
    triples, step = [(0, 1, 2), (0, 3, 1), (4, 1, 6)], 1e-6
    for array, gradient in zip(
        (oracle.user, oracle.item, oracle.bias), oracle.gradient(triples, 0.2), strict=True
    ):
        for place in np.ndindex(array.shape):
            losses = []
            for sign in (1, -1):
                array[place] += sign * step
                losses.append(oracle.loss(triples, 0.2))
                array[place] -= sign * step
            assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(gradient[place], abs=1e-6)


def test_scores_equal_the_oracle() -> None:
    found = train(two_topics(), "bpr", SMALL, seed=1)
    oracle = BPROracle(found.tables["user"], found.tables["item"], found.weights["item_bias"])
    users, items = np.array([0, 5, 39]), np.array([[0, 3, -1], [59, 1, 2], [7, 7, 0]])
    scores = scorer_of(found).score(requests(users), items)
    for row, column in np.ndindex(items.shape):
        item = items[row, column]
        expected = oracle.score(users[row], item) if item >= 0 else -np.inf
        assert scores[row, column] == pytest.approx(expected, rel=1e-5, abs=1e-6)


def share_of_right_pairs(embeddings: Embeddings) -> float:
    """How often an item of the user's topic outranks one of the other topic."""
    user = np.arange(ACTIVE_USERS)
    items = np.tile(np.arange(ACTIVE_ITEMS), (len(user), 1))
    rows = zip(
        scorer_of(embeddings).score(requests(user), items), items % 2 == user[:, None] % 2,
        strict=True,
    )  # fmt: skip
    return float(np.mean([(row[same][:, None] > row[~same]).mean() for row, same in rows]))


@pytest.mark.parametrize("source", ["both", "recommend", "search"])
def test_planted_topics_are_recovered(source: str) -> None:
    assert share_of_right_pairs(train(two_topics(), "bpr", {**SMALL, "source": source})) > 0.95


def test_an_untrained_model_ranks_at_chance() -> None:
    model = BPRModel.build(two_topics(), BPRTraining(dim=8), seed=1)
    user = np.arange(ACTIVE_USERS)
    items = np.tile(np.arange(ACTIVE_ITEMS), (len(user), 1))
    scores, same = model.scorer().score(requests(user), items), items % 2 == user[:, None] % 2
    share = np.mean([(r[s][:, None] > r[~s]).mean() for r, s in zip(scores, same, strict=True)])
    assert 0.4 < share < 0.6


def test_users_without_a_choice_are_answered_by_the_biases() -> None:
    found = train(two_topics(), "bpr", SMALL, seed=2)
    assert not found.tables["user"][ACTIVE_USERS:].any()
    assert found.tables["user"][:ACTIVE_USERS].any(axis=1).all()
    items = np.arange(SIZES["item"])[None, :]
    scores = scorer_of(found).score(requests(np.array([ACTIVE_USERS])), items)[0]
    np.testing.assert_allclose(scores, found.weights["item_bias"], rtol=1e-6)


def test_negatives_are_never_chosen_in_either_source() -> None:
    graph = two_topics()
    for source in ("recommend", "search"):
        model = BPRModel.build(graph, BPRTraining(dim=4, batch_size=50, source=source), seed=0)
        chosen = {
            pair
            for kind in (CLICKED, FOUND)
            for pair in zip(graph.edges[kind].from_row.tolist(), graph.edges[kind].to_row.tolist(),
                            strict=True)
        }  # fmt: skip
        seen = 0
        for user, positive, negative in model.batches(1, torch.Generator().manual_seed(0)):
            for u, i, j in zip(user.tolist(), positive.tolist(), negative.tolist(), strict=True):
                assert (u, i) in chosen and (u, j) not in chosen
                seen += 1
        kind = CLICKED if source == "recommend" else FOUND
        pairs = {*zip(graph.edges[kind].from_row, graph.edges[kind].to_row, strict=True)}
        assert seen == len(pairs) == model.counts["positives"]


def test_the_same_seed_gives_the_same_bits() -> None:
    first, again, other = (train(two_topics(), "bpr", SMALL, seed=s) for s in (1, 1, 2))
    assert np.array_equal(first.tables["item"], again.tables["item"])
    assert not np.array_equal(first.tables["item"], other.tables["item"])


def test_saved_embeddings_score_the_same_and_hold_users_and_items_only(tmp_path) -> None:
    found = train(two_topics(), "bpr", SMALL, seed=1)
    found.save(tmp_path / "bpr")
    loaded = Embeddings.load(tmp_path / "bpr")
    assert sorted(loaded.tables) == ["item", "user"]
    asked = requests(np.arange(5)), np.tile(np.arange(9), (5, 1))
    assert np.array_equal(scorer_of(loaded).score(*asked), scorer_of(found).score(*asked))
    with pytest.raises(BadInputError, match="no table of 'query' vectors"):
        loaded.vectors("query")


def test_it_is_a_vector_scorer() -> None:
    model = BPRModel.build(two_topics(), BPRTraining(dim=4), seed=0)
    assert isinstance(model.scorer(), VectorScorer)
    assert model.scorer().item_vectors().shape == (SIZES["item"], 5)


class TestRefusals:
    def test_a_graph_without_choices(self) -> None:
        none = np.empty(0, dtype=np.int64)
        graph = replace(two_topics(), edges={CLICKED: EdgeTable.of(none, none)})
        with pytest.raises(BadInputError, match="no user with an item chosen and one not chosen"):
            train(graph, "bpr", SMALL)

    def test_users_who_chose_everything_have_nothing_to_learn(self) -> None:
        graph: Graph = two_topics()
        everything = np.arange(SIZES["item"])
        one = EdgeTable.of(np.zeros(len(everything), dtype=np.int64), everything)
        with pytest.raises(BadInputError, match="expected at least one"):
            train(replace(graph, edges={CLICKED: one}), "bpr", SMALL)

    def test_unknown_rows(self) -> None:
        scorer = BPRModel.build(two_topics(), BPRTraining(dim=4), seed=0).scorer()
        with pytest.raises(BadInputError, match=r"user rows: got 99\.\.99, expected 0\.\.39"):
            scorer.score(requests(np.array([99])), np.array([[0]]))
        with pytest.raises(BadInputError, match="candidate rows"):
            scorer.score(requests(np.array([0])), np.array([[60]]))

    def test_unknown_settings(self) -> None:
        with pytest.raises(ConfigError, match="did you mean 'regularisation'"):
            train(two_topics(), "bpr", {"regularization": 1.0})
