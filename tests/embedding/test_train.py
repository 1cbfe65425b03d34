"""Training on a planted world of two topics, seeds, resuming, and what a step must not see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sargraph.core.errors import ArtifactError, BadInputError, ConfigError
from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Requests, Scorer
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.model import EMBEDDING_MODELS, TrainConfig, embedding_model
from sargraph.embedding.train import scorer_of, train
from sargraph.embedding.uditsr_model import UDITSRModel, UDITSRTraining
from sargraph.embedding.uditsr_stale import WindowBatch
from sargraph.graph.graph import CLICKED, FOUND, EdgeTable, Graph
from sargraph.testing.planted_topics import ACTIVE_ITEMS, ACTIVE_USERS, SIZES, two_topics

SHORT = {"dim": 8, "num_epochs": 4, "batch_size": 128, "learning_rate": 0.02}


def requests(user: np.ndarray, query: np.ndarray) -> Requests:
    none = np.zeros(len(user), dtype=np.int64)
    return Requests(user, query, none, none, none)


def share_of_right_pairs(scorer: Scorer, query: np.ndarray) -> float:
    """How often an item of the user's topic outranks one of the other topic."""
    user = np.arange(ACTIVE_USERS)
    items = np.tile(np.arange(ACTIVE_ITEMS), (len(user), 1))
    rows = zip(
        scorer.score(requests(user, query), items), items % 2 == user[:, None] % 2, strict=True
    )
    return float(np.mean([(row[same][:, None] > row[~same]).mean() for row, same in rows]))


@pytest.mark.parametrize("task", ["search", "recommend"])
def test_items_of_the_planted_topic_outrank_the_others(embeddings: Embeddings, task: str) -> None:
    user = np.arange(ACTIVE_USERS)
    query = user % SIZES["query"] if task == "search" else np.full(len(user), -1)
    assert share_of_right_pairs(scorer_of(embeddings), query) > 0.95


def test_an_untrained_model_ranks_at_chance(graph: Graph) -> None:
    model = UDITSRModel.build(graph, UDITSRTraining(dim=16), seed=1)
    query = np.full(ACTIVE_USERS, -1)
    assert 0.35 < share_of_right_pairs(model.scorer(), query) < 0.65


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(graph: Graph) -> None:
    first, second, other = (train(graph, config=SHORT, seed=seed) for seed in (3, 3, 4))
    assert first.history == second.history
    for kind, table in first.tables.items():
        np.testing.assert_array_equal(table, second.tables[kind])
        assert not np.array_equal(table, other.tables[kind])


