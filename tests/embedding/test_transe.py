"""TransE: loss and gradient against loops, triples, lengths, distances as products, refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sargraph.core.errors import BadInputError, ConfigError
from sargraph.core.scorer import VectorScorer
from sargraph.embedding.train import scorer_of, train
from sargraph.embedding.transe import TransE, TransEModel, TransETraining
from sargraph.embedding.transe_data import RELATIONS, TransEData, Triples
from sargraph.graph.graph import CLICKED, CONTAINS, FOUND, LED_TO, EdgeTable, Graph
from sargraph.testing.planted_topics import (
    ACTIVE_ITEMS,
    ACTIVE_USERS,
    SIZES,
    requests,
    share_of_right_pairs,
    two_topics,
)
from sargraph.testing.transe_oracle import TransEOracle, query_from_words, step_score

SMALL = {"dim": 8, "num_epochs": 12, "batch_size": 64, "learning_rate": 0.05}
STARTS = dict(zip(SIZES, np.cumsum([0, *SIZES.values()]).tolist(), strict=False))


def small_module() -> tuple[TransE, TransEOracle]:
    learned = torch.ones(8, dtype=torch.bool)
    module = TransE(learned, torch.ones(3, dtype=torch.bool), 4, seed=0).double()
    with torch.no_grad():
        for parameter in module.parameters():
            draw = torch.Generator().manual_seed(parameter.numel())
            parameter.copy_(torch.randn(parameter.shape, generator=draw, dtype=torch.float64))
    return module, TransEOracle(module.node.detach().numpy(), module.relation.detach().numpy())


def random_pairs(num: int = 15) -> list:
    rng = np.random.default_rng(0)
    known = [(int(rng.integers(8)), int(rng.integers(3)), int(rng.integers(8))) for _ in range(num)]
    return [((h, r, t), (h, r, (t + 1) % 8) if n % 2 else ((h + 1) % 8, r, t))
            for n, (h, r, t) in enumerate(known)]  # fmt: skip


def columns(triples: list) -> Triples:
    return Triples(*(torch.tensor(column) for column in zip(*triples, strict=True)))


@pytest.mark.parametrize("margin", [0.2, 1.0])
def test_loss_and_gradient_equal_loops(margin: float) -> None:
    module, oracle = small_module()
    pairs = random_pairs()
    loss = module.loss(*(columns(list(side)) for side in zip(*pairs, strict=True)), margin)
    assert float(loss.detach()) == pytest.approx(oracle.loss(pairs, margin), rel=1e-12)
    loss.backward()
    by_node, by_relation = oracle.gradient(pairs, margin)
    np.testing.assert_allclose(module.node.grad, by_node, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(module.relation.grad, by_relation, rtol=1e-9, atol=1e-12)


def test_the_oracles_gradient_is_the_slope_of_its_loss() -> None:
    _, oracle = small_module()
    pairs, step = random_pairs(6), 1e-6
    for array, gradient in zip(
        (oracle.node, oracle.relation), oracle.gradient(pairs, 0.3), strict=True
    ):
        for place in np.ndindex(array.shape):
            losses = []
            for sign in (1, -1):
                array[place] += sign * step
                losses.append(oracle.loss(pairs, 0.3))
                array[place] -= sign * step
            assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(gradient[place], abs=1e-5)


def test_nodes_have_the_length_one_before_each_step_and_relations_only_at_the_start() -> None:
    model = TransEModel.build(two_topics(), TransETraining(dim=6), 0)
    torch.testing.assert_close(model.module.relation.norm(dim=1), torch.ones(4))
    with torch.no_grad():
        model.module.node.mul_(3)
        model.module.relation.mul_(3)
    model.step(next(model.batches(1, torch.Generator().manual_seed(0))))
    lengths = model.module.node.detach().norm(dim=1)
    torch.testing.assert_close(lengths, model.module.learned.float())
    torch.testing.assert_close(model.module.relation.detach().norm(dim=1), torch.full((4,), 3.0))
    assert 0 < int(model.module.learned.sum()) < len(lengths)


def loop_triples(graph: Graph) -> dict[tuple[str, str, str], set[tuple[int, int]]]:
    """Rows of the two ends of each relation's edges."""
    clicked, found = graph.edges[CLICKED], graph.edges[FOUND]
    return {
        CLICKED: {*zip(clicked.from_row, clicked.to_row, strict=True)},
        FOUND: {*zip(found.from_row, found.to_row, strict=True)},
        LED_TO: {*zip(found.query, found.to_row, strict=True)},
        CONTAINS: {(q, t) for q in found.query for t in graph.query_terms[q].tolist()},
    }


def test_every_triple_comes_once_a_pass_beside_one_that_is_not_known() -> None:
    graph = two_topics()
    expected = loop_triples(graph)
    chosen = expected[CLICKED] | expected[FOUND]
    model = TransEModel.build(graph, TransETraining(dim=4, batch_size=50), 0)
    seen, replaced = [], {"head": 0, "tail": 0}
    for known, corrupt in model.batches(1, torch.Generator().manual_seed(0)):
        assert torch.equal(known.relation, corrupt.relation)
        sides = (zip(*(getattr(side, name).tolist() for name in ("head", "relation", "tail")),
                     strict=True) for side in (known, corrupt))  # fmt: skip
        for (h, r, t), (other_h, _, other_t) in zip(*sides, strict=True):
            source, _, target = kind = RELATIONS[r]
            here = STARTS[source], STARTS[target]
            seen.append((kind, h - here[0], t - here[1]))
            assert (h == other_h) != (t == other_t)
            replaced["tail" if h == other_h else "head"] += 1
            wrong = other_h - here[0], other_t - here[1]
            assert 0 <= wrong[0] < SIZES[source] and 0 <= wrong[1] < SIZES[target]
            assert wrong not in (chosen if kind in (CLICKED, FOUND) else expected[kind])
    assert len(seen) == len(set(seen))
    assert set(seen) == {(kind, *ends) for kind, pairs in expected.items() for ends in pairs}
    assert 0.4 < replaced["head"] / len(seen) < 0.6
    assert sum(model.counts.values()) == len(seen)


