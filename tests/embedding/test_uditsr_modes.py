"""Stale and sampled propagation, controls of the virtual query, and every defect as an option."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sargraph.core.errors import ConfigError
from sargraph.core.scorer import Requests
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.scorer import scorer_of
from sargraph.embedding.train import train
from sargraph.embedding.uditsr_config import MENDED, UDITSRTraining
from sargraph.embedding.uditsr_model import UDITSRModel
from sargraph.embedding.uditsr_sampled import SampledPropagation
from sargraph.embedding.uditsr_stale import WindowBatch
from sargraph.embedding.uditsr_step import StepRows, TrainingBatch
from sargraph.graph.graph import CLICKED, FOUND, Graph
from sargraph.testing.planted_topics import ACTIVE_USERS, SIZES

QUICK = {"dim": 8, "num_epochs": 6, "batch_size": 64, "learning_rate": 0.02}
KINDS = ("generated", "timed", "none", "constant", "item_words", "user_words", "permuted")


def model_of(graph: Graph, **settings: object) -> UDITSRModel:
    return UDITSRModel.build(graph, UDITSRTraining.model_validate({"dim": 8, **settings}), seed=0)


def some_rows(model: UDITSRModel, size: int = 9) -> tuple[TrainingBatch, StepRows, WindowBatch]:
    generator = torch.Generator().manual_seed(4)
    rows = torch.randperm(len(model.data.edges.user), generator=generator)[:size]
    negative = model.data.free_items.draw(model.data.edges.user[rows], generator)
    batch = TrainingBatch.of_edges(model.data.edges, rows, negative)
    steps = StepRows.of(batch, model.module, model.data.edges.contexts)
    return batch, steps, WindowBatch(rows, negative, rows)


def own_topic_auc(embeddings: Embeddings) -> float:
    """How often an item of the user's own topic stands above one of the other."""
    users = np.arange(ACTIVE_USERS)
    items = np.broadcast_to(np.arange(SIZES["item"]), (len(users), SIZES["item"]))
    none = np.full(len(users), -1)
    requests = Requests(users, none, np.full(len(users), 10**15), none, none)
    scores = scorer_of(embeddings).score(requests, items)
    own = [scores[u][np.arange(SIZES["item"]) % 2 == u % 2] for u in users]
    other = [scores[u][np.arange(SIZES["item"]) % 2 != u % 2] for u in users]
    pairs = zip(own, other, strict=True)
    return float(np.mean([(a[:, None] > b[None, :]).mean() for a, b in pairs]))


@pytest.mark.parametrize("hidden", [False, True], ids=["all_edges", "without_own_edges"])
@pytest.mark.parametrize("kind", ["generated", "timed"])
def test_sampling_every_edge_is_the_full_propagation(graph: Graph, hidden: bool, kind: str) -> None:
    model = model_of(graph, virtual_query=kind)
    batch, rows, _ = some_rows(model)
    edges = model.data.edges
    keep = edges.outside(batch.user, batch.item) if hidden else None
    sampled = SampledPropagation(graph, model.data, (10**6, 10**6), seed=0)
    user, item = sampled(model.module, rows, None if keep is None else ~keep)
    tables = model.module.propagate(edges, keep)
    torch.testing.assert_close(user, tables.user[rows.users])
    torch.testing.assert_close(item, tables.item[rows.items])


@pytest.mark.parametrize("kind", ["generated", "timed"])
def test_a_full_step_reads_the_rows_of_the_full_propagation(graph: Graph, kind: str) -> None:
    model = model_of(graph, virtual_query=kind)
    batch, rows, _ = some_rows(model)
    keep = model.data.edges.outside(batch.user, batch.item)
    user, item = model.module.vectors_of(rows, model.data.edges, keep)
    tables = model.module.propagate(model.data.edges, keep)
    torch.testing.assert_close(user, tables.user[rows.users])
    torch.testing.assert_close(item, tables.item[rows.items])


def test_sampled_vectors_are_right_on_average(graph: Graph) -> None:
    model = model_of(graph, num_layers=1)
    _, rows, _ = some_rows(model)
    sampled = SampledPropagation(graph, model.data, (3,), seed=0)
    with torch.no_grad():
        draws = torch.stack([sampled(model.module, rows, None)[0] for _ in range(100)])
        exact = model.module.propagate(model.data.edges).user[rows.users]
    error = (draws.mean(0) - exact).norm() / exact.norm()
    single = (draws[0] - exact).norm() / exact.norm()
    assert error < 0.2 * single and single > 0


def test_between_two_propagations_only_raw_vectors_move(graph: Graph) -> None:
    model = model_of(graph, propagation="stale")
    _, rows, batch = some_rows(model)
    model.step(batch)
    keep = model.data.edges.outside(
        model.data.edges.user[batch.rows], model.data.edges.item[batch.rows]
    )
    before = model.module.propagate(model.data.edges, keep)
    user, item = model._stale.of(model.module, rows)
    torch.testing.assert_close(user, before.user[rows.users])
    torch.testing.assert_close(item, before.item[rows.items])
    with torch.no_grad():
        model.module.user_embedding.weight += 1
    moved = model._stale.of(model.module, rows)
    own = model.module.layer_weights()[0]
    torch.testing.assert_close(moved[0], user + own)
    assert torch.equal(moved[1], item)
    model.step(WindowBatch(batch.rows, batch.negative, None))["loss"].backward()
    assert model.module.user_embedding.weight.grad is not None


