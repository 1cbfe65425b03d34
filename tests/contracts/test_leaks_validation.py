"""What early stopping looks at: other choices in the test part change no bit of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sargraph.embedding.train import train
from sargraph.events.split import TEST, SplitConfig, split_events
from sargraph.graph.build import build_graph
from sargraph.pipeline.config import EvaluateStage
from sargraph.pipeline.validation import validator
from sargraph.sequence.train import fit_sequence
from sargraph.testing.events import random_events
from sargraph.testing.leak_chance import ByRow
from sargraph.testing.leak_edits import World

SETTINGS = {
    "sampled": EvaluateStage(num_negatives=5, validation_requests=0),
    "a choice of requests": EvaluateStage(num_negatives=5, validation_requests=40),
    "full": EvaluateStage(validation_candidates="full", validation_requests=0),
}


@pytest.fixture(scope="module")
def worlds():
    """The events, and the same with another item on every event of the test part; one split."""
    events = random_events(
        np.random.default_rng(0), num_items=40, num_events=900, untimed_share=0.1
    )
    split = split_events(events, SplitConfig())
    rows = np.flatnonzero((split.part == TEST) & (events.item >= 0))
    step = np.random.default_rng(1).integers(1, 40, len(rows))
    edited = World.of(events, split).with_column("item", rows, (events.item[rows] + step) % 40)
    assert len(rows) > 50 and len(edited.events) == len(events)
    return [World.of(events, split), edited]


@pytest.mark.parametrize("task", ["search", "recommend"])
@pytest.mark.parametrize("name", SETTINGS)
def test_validation_gives_a_scorer_the_same_bits_whatever_is_in_the_test_part(worlds, name, task):
    for scorer in (ByRow(1), ByRow(-1)):
        one, other = (
            validator(world.events, world.split, SETTINGS[name], 0, (task,))(scorer)
            for world in worlds
        )
        assert one == other and 0 < one < 1


def _epochs(history):
    return [(entry["loss"], entry["score"]) for entry in history]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_sequence_model_stopped_by_validation_has_the_same_weights(worlds, name):
    config = {"model": {"dim": 8, "inner_dim": 8, "max_events": 6}, "batch_size": 64,
              "learning_rate": 0.01, "fit": {"num_epochs": 8, "patience": 2},
              "device": "cpu"}  # fmt: skip
    one, other = (
        fit_sequence(
            world.events, world.split, "sasrec", None, config, seed=3,
            validate=validator(world.events, world.split, SETTINGS[name], 0),
        )
        for world in worlds
    )  # fmt: skip
    assert _epochs(one.history) == _epochs(other.history)
    ours, theirs = one.module.state_dict(), other.module.state_dict()
    assert all(torch.equal(ours[weight], theirs[weight]) for weight in ours)


def test_embeddings_stopped_by_validation_have_the_same_tables(worlds):
    config = {"dim": 8, "num_epochs": 6, "patience": 2, "validate_every": 1}
    one, other = (
        train(
            build_graph(world.events, world.split), "bpr", config, seed=3,
            validate=validator(world.events, world.split, SETTINGS["sampled"], 0),
        )
        for world in worlds
    )  # fmt: skip
    assert _epochs(one.history) == _epochs(other.history)
    assert all(np.array_equal(one.tables[kind], other.tables[kind]) for kind in one.tables)
