"""Whose tastes users share: those of their community, nobody's, or none at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from sargraph.core.config import parse_config
from sargraph.core.errors import ConfigError
from sargraph.events.ingest import ingest
from sargraph.events.simulate import SimulateConfig, simulate
from sargraph.events.simulation.kuaisar_files import follow_columns
from sargraph.events.simulation.world import World, plant_world

WORLDS = ("planted", "communities", "own_tastes", "no_similar_users")
NUM_SUBTOPICS = 96
NEAR = 10


@dataclass(frozen=True)
class Lived:
    """What users chose: choices by user and sub-topic in thirds of the log, items, communities."""

    thirds: list[np.ndarray]
    item_counts: np.ndarray
    community: np.ndarray

    @property
    def whole(self) -> np.ndarray:
        return np.sum(self.thirds, axis=0)


def live(out: Path, **changes) -> Lived:
    """Simulate a world, read its log and count who chose what."""
    simulate(out, SimulateConfig.preset(**changes), seed=0)
    events = ingest("synthetic", out)
    items = pq.read_table(out / "truth" / "items.parquet").to_pandas().set_index("item_id")
    members = pq.read_table(out / "truth" / "communities.parquet").to_pandas().set_index("user_id")
    topic = items["subtopic"].reindex([int(each) for each in events.items.ids]).to_numpy()
    rows = np.flatnonzero(events.is_positive)
    time = events.time[rows]
    third = np.minimum((time - time.min()) * 3 // np.ptp(time), 2)
    counts = np.zeros((3, len(events.users), NUM_SUBTOPICS))
    np.add.at(counts, (third, events.user[rows], topic[events.item[rows]].astype(int)), 1)
    item_ids = np.array([int(each) for each in events.items.ids])
    by_id = np.zeros(len(items) + 1)
    np.add.at(by_id, item_ids[events.item[rows]], 1)
    community = members["community"].reindex([int(each) for each in events.users.ids]).to_numpy()
    return Lived(list(counts), by_id, community)


@pytest.fixture(scope="module")
def lived(tmp_path_factory) -> dict[str, Lived]:
    folder = tmp_path_factory.mktemp("tastes")
    return {name: live(folder / name, name=name, num_users=600) for name in WORLDS}


def nearest(counts: np.ndarray) -> np.ndarray:
    """The users with the nearest profiles of each user."""
    unit = counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)
    alike = unit @ unit.T
    np.fill_diagonal(alike, -1.0)
    return np.argsort(-alike, axis=1, kind="stable")[:, :NEAR]


def precision(world: Lived) -> float:
    """Share of the nearest users that are of the same community."""
    return float((world.community[nearest(world.whole)] == world.community[:, None]).mean())


def neighbours_gain(world: Lived) -> float:
    """How much better later choices are foretold where neighbours are asked as well, nats.

    Mean log-likelihood of the sub-topics of the last third, from each user's own choices in the
    first third and popularity, the best of several weights; and with those of the ten users who
    were most alike in the first third.
    """
    early, late = world.thirds[0], world.thirds[2]
    enough = (early.sum(axis=1) >= 5) & (late.sum(axis=1) >= 5)
    early, late = early[enough], late[enough]
    popular = (early.sum(axis=0) + 1) / (early.sum() + NUM_SUBTOPICS)
    theirs = early[nearest(early)].sum(axis=1)
    theirs /= theirs.sum(axis=1, keepdims=True)

    def likelihood(weight: float, prior: float) -> float:
        guess = early + weight * theirs + prior * popular
        guess /= guess.sum(axis=1, keepdims=True)
        return float(((late * np.log(guess)).sum(axis=1) / late.sum(axis=1)).mean())

    priors, weights = (5, 10, 20, 40, 80, 1e6), (0, 1, 3, 5, 10, 20, 40, 80)
    alone = max(likelihood(0, prior) for prior in priors)
    return max(likelihood(w, prior) for w in weights for prior in priors) - alone


def concentration(world: World) -> float:
    """Mean chance that two draws from a user's intents are of one sub-topic."""
    return float((world.users.intents**2).sum(axis=1).mean())


def planted_and_own(**changes) -> tuple[World, World]:
    planted, own = (SimulateConfig.preset(name, **changes) for name in ("planted", "own_tastes"))
    return plant_world(planted, seed=1), plant_world(own, seed=1)


