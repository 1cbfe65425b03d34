"""A training that starts from older embeddings: rows by id, the network as it was, no leak."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sargraph.core.errors import ArtifactError, BadInputError
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.model import embedding_model
from sargraph.embedding.train import train
from sargraph.embedding.warm_start import start_from, start_hash
from sargraph.events.vocabulary import Vocabulary
from sargraph.graph.build import ALL_EVENTS, build_graph
from sargraph.graph.graph import Graph
from sargraph.testing.newcomers import KNOWN, SIZES, before_the_newcomers, newcomer_world

WORLD = newcomer_world()
OLD = before_the_newcomers(WORLD)
GRAPH, OLD_GRAPH = build_graph(WORLD), build_graph(OLD)
SHORT = {"dim": 8, "num_epochs": 2, "batch_size": 256, "learning_rate": 0.02}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "uditsr": ("uditsr", {}),
    "uditsr timed": ("uditsr", {"virtual_query": "timed"}),
    "bpr": ("bpr", {}),
    "lightgcn": ("lightgcn", {}),
    "lightgcn queries": ("lightgcn", {"queries": True}),
    "transe": ("transe", {}),
    "item2vec": ("item2vec", {}),
}


@pytest.fixture(scope="module")
def older() -> Embeddings:
    return train(OLD_GRAPH, "uditsr", SHORT, seed=1)


def numbered(graph: Graph, name: str, size: int) -> list[tuple[str, str]]:
    """(kind, id) of each row of a parameter, by its name and number of rows; [] for the network."""
    ids = {kind: [(kind, id_) for id_ in v.ids] for kind, v in graph.vocabularies.items()}
    kinds = [kind for kind in ids if name.startswith(kind)]
    kinds = {"context": ["item"], "node": list(ids), "embedding": list(ids)}.get(name, kinds)
    if name == "embedding" and size == len(ids["user"]) + len(ids["item"]):
        kinds = ["user", "item"]
    return [each for kind in kinds for each in ids[kind]]


@pytest.mark.parametrize("case", MODELS)
def test_known_rows_and_the_network_are_copied(case: str) -> None:
    model, more = MODELS[case]
    member = embedding_model(model)
    config = member.parse({**SHORT, **more})
    old, fresh, built = (
        member.build(graph, config, seed)
        for graph, seed in ((OLD_GRAPH, 1), (GRAPH, 2), (GRAPH, 2))
    )
    older = Embeddings(
        old.tables(), dict(OLD_GRAPH.vocabularies), OLD_GRAPH.query_terms, model,
        config.model_dump(mode="json"), 1, old.weights(),
    )  # fmt: skip
    taken = start_from(built, model, GRAPH, older)
    assert taken["user"] == KNOWN["user"] and taken["item"] == KNOWN["item"]
    given, first = dict(old.module.named_parameters()), dict(fresh.module.named_parameters())
    seen = set()
    for name, parameter in built.module.named_parameters():
        rows = numbered(GRAPH, name, len(parameter)) if parameter.ndim else []
        if not rows:
            np.testing.assert_array_equal(parameter.detach(), given[name].detach())
            continue
        assert len(rows) == len(parameter)
        place = {key: row for row, key in enumerate(numbered(OLD_GRAPH, name, len(given[name])))}
        for row, key in enumerate(rows):
            expected = given[name][place[key]] if key in place else first[name][row]
            seen.add(key in place)
            np.testing.assert_allclose(parameter[row].detach(), expected.detach(), atol=1e-6)
    assert seen == {True, False}


def test_a_warm_start_is_where_a_cold_start_ends_in_fewer_epochs() -> None:
    config = {**SHORT, "num_epochs": 8, "batch_size": 512}
    older = train(OLD_GRAPH, "uditsr", config, seed=1)
    cold = [epoch["loss"] for epoch in train(GRAPH, "uditsr", config, seed=2).history]
    for start in (older, older.embed_new(WORLD)):
        warm = train(GRAPH, "uditsr", config, seed=2, start=start)
        losses = [epoch["loss"] for epoch in warm.history]
        assert losses[0] < cold[0]
        reached = next(n for n, loss in enumerate(losses, 1) if loss <= cold[-1])
        assert reached <= len(cold) // 2, losses
    assert warm.report["rows_from_start"]["user"] == SIZES["user"]
    assert warm.parents["start"] == start_hash(start)


def test_placed_ids_start_from_their_place(older: Embeddings) -> None:
    member = embedding_model("uditsr")
    built = member.build(GRAPH, member.parse(SHORT), 2)
    placed = older.embed_new(WORLD)
    start_from(built, "uditsr", GRAPH, placed)
    weight = dict(built.module.named_parameters())["user_embedding.weight"]
    for user, id_ in enumerate(WORLD.users.ids):
        own = placed.weights["user_embedding.weight"][placed.vocabularies["user"].row(id_)]
        np.testing.assert_array_equal(weight[user].detach(), own)


def test_no_start_gives_the_bits_of_before(older: Embeddings) -> None:
    again = train(OLD_GRAPH, "uditsr", SHORT, seed=1, start=None)
    for name, weight in older.weights.items():
        np.testing.assert_array_equal(weight, again.weights[name])
    assert "start" not in again.parents and "rows_from_start" not in again.report


def test_a_resumed_training_goes_on_from_its_own_start(older: Embeddings, tmp_path: Path) -> None:
    file, longer = tmp_path / "checkpoint.safetensors", {**SHORT, "num_epochs": 4}
    whole = train(GRAPH, "uditsr", longer, start=older)
    train(GRAPH, "uditsr", SHORT, start=older, checkpoint=file)
    resumed = train(GRAPH, "uditsr", longer, start=older, checkpoint=file, resume=True)
    for name, weight in whole.weights.items():
        np.testing.assert_array_equal(weight, resumed.weights[name])
    for other in (None, replace(older, content_hash="f" * 64), older.embed_new(WORLD)):
        with pytest.raises(ArtifactError):
            train(GRAPH, "uditsr", longer, start=other, checkpoint=file, resume=True)


def test_the_hash_of_a_start_is_that_of_its_artefact_or_its_arrays(
    older: Embeddings, tmp_path: Path
) -> None:
    saved = older.save(tmp_path / "e")
    assert start_hash(saved) == saved.content_hash != start_hash(older)
    table = older.tables["user"].copy()
    table[0, 0] += 1
    assert start_hash(replace(older, tables={**older.tables, "user": table})) != start_hash(older)
    assert start_hash(replace(older)) == start_hash(older)


def test_what_does_not_fit_is_refused(older: Embeddings) -> None:
    with pytest.raises(BadInputError, match="start of model 'uditsr', expected 'bpr'"):
        train(GRAPH, "bpr", SHORT, start=older)
    with pytest.raises(
        BadInputError, match=r"weight 'user_embedding.weight'.*\(64, 8\).*\(64, 4\)"
    ):
        train(GRAPH, "uditsr", {**SHORT, "dim": 4}, start=older)
    with pytest.raises(BadInputError, match=r"weight 'intent\.key\.weight'"):
        train(GRAPH, "uditsr", {**SHORT, "num_user_terms": 2}, start=older)
    with pytest.raises(BadInputError, match="has no weight 'intent"):
        train(GRAPH, "uditsr", {**SHORT, "virtual_query": "timed"}, start=older)
    others = {kind: Vocabulary([f"x{i}" for i in v.ids]) for kind, v in GRAPH.vocabularies.items()}
    with pytest.raises(BadInputError, match="no user and no item of graph"):
        train(replace(GRAPH, vocabularies=others), "uditsr", SHORT, start=older)


def test_defect_a_start_knows_what_the_split_holds_out(older: Embeddings) -> None:
    """Of the same events, a start of another split leaks; a graph of all events asks nothing."""
    split = replace(OLD_GRAPH, parents={**OLD_GRAPH.parents, "split": "s" * 64})
    assert older.parents["split"] == ALL_EVENTS
    with pytest.raises(BadInputError, match="another split"):
        train(split, "uditsr", SHORT, start=older)
    same = replace(older, parents={**older.parents, "split": "s" * 64})
    for graph, start in ((split, same), (OLD_GRAPH, same)):
        assert train(graph, "uditsr", {**SHORT, "num_epochs": 1}, start=start).history