def test_an_end_that_cannot_be_replaced_stays() -> None:
    """User 0 chose every item: only the user can be another. Item 0 was chosen by all others."""
    items, users = np.arange(SIZES["item"]), np.arange(1, SIZES["user"])
    table = EdgeTable.of(
        np.concatenate([np.zeros_like(items), users]),
        np.concatenate([items, np.zeros_like(users)]),
    )
    data = TransEData.build(replace(two_topics(), edges={CLICKED: table}))
    assert len(data.triples.head) == len(items) + len(users) - 1  # (0, 0) has no other triple
    for known, corrupt in data.batches(1000, torch.Generator().manual_seed(0)):
        is_first = known.head == 0
        assert torch.equal(known.tail[is_first], corrupt.tail[is_first])
        assert torch.equal(known.head[~is_first], corrupt.head[~is_first])


def test_every_kind_of_node_and_every_relation_is_learned() -> None:
    model = TransEModel.build(two_topics(), TransETraining(dim=6), 0)
    model.step(next(model.batches(1, torch.Generator().manual_seed(0))))["loss"].backward()
    moved = model.module.node.grad.abs().sum(1) > 0
    for kind, start in STARTS.items():
        assert moved[start : start + SIZES[kind]].any(), kind
    assert (model.module.relation.grad.abs().sum(1) > 0).all()


def test_scores_are_distances() -> None:
    graph = two_topics()
    terms = [row.tolist() for row in graph.query_terms]
    terms[3] = []  # asked, and nothing said
    graph = replace(graph, query_terms=graph.query_terms.from_lists(terms))
    found = train(graph, "transe", SMALL, seed=1)
    step = dict(zip(RELATIONS, found.weights["relation"].astype(np.float64), strict=True))
    table = {kind: values.astype(np.float64) for kind, values in found.tables.items()}
    users, queries = np.array([0, 5, 7, ACTIVE_USERS]), np.array([-1, 4, 3, 6])
    items = np.array([0, 59, -1, 13])
    scores = scorer_of(found).score(requests(users, queries), np.tile(items, (4, 1)))
    for row, (user, query) in enumerate(zip(users, queries, strict=True)):
        words = [table["term"][t] for t in sorted(set(terms[query]))] if query >= 0 else []
        asked = query_from_words(words, step[CONTAINS])
        if query >= 0:
            np.testing.assert_allclose(table["query"][query], asked, atol=1e-6)
        for place, item in enumerate(items):
            if item < 0:
                assert np.isneginf(scores[row, place])
                continue
            end, verb = table["item"][item], CLICKED if query < 0 else FOUND
            expected = step_score(table["user"][user], step[verb], end)
            if words:
                expected += step_score(asked, step[LED_TO], end)
            assert scores[row, place] == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_planted_topics_are_recovered_by_users_and_by_words_alone() -> None:
    graph = two_topics()
    found = graph.edges[FOUND]
    edges = graph.edges | {FOUND: found.take(found.query < 20)}
    scorer = scorer_of(train(replace(graph, edges=edges), "transe", SMALL, seed=1))
    users, unseen = np.arange(ACTIVE_USERS), np.arange(20, 30)
    items = np.arange(ACTIVE_ITEMS)
    scores = scorer.score(requests(users), np.tile(items, (len(users), 1)))
    assert share_of_right_pairs(scores, users % 2) > 0.95
    stranger = requests(np.full(10, ACTIVE_USERS), unseen)
    scores = scorer.score(stranger, np.tile(items, (10, 1)))
    assert share_of_right_pairs(scores, unseen % 2) > 0.9


def test_a_graph_without_searches_keeps_their_steps_at_zero() -> None:
    graph = two_topics()
    found = train(replace(graph, edges={CLICKED: graph.edges[CLICKED]}), "transe", SMALL)
    assert found.weights["relation"].any(axis=1).tolist() == [True, False, False, False]
    assert not found.tables["query"].any() and not found.tables["term"].any()
    assert not found.tables["user"][ACTIVE_USERS:].any()
    lengths = np.linalg.norm(found.tables["item"], axis=1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-5)


class TestRefusals:
    def test_a_graph_without_choices(self) -> None:
        none = np.empty(0, dtype=np.int64)
        graph = replace(two_topics(), edges={CLICKED: EdgeTable.of(none, none)})
        with pytest.raises(BadInputError, match="no user with an item chosen and one not chosen"):
            train(graph, "transe", SMALL)

    def test_unknown_rows(self) -> None:
        scorer = TransEModel.build(two_topics(), TransETraining(dim=4), seed=0).scorer()
        assert isinstance(scorer, VectorScorer)
        one, item = np.array([0]), np.array([[0]])
        with pytest.raises(BadInputError, match=r"user rows: got 99\.\.99, expected 0\.\.39"):
            scorer.score(requests(np.array([99])), item)
        with pytest.raises(BadInputError, match=r"query rows: got 30\.\.30, expected -1\.\.29"):
            scorer.score(requests(one, np.array([30])), item)
        with pytest.raises(BadInputError, match="candidate rows"):
            scorer.score(requests(one), np.array([[60]]))

    def test_unknown_settings(self) -> None:
        with pytest.raises(ConfigError, match="did you mean 'margin'"):
            train(two_topics(), "transe", {"margins": 1.0})