@pytest.mark.parametrize("way", ["full", "stale", "sampled"])
def test_every_way_of_propagation_learns_the_planted_topics(graph: Graph, way: str) -> None:
    settings = {**QUICK, "propagation": way, "fan_out": (3, 3), "refresh_every": 4}
    assert own_topic_auc(train(graph, "uditsr", settings, seed=0)) > 0.9


@pytest.mark.parametrize("way", ["stale", "sampled"])
def test_same_seed_gives_the_same_bits(graph: Graph, way: str) -> None:
    settings = {**QUICK, "num_epochs": 2, "propagation": way}
    first, again = (train(graph, "uditsr", settings, seed=3).tables for _ in range(2))
    assert all(np.array_equal(first[kind], again[kind]) for kind in first)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_virtual_query_trains_and_scores_from_its_files(
    graph: Graph, kind: str, tmp_path
) -> None:
    settings = {**QUICK, "num_epochs": 1, "virtual_query": kind}
    embeddings = train(graph, "uditsr", settings, seed=0)
    embeddings.save(tmp_path / "e")
    loaded = Embeddings.load(tmp_path / "e")
    assert own_topic_auc(loaded) == own_topic_auc(embeddings)


def test_plain_virtual_queries_are_what_they_are_called(graph: Graph) -> None:
    user, item = torch.tensor([0, 3]), torch.tensor([4, 7])
    for kind in ("none", "constant", "item_words", "user_words"):
        model = model_of(graph, virtual_query=kind).module
        found = model.demand(user, item)
        words = model.term_embedding.weight
        if kind == "none":
            expected = torch.zeros(2, 8)
        elif kind == "constant":
            expected = model.intent.no_query.weight.expand(2, -1)
        else:
            rows = model.item_terms[item] if kind == "item_words" else model.user_terms[user]
            expected = torch.stack([words[row[row >= 0]].mean(0) for row in rows])
        torch.testing.assert_close(found, expected)


def test_permuted_virtual_queries_are_those_of_another_pair(graph: Graph) -> None:
    permuted = model_of(graph, virtual_query="permuted").module
    plain = model_of(graph).module
    plain.load_state_dict(permuted.state_dict())
    user, item = torch.arange(9), torch.arange(20, 29)
    assert permuted._asked is not None
    users, items = permuted._asked
    assert (users[user] != user).any() and sorted(users.tolist()) == list(range(SIZES["user"]))
    torch.testing.assert_close(permuted.demand(user, item), plain.demand(users[user], items[item]))
    model = model_of(graph, virtual_query="permuted")
    batch, rows, _ = some_rows(model)
    known = model.module.intent.tables(
        model.module.user_embedding(rows.contexts.user),
        model.module.item_embedding(rows.asked_items),
        model.module.term_embedding.weight, rows.contexts, rows.item_terms,
    )  # fmt: skip
    local = model.module.intent(known, rows.batch.contexts, rows.batch.item)
    torch.testing.assert_close(local, model.module.demand(batch.user, batch.item))


def test_naming_makes_virtual_queries_name_what_was_typed(graph: Graph) -> None:
    ranks = []
    for weight in (0.0, 1.0):
        settings = {**QUICK, "naming_weight": weight, "supervised_weight": 0.0}
        embeddings = train(graph, "uditsr", settings, seed=0)
        found = graph.edges[FOUND]
        demand = UDITSRModel.demand_from(embeddings, found.from_row, found.to_row)
        words = np.array([list(graph.query_terms[query]) for query in found.query])
        logits = demand @ embeddings.vectors("term").T
        typed = np.take_along_axis(logits, words, axis=1).min(axis=1)
        ranks.append(float((logits > typed[:, None]).sum(axis=1).mean()))
    assert ranks[1] < ranks[0]


def test_parity_mends_nothing_and_each_option_stands_alone() -> None:
    published = UDITSRTraining(parity=True)
    assert not any(getattr(published, name) for name in MENDED)
    assert all(getattr(UDITSRTraining(), name) for name in MENDED)
    again = UDITSRTraining.model_validate(published.model_dump(mode="json"))
    assert again == published
    for name in MENDED:
        with pytest.raises((ConfigError, ValueError), match="parity"):
            UDITSRTraining.model_validate({"parity": True, name: True})


@pytest.mark.parametrize("name", MENDED)
def test_each_option_changes_the_losses(graph: Graph, name: str) -> None:
    """None of the options is a name without an effect."""
    losses = []
    for value in (True, False):
        model = model_of(graph, **{name: value})
        with torch.no_grad():  # a LeakyReLU shows below zero only
            model.module.search_score.third.bias -= 1
        batch = some_rows(model, 40)[2]
        losses.append(float(model.step(batch)["loss"].detach()))
    assert losses[0] != losses[1]


def test_a_fan_out_for_each_layer_is_asked_for(graph: Graph) -> None:
    with pytest.raises(ValueError, match="fan_out"):
        UDITSRTraining(propagation="sampled", num_layers=3)
    assert CLICKED in graph.edges