def test_a_resumed_training_equals_an_uninterrupted_one(graph: Graph, tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.safetensors"
    whole = train(graph, config=SHORT, seed=3)
    train(graph, config={**SHORT, "num_epochs": 2}, seed=3, checkpoint=file)
    resumed = train(graph, config=SHORT, seed=3, checkpoint=file, resume=True)
    assert resumed.history == whole.history
    for name, weight in whole.weights.items():
        np.testing.assert_array_equal(weight, resumed.weights[name])


def test_a_checkpoint_of_other_settings_is_refused(graph: Graph, tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.safetensors"
    train(graph, config={**SHORT, "num_epochs": 1}, checkpoint=file)
    with pytest.raises(ArtifactError):
        train(graph, config={**SHORT, "learning_rate": 0.5}, checkpoint=file, resume=True)


def test_validation_keeps_the_best_weights(graph: Graph) -> None:
    scores = iter([0.1, 0.9, 0.2, 0.3])
    seen: list[np.ndarray] = []
    asked = requests(np.arange(5), np.full(5, -1)), np.tile(np.arange(6), (5, 1))

    def validate(scorer: Scorer) -> float:
        seen.append(scorer.score(*asked))
        return next(scores)

    best = train(graph, config={**SHORT, "validate_every": 1}, validate=validate)
    assert (best.report["best_epoch"], best.report["best_score"]) == (2, 0.9)
    np.testing.assert_array_equal(scorer_of(best).score(*asked), seen[1])


def test_the_report_counts_what_was_used_and_what_was_not() -> None:
    graph = two_topics()
    queries = [[] if row < 10 else row_terms for row, row_terms in enumerate(graph.query_terms)]
    bare = Graph(**{**vars(graph), "query_terms": Ragged.from_lists(queries)})
    found = graph.edges[FOUND]
    report = train(bare, config={**SHORT, "num_epochs": 1}).report
    assert report["search_edges_without_terms"] == (found.query < 10).sum() > 0
    assert report["search_edges"] == (found.query >= 10).sum()
    assert report["recommendation_edges"] == len(graph.edges[CLICKED])


def test_bad_input_is_named(graph: Graph) -> None:
    with pytest.raises(ConfigError, match="uditsr"):
        train(graph, "udistr")
    with pytest.raises(ConfigError, match="learning_rate"):
        train(graph, config={"lerning_rate": 0.1})
    with pytest.raises(ConfigError, match="UDITSRTraining"):
        train(graph, config=TrainConfig())
    none = np.empty(0, dtype=np.int64)
    empty = Graph(**{**vars(graph), "edges": {CLICKED: EdgeTable.of(none, none)}})
    with pytest.raises(BadInputError, match="clicked"):
        train(empty)


def test_a_graph_of_one_source_trains(graph: Graph) -> None:
    for kind in (CLICKED, FOUND):
        single = Graph(**{**vars(graph), "edges": {kind: graph.edges[kind]}})
        assert np.isfinite(train(single, config={**SHORT, "num_epochs": 1}).tables["item"]).all()


def test_every_parameter_gets_a_gradient(graph: Graph) -> None:
    model = UDITSRModel.build(graph, UDITSRTraining(dim=8), seed=0)
    batch = next(iter(model.batches(1, torch.Generator().manual_seed(0))))
    model.step(batch)["loss"].backward()
    for name, parameter in model.module.named_parameters():
        if not name.endswith("score.third.bias"):  # no difference of scores sees it
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_defect_a_row_reads_words_that_only_its_own_pair_has() -> None:
    """A search with a word that nobody else uses must not find that word in its virtual query."""
    graph = two_topics()
    user, item, term = 0, 0, SIZES["term"] - 1
    query_terms = Ragged.from_lists([*list(graph.query_terms)[:-1], [term]])
    found = EdgeTable.of(np.array([user, 2]), np.array([item, 2]), query=np.array([29, 0]))
    lone = Graph(**{**vars(graph), "query_terms": query_terms, "edges": {FOUND: found}})
    model = UDITSRModel.build(lone, UDITSRTraining(dim=8), seed=0)
    assert model.module.user_terms[user, 0] == model.module.item_terms[item, 0] == term
    assert words_read(model) == [False, False]
    seen = {f"own_{kind}_terms": torch.zeros(2, width, dtype=torch.bool) for kind, width in WIDTHS}
    assert words_read(UDITSRModel(lone, replace(model.data, **seen), model.config, seed=0)) == [
        True,
        True,
    ]


WIDTHS = (("user", 3), ("item", 10))


def words_read(model: UDITSRModel) -> list[bool]:
    """Whether the virtual query of edge 0 depends on words of its user, and of its item."""
    row = torch.tensor([0])
    model.step(WindowBatch(row, torch.tensor([1]), row))["supervised"].backward()
    gradient = model.module.intent.first.weight.grad  # over [user; item; user words; item words]
    assert gradient is not None
    return [bool(part.abs().sum() > 0) for part in gradient.split(8, dim=1)[2:]]


def test_defect_a_row_is_predicted_from_its_own_edge(graph: Graph) -> None:
    """The query of a batch's edge must not reach its user's or item's vector in that step."""
    model = UDITSRModel.build(graph, UDITSRTraining(dim=8), seed=0)
    edges = model.data.edges
    row = len(edges.user) - 1
    alone = (edges.user == edges.user[row]) & (edges.item == edges.item[row])
    kept = model.module.propagate(edges, edges.outside(edges.user[[row]], edges.item[[row]]))
    without = model.module.propagate(edges, ~alone)
    torch.testing.assert_close(kept.item, without.item)
    assert not torch.equal(
        kept.item[edges.item[row]], model.module.propagate(edges).item[edges.item[row]]
    )


def test_the_registry_knows_uditsr() -> None:
    assert embedding_model("uditsr") is UDITSRModel
    assert "uditsr" in EMBEDDING_MODELS.names()
