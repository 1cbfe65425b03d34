"""Every registered model passes every leak audit; test_leaks_controls shows that audits catch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sargraph.embedding.model import EMBEDDING_MODELS, embedding_model
from sargraph.embedding.scorer import scorer_of
from sargraph.embedding.train import train
from sargraph.evaluation.baselines.registry import BASELINES, build_baseline
from sargraph.events.split import TEST, VALID, SplitConfig, requests_for, split_events
from sargraph.graph.build import GraphConfig, build_graph
from sargraph.sequence.model import SEQUENCE_MODELS, sequence_family
from sargraph.sequence.train import fit_sequence
from sargraph.testing.embedding_cases import CASES, SHIFT
from sargraph.testing.events import random_events
from sargraph.testing.leaks import (
    assert_every_parameter_trains,
    assert_future_unread,
    assert_no_reverse_edge,
    assert_order_unread,
    assert_target_unread,
    assert_training_unread,
    assert_twin_unread,
    fixed_split,
    graph_columns,
)

embedding_model("uditsr")  # fills the registry
SMALL: dict[str, dict[str, Any]] = {
    "uditsr": {"dim": 8, "num_epochs": 2},
    "unisar": {"model": {"dim": 8, "id_dim": 8, "max_rec": 4, "max_search": 4},
               "fit": {"num_epochs": 1}, "num_contrast": 8, "batch_size": 200},
    "sasrec": {"model": {"dim": 8, "inner_dim": 8, "max_events": 6}, "fit": {"num_epochs": 2}},
}  # fmt: skip
UNTRAINED: dict[str, dict[str, str]] = {
    **{name: case.excused for name, case in CASES.items()},
    "unisar": {f"experts.branches.{task}.out.bias": SHIFT for task in ("search", "recommend")},
}
"""Per model the parameters that no loss reaches, and why."""
CHOOSES = {"mix"}
"""Models that make a choice on the validation part, as they may."""

EMBEDDING, SEQUENCE = EMBEDDING_MODELS.names(), SEQUENCE_MODELS.names()
FITS = [f"{name}, graph" for name in EMBEDDING] + SEQUENCE + BASELINES.names()


def settings(name: str) -> dict[str, Any]:
    """Small sizes; a model without an entry keeps its own and trains once over the data."""
    return SMALL.get(name, {"fit": {"num_epochs": 1}} if name in SEQUENCE else {"num_epochs": 1})


def maker(name: str) -> Callable[..., Any]:
    """Fit the model called `name` with one seed."""
    if name in SEQUENCE:
        return lambda events, split: fit_sequence(events, split, name, None, settings(name), seed=3)
    if name in BASELINES.names():
        return lambda events, split: build_baseline(name, events, split)
    name = name.removesuffix(", graph")
    return lambda events, split: scorer_of(
        train(build_graph(events, split), name, settings(name), seed=3)
    )


def rebound(model, events, split):
    """A fitted sequence model that reads other events."""
    return replace(model, events=events, visible=split.visible)


def weights_of(name: str) -> Callable[..., dict[str, Any]]:
    def fit(events, split):
        if name in SEQUENCE:
            return {k: v.numpy() for k, v in maker(name)(events, split).module.state_dict().items()}
        found = train(build_graph(events, split), name, settings(name), seed=3)
        return {**found.tables, **found.weights}

    return fit


WORLDS = {
    "cuts": SplitConfig(),
    "cuts, twins": SplitConfig(twins=True),
    "last out": SplitConfig(kind="leave_last_out"),
    "last out, twins": SplitConfig(kind="leave_last_out", twins=True),
}


@pytest.fixture(scope="module")
def events():
    return random_events(np.random.default_rng(0), num_events=500, untimed_share=0.1)


@pytest.mark.parametrize("world", ["cuts", "last out, twins"])
@pytest.mark.parametrize("name", FITS)
def test_no_model_reads_the_future(events, name, world):
    split = split_events(events, WORLDS[world])
    rebind = rebound if name in SEQUENCE else None
    parts = (TEST,) if name in CHOOSES else (VALID, TEST)
    assert_future_unread(
        maker(name), events, split, rebind=rebind, parts=parts, num_times=3 if rebind else 1
    )


@pytest.mark.parametrize("name", [*EMBEDDING, *SEQUENCE])
def test_no_training_reads_what_is_held_out(events, name):
    split = split_events(events, WORLDS["cuts, twins"])
    assert_training_unread(weights_of(name), events, split)


@pytest.mark.parametrize("world", ["cuts, twins", "last out, twins"])
@pytest.mark.parametrize("name", FITS)
def test_no_model_reads_the_twin_of_a_target(events, name, world):
    split_of = fixed_split(events, WORLDS[world])
    assert_twin_unread(maker(name), events, split_of, after_cut=name not in CHOOSES)


@pytest.mark.parametrize("name", [f"{name}, graph" for name in EMBEDDING] + SEQUENCE)
def test_what_was_typed_for_the_twin_of_a_target_goes_with_it(events, name):
    """A log with a row for each search keeps the words of a twin even where its click is gone."""
    split_of = fixed_split(events, WORLDS["cuts, twins"])
    assert_twin_unread(maker(name), events, split_of, query_rows=True)


@pytest.mark.parametrize("name", FITS)
def test_no_model_reads_the_place_of_a_candidate(events, name):
    split = split_events(events, WORLDS["cuts"])
    scorer = maker(name)(events, split)
    for task in ("search", "recommend"):
        requests = requests_for(events, split, TEST, task)
        candidates = np.random.default_rng(1).integers(0, len(events.items), (len(requests), 7))
        assert_order_unread(scorer, requests, candidates)


@pytest.mark.parametrize("world", ["cuts", "cuts, twins"])
@pytest.mark.parametrize("name", FITS)
def test_no_model_reads_the_target(events, name, world):
    split = split_events(events, WORLDS[world])
    scorer = maker(name)(events, split)
    for task in ("search", "recommend"):
        requests = requests_for(events, split, TEST, task)
        assert_target_unread(scorer, requests, events, split)


@pytest.mark.parametrize("world", WORLDS)
def test_no_edge_of_a_graph_knows_of_held_out_events(events, world):
    split = split_events(events, WORLDS[world])
    assert_no_reverse_edge(build_graph, events, split)
    assert_training_unread(lambda e, s: graph_columns(build_graph(e, s)), events, split)
    strict = GraphConfig(contains="training")
    assert_no_reverse_edge(lambda e, s: build_graph(e, s, config=strict), events, split)


def away_from_the_start(module: nn.Module) -> None:
    """Other weights: at a small or symmetric start some gradients cancel that do not later on."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in module.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=generator, dtype=weight.dtype)


class TestParameters:
    @pytest.mark.parametrize("name", EMBEDDING)
    def test_every_weight_of_an_embedding_model_trains(self, events, name):
        split = split_events(events, SplitConfig())
        member = embedding_model(name)
        built = member.build(build_graph(events, split), member.parse(settings(name)), 3)
        built.module.double()
        batch = next(iter(built.batches(1, torch.Generator().manual_seed(0))))
        away_from_the_start(built.module)
        assert_every_parameter_trains(
            built.module, lambda: built.step(batch)["loss"], UNTRAINED.get(name)
        )

    @pytest.mark.parametrize("name", SEQUENCE)
    def test_every_weight_of_a_sequence_model_trains(self, events, name):
        split = split_events(events, SplitConfig())
        family = sequence_family(name)
        config = family.parse(settings(name))
        module = family.build(events, config, 3).eval().double()
        data = family.data(events, split, config, None)
        batch = next(iter(data.batches(torch.Generator().manual_seed(0), "cpu")))
        loss = lambda: family.losses(module, batch, config)["loss"]  # noqa: E731
        away_from_the_start(module)
        assert_every_parameter_trains(module, loss, UNTRAINED.get(name))
