"""Models that are given what similar users chose next: the plain ones untouched, nothing leaked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sargraph.core.errors import BadInputError, ConfigError
from sargraph.core.scorer import VectorScorer
from sargraph.core.types import NO_ROW
from sargraph.events.events import Events
from sargraph.events.schema import CLICK, RECOMMEND
from sargraph.events.split import TEST, TRAIN, VALID, Split, SplitConfig, requests_for, split_events
from sargraph.neighbours.continuations import ContinuationReader, Continuations
from sargraph.sequence.augment import Augment, MemoryReader, TargetMemory, memory_of
from sargraph.sequence.augment_config import AugmentConfig
from sargraph.sequence.gates import gate_by_activity
from sargraph.sequence.model import sequence_family
from sargraph.sequence.sequence_model import SequenceModel
from sargraph.sequence.train import fit_sequence
from sargraph.testing.events import make_events, random_events
from sargraph.testing.leak_modules import assert_every_parameter_trains
from sargraph.testing.leaks import assert_future_unread, assert_training_unread

AUGMENT = {"k": 3, "max_events": 4}
SETTINGS = {
    "sasrec": {"model": {"dim": 8, "inner_dim": 8, "max_events": 6}, "batch_size": 64},
    "unisar": {"model": {"dim": 8, "id_dim": 8, "max_rec": 4, "max_search": 4},
               "num_contrast": 8},
}  # fmt: skip
MODELS = list(SETTINGS)


@pytest.fixture(scope="module")
def events() -> Events:
    return random_events(np.random.default_rng(0), num_events=600, untimed_share=0.05)


@pytest.fixture(scope="module")
def split(events) -> Split:
    return split_events(events, SplitConfig())


def settings(name: str, **augment) -> dict:
    one_epoch = {"fit": {"num_epochs": 1}, "device": "cpu"}
    return {**SETTINGS[name], **one_epoch, "augment": {**AUGMENT, **augment}}


def fitted(events, split, name, **augment) -> SequenceModel:
    return fit_sequence(events, split, name, None, settings(name, **augment), seed=3)


def asked(events, split, part=TEST):
    return requests_for(events, split, part, "recommend")


def scores(model, requests) -> np.ndarray:
    order = np.arange(len(model.events.items))
    return model.score(requests, np.broadcast_to(order, (len(requests), len(order))).copy())


@pytest.mark.parametrize("name", MODELS)
def test_without_an_augment_a_model_is_written_as_ever(name, events, split, tmp_path: Path):
    plain = {**SETTINGS[name], "fit": {"num_epochs": 1}, "device": "cpu"}
    model = fit_sequence(events, split, name, None, plain, seed=3)
    assert "augment" not in model.config.model_dump(mode="json")
    assert not any("augment" in weight for weight in model.module.state_dict())
    none = fit_sequence(events, split, name, None, {**plain, "augment": None}, seed=3)
    first, again = (one.save(tmp_path / str(n)) for n, one in enumerate((model, none)))
    assert first.content_hash == again.content_hash
    assert np.isnan(model.gates(asked(events, split))).all()


@pytest.mark.parametrize("name", MODELS)
def test_an_augment_leaves_the_start_of_all_other_weights(name, events):
    family = sequence_family(name)
    plain, augmented = (
        family.build(events, family.parse({**SETTINGS[name], **extra}), 3).state_dict()
        for extra in ({}, {"augment": AUGMENT})
    )
    assert set(augmented) > set(plain)
    assert all(torch.equal(augmented[weight], plain[weight]) for weight in plain)


@pytest.mark.parametrize("neighbours", ["similar", "random", "own"])
@pytest.mark.parametrize("name", MODELS)
def test_saved_and_loaded_it_scores_the_same(name, neighbours, events, split, tmp_path: Path):
    model = fitted(events, split, name, neighbours=neighbours)
    model.save(tmp_path / "model")
    requests = asked(events, split)
    expected = scores(model, requests)
    for given in (None, split):
        loaded = SequenceModel.load(tmp_path / "model", events, given, device="cpu")
        assert np.array_equal(scores(loaded, requests), expected)
    assert isinstance(model, VectorScorer) == (name == "sasrec")
    assert np.isfinite(expected).all()


@pytest.mark.parametrize("name", MODELS)
def test_neighbours_count_and_a_request_alone_scores_as_among_others(name, events, split):
    model, requests = fitted(events, split, name), asked(events, split)
    together = scores(model, requests)
    alone = [scores(model, requests.take(np.array([n])))[0] for n in range(len(requests))]
    np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-5)
    blind = replace(model, train=np.zeros(len(events), dtype=bool))
    assert (scores(blind, requests) != together).any()


def rebound(model, events, split) -> SequenceModel:
    known = split.is_train & split.visible
    return replace(model, events=events, visible=split.visible, train=known,
                   drop_target=split.twins)  # fmt: skip


@pytest.mark.parametrize("kind", ["global_time", "leave_last_out"])
@pytest.mark.parametrize("neighbours", ["similar", "random", "own"])
@pytest.mark.parametrize("name", MODELS)
def test_no_score_knows_of_later_events(name, neighbours, kind, events):
    split = split_events(events, SplitConfig(kind=kind))
    assert_future_unread(
        lambda e, s: fitted(e, s, name, neighbours=neighbours), events, split, rebind=rebound
    )


@pytest.mark.parametrize("name", MODELS)
def test_nothing_learned_knows_of_held_out_events(name, events, split):
    def weights(events, split):
        state = fitted(events, split, name).module.state_dict()
        return {name: value.numpy() for name, value in state.items()}

    assert_training_unread(weights, events, split)


@pytest.mark.parametrize("name", MODELS)
def test_every_weight_trains(name, events, split):
    family = sequence_family(name)
    config = family.parse(settings(name))
    module = family.build(events, config, 3).eval().double()
    data = family.data(events, split, config, None)
    batch = next(iter(data.batches(torch.Generator().manual_seed(0), "cpu")))
    with torch.no_grad():
        for weight in module.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(7))
    augment = {n for n, _ in module.named_parameters() if n.startswith("augment")}
    assert len(augment) == 8
    excused = {
        f"experts.branches.{task}.out.bias": "a softmax over candidates does not see it"
        for task in ("search", "recommend")
    } if name == "unisar" else {}  # fmt: skip
    loss = lambda: family.losses(module, batch, config)["loss"]  # noqa: E731
    assert_every_parameter_trains(module, loss, excused)


@pytest.mark.parametrize("name", MODELS)
def test_a_contrast_with_neighbours_is_learned_where_it_has_a_weight(name, events, split):
    """Its part falls, and the total is the loss without it plus its weighted part."""
    family = sequence_family(name)
    plain, heavy = (family.parse(settings(name, contrast_weight=w)) for w in (0.0, 0.5))
    module = family.build(events, heavy, 3).eval()
    batch = next(iter(family.data(events, split, heavy, None).batches(generator(0), "cpu")))
    losses = family.losses(module, batch, heavy)
    weights = {"recommend_neighbour": 1.0, "search_neighbour": 0.1, "neighbour": 1.0}
    parts = {part: value for part, value in losses.items() if part in weights}
    assert len(parts) == (2 if name == "unisar" else 1)
    without = family.losses(family.build(events, plain, 3).eval(), batch, plain)
    assert not set(weights) & set(without)
    expected = without["loss"] + 0.5 * sum(weights[part] * value for part, value in parts.items())
    torch.testing.assert_close(losses["loss"], expected)
    config = {**settings(name, contrast_weight=5.0), "fit": {"num_epochs": 4}}
    history = fit_sequence(events, split, name, None, config, seed=3).history
    assert all(history[-1]["parts"][part] < history[0]["parts"][part] for part in parts)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_memory_of_a_target_is_that_of_its_request(events, split):
    config = AugmentConfig(**AUGMENT)
    everything = np.ones(len(events), dtype=bool)
    memory = TargetMemory.read(events, split, config, everything)
    requests = requests_for(events, split, 0, "recommend")
    known = split.is_train & split.visible
    reader = ContinuationReader(events, known, known, config, drop_target=True)
    expected = memory_of(reader.read(requests))
    found = memory.at(requests.event)
    for name in ("item", "step", "similarity", "activity"):
        assert torch.equal(getattr(found, name), getattr(expected, name))
    assert found.valid.any()


def test_a_gap_among_the_neighbours_loses_none():
    found = Continuations.empty(2, 3, 2)
    found.neighbour[1, 2], found.similarity[1, 2], found.item[1, 2] = 5, 0.5, (7, 8)
    for rows in ([0, 1], [1]):
        memory = memory_of(found.take(np.array(rows)))
        assert memory.item[-1].tolist() == [-1, -1, -1, -1, 7, 8]
    assert memory_of(found.take(np.array([0]))).item.shape == (1, 0)


def test_both_tasks_are_given_the_memory_of_their_own_targets(events, split):
    family = sequence_family("unisar")
    config = family.parse(settings("unisar"))
    data = family.data(events, split, config, None)
    for task in data.tasks.values():
        rows = np.arange(len(task))
        batch = task.batch(rows, torch.zeros(len(task), 0, dtype=torch.long))
        assert len(batch.memory.item) == len(task)
        activity = batch.memory.activity.numpy()
        first = [int(np.flatnonzero(task.requests.user == u)[0]) for u in np.unique(
            task.requests.user)]  # fmt: skip
        assert activity[first].mean() < activity.mean()


def test_the_slices_are_kept_with_the_weights(events, split, tmp_path: Path):
    model = fitted(events, split, "sasrec")
    slices = model.module.augment.slices
    assert bool((slices.diff() >= 0).all()) and int(slices[-1]) > int(slices[0])
    model.save(tmp_path / "model")
    loaded = SequenceModel.load(tmp_path / "model", events)
    assert torch.equal(loaded.module.augment.slices.cpu(), slices)


def test_a_gate_starts_at_its_start_and_is_told_by_activity(events, split):
    family = sequence_family("sasrec")
    config = family.parse({**settings("sasrec", gate_start=0.1), "learning_rate": 1e-12})
    model = fit_sequence(events, split, "sasrec", None, config, seed=3)
    requests = asked(events, split, VALID)
    gates = model.gates(requests)
    np.testing.assert_allclose(gates[~np.isnan(gates)], 0.1, rtol=1e-5)
    table = gate_by_activity(model, requests)
    assert table["requests"].sum() == len(requests)
    assert table["with_neighbours"].sum() == (~np.isnan(gates)).sum() > 0


@pytest.mark.parametrize("name", MODELS)
def test_a_gate_that_looks_at_activity_alone_is_the_same_where_all_are_as_active(
    name, events, split
):
    model, requests = fitted(events, split, name), asked(events, split, TRAIN)
    gate = model.module.augment.attention.gate
    with torch.no_grad():
        gate.weight.zero_()
        gate.bias.zero_()
        gate.weight[:, -2] = -1.0  # closes with log(1 + activity)
    table = gate_by_activity(model, requests).dropna()
    assert len(table) > 2
    assert (table["gate"].diff().dropna() < 0).all()
    assert np.allclose(table["gate_as_active"], table["gate_as_active"].iloc[0])
    middle = model.gates(requests, activity=3.0)
    np.testing.assert_allclose(middle[~np.isnan(middle)], 1 / (1 + 4.0), rtol=1e-5)


def test_an_augmented_model_must_know_its_neighbours_events(events, split):
    config = AugmentConfig(**AUGMENT)
    with pytest.raises(BadInputError, match="train"):
        MemoryReader.of(config, Augment(8, config), events, None, split.visible, False)


def test_a_mistyped_setting_is_named():
    with pytest.raises(ConfigError, match="max_events"):
        sequence_family("sasrec").parse({"augment": {"max_event": 3}})


def followers(num_groups: int = 40, num_members: int = 8, length: int = 12) -> Events:
    """Each group walks its own random path over the items, some members further than others.

    Some five paths pass through each item, so that an item says little of what follows it; those
    who share several items with a user know what the user comes to next.
    """
    rng = np.random.default_rng(5)
    rows = []
    for group in range(num_groups):
        path = rng.choice(100, length, replace=False)
        for member in range(num_members):
            user, last = group * num_members + member, length - member
            rows += [(user, place, RECOMMEND, CLICK, int(item), NO_ROW, NO_ROW)
                     for place, item in enumerate(path[:last])]  # fmt: skip
    return make_events(rows, num_users=num_groups * num_members, num_items=100, time_kind="ordinal")


def test_where_neighbours_tell_the_next_item_they_are_heard():
    """Similar users beat the plain model, and random ones in their place do not help."""
    events = followers()
    split = split_events(events, SplitConfig(kind="leave_last_out"))
    requests = asked(events, split)
    hits = {}
    for arm in ("plain", "similar", "random"):
        config = {"model": {"dim": 32, "inner_dim": 32, "max_events": 8, "dropout": 0.2},
                  "fit": {"num_epochs": 20}, "batch_size": 128, "learning_rate": 3e-3,
                  "device": "cpu"}  # fmt: skip
        if arm != "plain":
            config["augment"] = {"neighbours": arm, "k": 5, "max_events": 3}
        model = fit_sequence(events, split, "sasrec", None, config, seed=1)
        best = scores(model, requests).argmax(1)
        hits[arm] = float((best == requests.target).mean())
    assert hits["similar"] > hits["plain"] + 0.2
    assert hits["similar"] > hits["random"] + 0.2
