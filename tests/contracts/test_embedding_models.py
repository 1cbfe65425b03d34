"""The contract of the family of graph embedding models; a model without a case here fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from sargraph.core.errors import BadInputError, ConfigError
from sargraph.core.scorer import Requests, Scorer, VectorScorer
from sargraph.embedding.embeddings import KINDS, Embeddings
from sargraph.embedding.model import EMBEDDING_MODELS, embedding_model
from sargraph.embedding.scorer import scorer_of
from sargraph.embedding.train import train
from sargraph.events.events import Events
from sargraph.events.split import Split, SplitConfig, split_events
from sargraph.graph.build import build_graph
from sargraph.testing.embedding_cases import (
    CASES,
    VARIANTS,
    Trained,
    arm,
    built,
    first_batch,
    topic_requests,
)
from sargraph.testing.events import random_events
from sargraph.testing.leak_modules import assert_every_parameter_trains
from sargraph.testing.leaks import same_bits
from sargraph.testing.planted_topics import ACTIVE_ITEMS, ACTIVE_USERS, SIZES, two_topics
from sargraph.testing.scorer_cases import CHECKS, edit_events, scorer_world

embedding_model("uditsr")  # registers all of them, before their names are read
NAMES = EMBEDDING_MODELS.names()
ARMS = [*NAMES, *VARIANTS]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(tmp_path_factory.mktemp("embeddings"))


def test_every_registered_model_has_a_case() -> None:
    assert set(NAMES) == set(CASES), "give the model a case in CASES, or take the case away"
    assert {name for name, _ in VARIANTS.values()} <= set(NAMES)


@pytest.mark.parametrize("label", ARMS)
class TestTraining:
    def test_one_seed_gives_the_same_bits_and_another_gives_others(
        self, trained: Trained, label: str
    ) -> None:
        name, settings, _ = arm(label)
        few = {**settings, "num_epochs": 2}
        first, again, other = (train(two_topics(), name, few, seed=s) for s in (5, 5, 6))
        assert first.tables.keys() == again.tables.keys()
        for arrays in ("tables", "weights"):
            for key, array in getattr(first, arrays).items():
                assert same_bits(array, getattr(again, arrays)[key]), key
        assert not np.array_equal(first.tables["item"], other.tables["item"])

    def test_two_threads_give_the_same_bits_again(self, label: str) -> None:
        name, settings, _ = arm(label)
        threads = torch.get_num_threads()
        torch.set_num_threads(2)
        try:
            first, again = (train(two_topics(), name, {**settings, "num_epochs": 1}) for _ in "12")
        finally:
            torch.set_num_threads(threads)
        for kind, table in first.tables.items():
            assert same_bits(table, again.tables[kind]), kind

    def test_every_parameter_gets_a_gradient_from_one_batch(self, label: str) -> None:
        model = built(label)
        model.module.double()
        generator = torch.Generator().manual_seed(7)
        with torch.no_grad():  # a small or symmetric start has gradients that cancel
            for weight in model.module.parameters():
                weight += 0.3 * torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
        batch = first_batch(model)
        assert_every_parameter_trains(
            model.module, lambda: model.step(batch)["loss"], arm(label)[2]
        )

    def test_a_step_logs_finite_scalars(self, label: str) -> None:
        model = built(label)
        logged = model.step(first_batch(model))
        assert "loss" in logged
        assert all(value.shape == () and torch.isfinite(value) for value in logged.values())
        assert model.counts and all(count >= 0 for count in model.counts.values())

    def test_training_lowers_the_loss(self, trained: Trained, label: str) -> None:
        history = trained(label).history
        assert history[-1]["loss"] < 0.9 * history[0]["loss"]

    def test_the_batches_of_a_pass_hang_on_the_generator_alone(self, label: str) -> None:
        model = built(label)
        losses = [float(model.step(first_batch(model))["loss"].detach()) for _ in range(2)]
        assert losses[0] == losses[1]


@pytest.mark.parametrize("label", ARMS)
class TestTables:
    def test_are_float32_finite_and_one_row_per_id(self, trained: Trained, label: str) -> None:
        found = trained(label)
        assert {"user", "item"} <= set(found.tables) <= set(KINDS)
        for kind, table in found.tables.items():
            assert table.dtype == np.float32, kind
            assert table.shape == (SIZES[kind], found.config["dim"]), kind
            assert np.isfinite(table).all(), kind
            assert table.any(), kind

    def test_are_copies_that_a_later_step_leaves_alone(self, label: str) -> None:
        model = built(label)
        arrays = {**model.tables(), **model.weights()}
        before = {key: array.copy() for key, array in arrays.items()}
        with torch.no_grad():
            for weight in model.module.parameters():
                weight += 1.0
        for key, array in arrays.items():
            assert np.array_equal(array, before[key]), key


@pytest.mark.parametrize("search", [False, True], ids=["recommend", "search"])
@pytest.mark.parametrize("label", ARMS)
class TestScorer:
    @pytest.fixture
    def asked(self, search: bool) -> tuple[Requests, np.ndarray]:
        user = np.arange(SIZES["user"])
        items = np.random.default_rng(0).integers(0, SIZES["item"], (len(user), 12))
        return topic_requests(user, search=search), items

    def test_is_the_same_from_the_model_its_embeddings_and_its_folder(
        self, trained: Trained, label: str, asked: tuple[Requests, np.ndarray]
    ) -> None:
        name, settings, _ = arm(label)
        member = embedding_model(name)
        scores = scorer_of(trained(label)).score(*asked)
        assert same_bits(scores, scorer_of(trained.loaded(label)).score(*asked))
        assert scorer_of(trained(label)).name == name
        model = member.build(two_topics(), member.parse(settings), 1)
        fresh = Embeddings(
            model.tables(), dict(two_topics().vocabularies), two_topics().query_terms, name,
            member.parse(settings).model_dump(mode="json"), 1, model.weights(),
        )  # fmt: skip
        with torch.no_grad():
            assert same_bits(model.scorer().score(*asked), scorer_of(fresh).score(*asked))

    def test_moves_with_its_candidates(
        self, trained: Trained, label: str, asked: tuple[Requests, np.ndarray]
    ) -> None:
        wanted, items = asked
        scorer, order = scorer_of(trained(label)), np.random.default_rng(1).permutation(12)
        moved = scorer.score(wanted, items[:, order])
        np.testing.assert_allclose(
            moved, scorer.score(wanted, items)[:, order], rtol=1e-5, atol=1e-6
        )

    def test_ranks_the_users_own_topic_above_the_other(
        self, trained: Trained, label: str, search: bool
    ) -> None:
        user = np.arange(ACTIVE_USERS)
        items = np.tile(np.arange(ACTIVE_ITEMS), (len(user), 1))
        scores = scorer_of(trained(label)).score(topic_requests(user, search=search), items)
        own = items % 2 == user[:, None] % 2
        right = [(s[o][:, None] > s[~o]).mean() for s, o in zip(scores, own, strict=True)]
        assert np.mean(right) > 0.8

    def test_is_finite_for_users_and_items_without_an_edge(
        self, trained: Trained, label: str, search: bool
    ) -> None:
        user = np.arange(ACTIVE_USERS - 1, SIZES["user"])
        items = np.tile(np.arange(ACTIVE_ITEMS - 1, SIZES["item"]), (len(user), 1))
        scores = scorer_of(trained(label)).score(topic_requests(user, search=search), items)
        assert scores.dtype == np.float32 and np.isfinite(scores).all()

    def test_gives_padding_minus_infinity(
        self, trained: Trained, label: str, asked: tuple[Requests, np.ndarray]
    ) -> None:
        wanted, items = asked
        padded = items.copy()
        padded[:, 3] = -1
        scores = scorer_of(trained(label)).score(wanted, padded)
        assert np.array_equal(np.isneginf(scores), padded == -1)

    def test_its_vectors_give_its_scores(
        self, trained: Trained, label: str, asked: tuple[Requests, np.ndarray]
    ) -> None:
        scorer, (wanted, items) = scorer_of(trained(label)), asked
        if not isinstance(scorer, VectorScorer):
            pytest.skip("not a vector scorer")
        products = scorer.encode(wanted) @ scorer.item_vectors().T
        expected = np.take_along_axis(products, items, axis=1)
        np.testing.assert_allclose(scorer.score(wanted, items), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("label", ARMS)
class TestRefusals:
    @pytest.mark.parametrize("row", [-1, SIZES["user"]])
    def test_an_unknown_user(self, trained: Trained, label: str, row: int) -> None:
        asked = topic_requests(np.array([0, row]), search=False)
        with pytest.raises(BadInputError, match=r"user rows: got .*, expected 0\.\.39; ask with"):
            scorer_of(trained(label)).score(asked, np.zeros((2, 1), dtype=np.int64))

    @pytest.mark.parametrize("row", [-2, SIZES["item"]])
    def test_an_unknown_candidate(self, trained: Trained, label: str, row: int) -> None:
        asked = topic_requests(np.array([0]), search=False)
        with pytest.raises(BadInputError, match=r"candidate rows: got .*, expected -1\.\.59; ask"):
            scorer_of(trained(label)).score(asked, np.array([[0, row]]))

    def test_an_unknown_query_where_queries_are_read(self, trained: Trained, label: str) -> None:
        scorer, asked = scorer_of(trained(label)), topic_requests(np.array([0, 1]), search=True)
        items = np.tile(np.arange(20), (2, 1))
        others = replace(asked, query=(asked.query + 3) % SIZES["query"])
        reads = not np.array_equal(scorer.score(asked, items), scorer.score(others, items))
        unknown = replace(asked, query=np.array([0, SIZES["query"]]))
        if not reads:
            assert np.isfinite(scorer.score(unknown, items)).all()
            return
        with pytest.raises(BadInputError, match=r"query rows: got .*, expected -1\.\.29; ask with"):
            scorer.score(unknown, items)

    def test_an_unknown_setting(self, label: str) -> None:
        with pytest.raises(ConfigError, match=r"unknown key 'learning_rat'; did you mean 'learn"):
            train(two_topics(), arm(label)[0], {"learning_rat": 0.1})

    def test_a_graph_without_an_edge(self, label: str) -> None:
        name, settings, _ = arm(label)
        with pytest.raises(BadInputError, match=r"expected|give events"):
            train(replace(two_topics(), edges={}), name, settings)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("label", ARMS)
def test_demand_of_a_scorer(label: str, check: str) -> None:
    name, settings, _ = arm(label)

    def build(events: Events, split: Split) -> Scorer:
        return scorer_of(train(build_graph(events, split), name, {**settings, "num_epochs": 1}))

    CHECKS[check](build, scorer_world())


@pytest.fixture(scope="module")
def learned() -> Callable[[str], tuple[dict[str, Any], dict[str, Any]]]:
    """What an arm learns from the training part, with the held-out part as it was and edited."""
    events = random_events(np.random.default_rng(0), num_events=300, untimed_share=0.1)
    split = split_events(events, SplitConfig())
    late = np.flatnonzero(~split.is_train)
    worlds = (events, edit_events(events, late))
    assert len(late) > 50 and not np.array_equal(worlds[0].item, worlds[1].item)

    def fit(label: str) -> tuple[dict[str, Any], dict[str, Any]]:
        name, settings, _ = arm(label)
        few = {**settings, "num_epochs": 1}
        found = [train(build_graph(world, split), name, few, seed=3) for world in worlds]
        return {**found[0].tables, **found[0].weights}, {**found[1].tables, **found[1].weights}

    return fit


@pytest.mark.parametrize("label", ARMS)
def test_events_after_the_cut_change_nothing_that_is_learned(
    learned: Callable[[str], tuple[dict[str, Any], dict[str, Any]]], label: str
) -> None:
    """A cheap form of the leak audits, which ask more of the registered models."""
    real, edited = learned(label)
    assert real.keys() == edited.keys()
    for key, array in real.items():
        assert same_bits(np.asarray(array), np.asarray(edited[key])), key
