"""Item2vec: pairs, loss and gradient against loops, negatives, subsampling, means, refusals."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from sargraph.core.errors import BadInputError, ConfigError
from sargraph.core.ragged import Ragged
from sargraph.core.scorer import VectorScorer
from sargraph.core.types import NO_TIME
from sargraph.embedding import item2vec_data
from sargraph.embedding.item2vec import Item2vec, Item2vecModel, Item2vecTraining
from sargraph.embedding.item2vec_data import Choices, SkipGrams
from sargraph.embedding.row_means import mean_of_rows
from sargraph.embedding.train import scorer_of, train
from sargraph.graph.graph import CLICKED, FOUND, EdgeTable, Graph
from sargraph.testing.item2vec_oracle import Item2vecOracle, mean_vector, pairs_of_user
from sargraph.testing.planted_topics import ACTIVE_ITEMS, ACTIVE_USERS, SIZES, requests, two_topics

SMALL = {"dim": 8, "num_epochs": 8, "batch_size": 128, "learning_rate": 0.05, "subsample": 0.0,
         "num_negatives": 5}  # fmt: skip


def random_graph(seed: int, untimed_share: float) -> Graph:
    """Choices of 6 users with repeats, ties in time and, by share, without a time."""
    rng = np.random.default_rng(seed)
    edges = {}
    for kind in (CLICKED, FOUND):
        time = np.where(rng.random(45) < untimed_share, NO_TIME, rng.integers(0, 12, 45))
        edges[kind] = EdgeTable.of(rng.integers(0, 6, 45), rng.integers(0, 9, 45), time=time)
    return replace(two_topics(), edges=edges)


def choices_of(graph: Graph, user: int) -> list[tuple[int, int | None]]:
    tables = (graph.edges[kind] for kind in (CLICKED, FOUND))
    return [
        (int(i), None if t == NO_TIME else int(t))
        for table in tables
        for u, i, t in zip(table.from_row, table.to_row, table.time, strict=True)
        if u == user
    ]


def counted(pairs: tuple[np.ndarray, np.ndarray]) -> Counter:
    return Counter(zip(*(side.tolist() for side in pairs), strict=True))


@pytest.mark.parametrize("untimed_share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("window", [1, 3, 50])
def test_pairs_equal_loops(window: int, untimed_share: float) -> None:
    for seed in range(3):
        graph = random_graph(seed, untimed_share)
        expected: Counter = Counter()
        for user in range(SIZES["user"]):
            expected.update(pairs_of_user(choices_of(graph, user), window))
        assert len(expected) > 20
        assert counted(Choices.of(graph).pairs(window)) == expected


@pytest.mark.parametrize("at_once", [1, 20, 1000])
def test_a_pass_holds_every_pair_once_however_it_is_cut(monkeypatch, at_once: int) -> None:
    monkeypatch.setattr(item2vec_data, "CHOICES_AT_ONCE", at_once)
    choices = Choices.of(random_graph(0, 0.3))
    skip_grams = SkipGrams.build(choices, 3, 100, 2, subsample=0.0)
    found: Counter = Counter()
    for centre, context, negatives in skip_grams.batches(7, torch.Generator().manual_seed(0)):
        assert 0 < len(centre) <= 7 and negatives.shape == (len(centre), 2)
        found.update(counted((centre.numpy(), context.numpy())))
    assert found == counted(choices.pairs(3))


def small_module() -> tuple[Item2vec, Item2vecOracle]:
    module = Item2vec(7, 3, seed=0).double()
    with torch.no_grad():
        for number, parameter in enumerate(module.parameters()):
            draw = torch.Generator().manual_seed(number)
            parameter.copy_(torch.randn(parameter.shape, generator=draw, dtype=torch.float64))
    return module, Item2vecOracle(module.item.detach().numpy(), module.context.detach().numpy())


def random_examples() -> list[tuple[int, int, list[int]]]:
    rng = np.random.default_rng(0)
    found = [(*rng.permutation(7)[:2].tolist(), rng.integers(0, 7, 4).tolist()) for _ in range(12)]
    assert any(context in negatives for _, context, negatives in found)
    assert any(len(set(negatives)) < 4 for *_, negatives in found)
    return found


def test_loss_and_gradient_equal_loops() -> None:
    module, oracle = small_module()
    examples = random_examples()
    loss = module.loss(*(torch.tensor(column) for column in zip(*examples, strict=True)))
    assert float(loss.detach()) == pytest.approx(oracle.loss(examples), rel=1e-12)
    loss.backward()
    for parameter, expected in zip(module.parameters(), oracle.gradient(examples), strict=True):
        np.testing.assert_allclose(parameter.grad, expected, rtol=1e-9, atol=1e-12)


def test_the_oracles_gradient_is_the_slope_of_its_loss() -> None:
    _, oracle = small_module()
    examples, step = random_examples()[:3], 1e-6
    for array, gradient in zip(
        (oracle.item, oracle.context), oracle.gradient(examples), strict=True
    ):
        for place in np.ndindex(array.shape):
            losses = []
            for sign in (1, -1):
                array[place] += sign * step
                losses.append(oracle.loss(examples))
                array[place] -= sign * step
            assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(gradient[place], abs=1e-6)


def test_negatives_follow_the_power_of_the_counts() -> None:
    """Items 3, 5 and 8 chosen 16, 1 and 81 times: 8 to 1 to 27 draws, and none of another item."""
    item = np.repeat([3, 5, 8], [16, 1, 81])
    edges = {CLICKED: EdgeTable.of(np.zeros_like(item), item, time=np.arange(len(item)))}
    choices = Choices.of(replace(two_topics(), edges=edges))
    skip_grams = SkipGrams.build(choices, 3, 100, 20, subsample=0.0)
    drawn = skip_grams.negatives(5000, torch.Generator().manual_seed(0))
    found = np.bincount(drawn.flatten(), minlength=SIZES["item"]) / drawn.numel()
    assert np.flatnonzero(found).tolist() == [3, 5, 8]
    np.testing.assert_allclose(found[[3, 5, 8]], np.array([8, 1, 27]) / 36, atol=0.006)


def test_means_count_a_row_once_and_leave_out_what_was_never_learned() -> None:
    table = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    table[2] = 0
    lists = [[0, 1, 1], [2, 3], [2], [], [4, 2, 0, 4, 3]]
    found = mean_of_rows(Ragged.from_lists(lists), table)
    assert found.dtype == np.float32
    expected = [mean_vector([table[row] for row in sorted(set(rows))], 3) for rows in lists]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert mean_of_rows(Ragged.from_lists([[], []]), table[:0]).shape == (2, 3)


def test_frequent_items_are_left_out_at_times() -> None:
    """Item 0 is a half of all choices: it stays in a share sqrt(0.02 / 0.5) of passes."""
    user, item = np.repeat(np.arange(20), 4), np.tile([0, 1, 0, 2], 20)
    item[1::4], item[3::4] = 1 + np.arange(20), 21 + np.arange(20)
    edges = {CLICKED: EdgeTable.of(user, item, time=np.tile(np.arange(4), 20))}
    choices = Choices.of(replace(two_topics(), edges=edges))
    skip_grams = SkipGrams.build(choices, 5, 100, 1, subsample=0.02)
    np.testing.assert_allclose(skip_grams.kept[:3], [np.sqrt(0.04), 1.0, 1.0])
    shares = []
    for seed in range(40):
        batches = skip_grams.batches(10_000, torch.Generator().manual_seed(seed))
        pairs = Counter()
        for centre, context, _ in batches:
            pairs.update(zip(centre.tolist(), context.tolist(), strict=True))
        rare = [pairs[1 + n, 21 + n] for n in range(20)]
        assert rare == [1] * 20  # who is rare takes part in every pass
        shares.append(sum(pairs[0, 1 + n] for n in range(20)) / 40)
    assert np.mean(shares) == pytest.approx(0.2, abs=0.03)


def test_a_pass_that_would_be_empty_takes_every_choice() -> None:
    edges = {CLICKED: EdgeTable.of(np.array([0, 0]), np.array([3, 4]))}
    choices = Choices.of(replace(two_topics(), edges=edges))
    skip_grams = SkipGrams.build(choices, 5, 100, 1, subsample=1e-12)
    ((centre, context, _),) = skip_grams.batches(10, torch.Generator().manual_seed(0))
    assert sorted(zip(centre.tolist(), context.tolist(), strict=True)) == [(3, 4), (4, 3)]


def test_long_sets_are_drawn_anew_in_each_pass() -> None:
    """30 untimed and 5 timed choices, at most 4 untimed of them a pass."""
    item = np.arange(35)
    time = np.where(item < 30, NO_TIME, item)
    edges = {CLICKED: EdgeTable.of(np.zeros_like(item), item, time=time)}
    choices = Choices.of(replace(two_topics(), edges=edges))
    skip_grams = SkipGrams.build(choices, 1, 4, 1, subsample=0.0)
    met: set[int] = set()
    for seed in range(60):
        ((centre, _, _),) = skip_grams.batches(1000, torch.Generator().manual_seed(seed))
        drawn = set(centre[centre < 30].tolist())
        assert len(drawn) == 4 and len(centre) == 2 * (4 * 3 // 2 + 4 * 5 + 4)
        met |= drawn
    assert met == set(range(30))


def test_users_are_the_means_of_their_items_and_the_lonely_are_zero() -> None:
    graph = two_topics()
    # The last but one user and item are alone with each other.
    alone = EdgeTable.of(np.array([ACTIVE_USERS]), np.array([ACTIVE_ITEMS]))
    columns = {
        name: np.concatenate([value, vars(alone)[name]])
        for name, value in vars(graph.edges[CLICKED]).items()
    }
    graph = replace(graph, edges=graph.edges | {CLICKED: EdgeTable(**columns)})
    found = train(graph, "item2vec", SMALL, seed=1)
    for user in range(SIZES["user"]):
        items = sorted({item for item, _ in choices_of(graph, user)})
        expected = mean_vector([found.tables["item"][item] for item in items], 8)
        np.testing.assert_allclose(found.tables["user"][user], expected, rtol=1e-4, atol=1e-6)
    assert not found.tables["user"][ACTIVE_USERS:].any()
    assert not found.tables["item"][ACTIVE_ITEMS:].any()
    assert found.tables["item"][:ACTIVE_ITEMS].any(axis=1).all()


@pytest.mark.parametrize("similarity", ["cosine", "inner"])
def test_scores_are_products_or_cosines_of_the_tables(similarity: str) -> None:
    found = train(two_topics(), "item2vec", {**SMALL, "similarity": similarity}, seed=1)
    users, items = np.array([0, 5, ACTIVE_USERS]), np.array([[0, 3, -1], [59, 1, 2], [7, 7, 0]])
    scores = scorer_of(found).score(requests(users), items)
    for row, column in np.ndindex(items.shape):
        u, i = found.tables["user"][users[row]], found.tables["item"][items[row, column]]
        lengths = np.linalg.norm(u) * np.linalg.norm(i) if similarity == "cosine" else 1.0
        expected = float(u @ i) / (lengths or 1.0) if items[row, column] >= 0 else -np.inf
        assert scores[row, column] == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert not scores[2].any() and not scores[1, 0]


def test_planted_topics_are_recovered_with_and_without_times() -> None:
    graph = two_topics()
    rng = np.random.default_rng(0)
    timed = {
        kind: replace(table, time=rng.integers(0, 1000, len(table)))
        for kind, table in graph.edges.items()
    }
    users, items = np.arange(ACTIVE_USERS), np.arange(ACTIVE_ITEMS)
    for edges in (graph.edges, timed):
        scorer = scorer_of(train(replace(graph, edges=edges), "item2vec", SMALL, seed=1))
        scores = scorer.score(requests(users), np.tile(items, (len(users), 1)))
        same = items % 2 == users[:, None] % 2
        pairs = zip(scores, same, strict=True)
        assert np.mean([(row[mask][:, None] > row[~mask]).mean() for row, mask in pairs]) > 0.9


class TestRefusals:
    def test_a_graph_whose_users_chose_one_item_each(self) -> None:
        edges = {CLICKED: EdgeTable.of(np.array([0, 1, 1]), np.array([0, 4, 4]))}
        with pytest.raises(BadInputError, match="no user who chose two items"):
            train(replace(two_topics(), edges=edges), "item2vec", SMALL)

    def test_unknown_rows(self) -> None:
        scorer = Item2vecModel.build(two_topics(), Item2vecTraining(dim=4), seed=0).scorer()
        assert isinstance(scorer, VectorScorer)
        with pytest.raises(BadInputError, match=r"user rows: got 99\.\.99, expected 0\.\.39"):
            scorer.score(requests(np.array([99])), np.array([[0]]))
        with pytest.raises(BadInputError, match="candidate rows"):
            scorer.score(requests(np.array([0])), np.array([[60]]))

    def test_unknown_settings(self) -> None:
        with pytest.raises(ConfigError, match="did you mean 'window'"):
            train(two_topics(), "item2vec", {"windows": 3})