def test_the_nearest_users_are_of_one_community_where_there_are_communities(lived) -> None:
    chance = float(np.mean(lived["planted"].community[:, None] == lived["planted"].community))
    found = {name: precision(world) for name, world in lived.items()}
    assert found["communities"] > found["planted"] + 0.05 and found["planted"] > 10 * chance
    for name in ("own_tastes", "no_similar_users"):
        assert found[name] == pytest.approx(chance, abs=0.02)


def test_neighbours_foretell_nothing_where_each_has_tastes_of_their_own(lived) -> None:
    gain = {name: neighbours_gain(world) for name, world in lived.items()}
    assert gain["communities"] > 2 * gain["planted"] > 2 * 0.03
    assert gain["own_tastes"] < 0.1 * gain["planted"]
    assert gain["no_similar_users"] < 0.1 * gain["planted"]


def test_own_tastes_are_as_concentrated_as_those_of_communities() -> None:
    planted, own = planted_and_own(num_users=4000, users_per_community=4)
    assert concentration(own) == pytest.approx(concentration(planted), rel=0.03)
    spread = [float(world.users.tastes.std()) for world in (planted, own)]
    assert spread[1] == pytest.approx(spread[0], rel=0.03)
    flat = plant_world(SimulateConfig.preset("no_similar_users", num_users=50), seed=1)
    assert concentration(flat) == pytest.approx(1 / NUM_SUBTOPICS)


def test_own_tastes_leave_the_popularity_of_topics_and_items(tmp_path) -> None:
    """Small communities, so that one does not move the popularity of a topic by itself."""
    both = planted_and_own(num_users=4000, users_per_community=4)
    means = [world.users.intents.mean(axis=0) for world in both]
    assert np.abs(means[0] - means[1]).mean() < 0.15 / NUM_SUBTOPICS
    counts = [
        live(tmp_path / name, name=name, num_users=600, users_per_community=3).item_counts
        for name in ("planted", "own_tastes")
    ]
    assert counts[1].sum() == pytest.approx(counts[0].sum(), rel=0.05)
    assert np.corrcoef(*counts)[0, 1] > 0.85
    top = [np.sort(each)[::-1][:500].sum() / each.sum() for each in counts]
    assert top[1] == pytest.approx(top[0], rel=0.05)


def test_own_tastes_of_one_community_are_no_more_alike_than_others() -> None:
    _, own = planted_and_own(num_users=600)
    unit = own.users.intents / np.linalg.norm(own.users.intents, axis=1, keepdims=True)
    alike, community = unit @ unit.T, own.users.community
    same = community[:, None] == community
    others = ~np.eye(len(community), dtype=bool)
    assert alike[same & others].mean() == pytest.approx(alike[~same].mean(), abs=0.01)
    assert alike[~same].std() > 0.05  # by chance some are


def test_with_own_tastes_following_means_nothing() -> None:
    _, own = planted_and_own(num_users=600)
    community = own.users.community
    columns = follow_columns(own, seed=1)
    followed = zip(columns["user_id"], columns["user_follow_id"].to_pylist(), strict=True)
    pairs = np.array([(user, friend) for user, friends in followed for friend in friends]) - 1
    same = community[pairs[:, 0]] == community[pairs[:, 1]]
    chance = np.mean(community[:, None] == community)
    assert same.mean() == pytest.approx(chance, abs=0.04)


def test_the_share_of_the_community_moves_likeness() -> None:
    """From nothing in common to nearly copies; the default is the one of the planted world."""
    found = []
    for share in (0.0, 0.4, 0.72, 0.97):
        config = SimulateConfig(num_users=300, community_share=share)
        users = plant_world(config, seed=1).users
        assert np.allclose(users.intents.sum(axis=1), 1.0)
        unit = users.intents / np.linalg.norm(users.intents, axis=1, keepdims=True)
        same = users.community[:, None] == users.community
        alike = unit @ unit.T
        found.append(alike[same].mean() - alike[~same].mean())
    assert np.all(np.diff(found) > 0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"own_tastes": True}, "set similar_users = false, or leave own_tastes out"),
        ({"community_share": 0.98}, "community_share"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, message) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(SimulateConfig, settings, "world")
