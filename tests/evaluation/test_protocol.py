"""The protocol and the candidates that it draws."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sargraph.core.config import parse_config
from sargraph.core.errors import BadInputError, ConfigError
from sargraph.core.ragged import Ragged
from sargraph.evaluation.asked import chosen_requests
from sargraph.evaluation.candidates import sampled_candidates
from sargraph.evaluation.protocol import Protocol


def test_toml_round_trip_and_hash():
    protocol = Protocol(name='typed "text"', candidates="full", cutoffs=(5, 20), seed=3)
    read = parse_config(Protocol, tomllib.loads(protocol.to_toml()), "protocol.toml")
    assert read == protocol
    assert read.hash == protocol.hash != Protocol().hash


def test_full_defaults_to_a_thousand_requests():
    assert Protocol(candidates="full").max_requests == 1000
    assert Protocol(candidates="full", max_requests=0).max_requests == 0
    assert Protocol().max_requests == 0


def test_from_toml_reads_what_to_toml_writes():
    protocol = Protocol(
        part="valid", what="search", repeated="first", negatives="file", negatives_hash="ab"
    )
    assert Protocol.from_toml(protocol.to_toml()) == protocol
    with pytest.raises(ConfigError, match=r"x\.toml: unknown key 'sed'; did you mean 'seed'"):
        Protocol.from_toml("sed = 3", "x.toml")
    with pytest.raises(ConfigError, match=r"x\.toml is not readable TOML"):
        Protocol.from_toml("seed =", "x.toml")


def test_names_follow_the_candidates():
    kinds = ("sampled", "full", "within_tie", "slate")
    assert [Protocol(candidates=kind).name for kind in kinds] == [
        "sampled", "full", "within tie", "slate",
    ]  # fmt: skip
    assert Protocol(candidates="slate", name="mine").name == "mine"


SETTINGS = {
    "1+99": {},
    "1+9": {"num_negatives": 9},
    "1+99 popular": {"negatives": "popularity"},
    "1+99 file": {"negatives": "file", "negatives_hash": "abc"},
    "all items": {"candidates": "full"},
    "all unseen items": {"candidates": "full", "remove_seen": True},
    "within tie": {"candidates": "within_tie"},
    "slate": {"candidates": "slate"},
    "1+99, first of repeats": {"repeated": "first"},
    "slate, new targets": {"candidates": "slate", "repeated": "new"},
    "all items, validation": {"candidates": "full", "part": "valid"},
}


def test_texts_keep_protocols_apart():
    protocols = {text: Protocol(**settings) for text, settings in SETTINGS.items()}
    assert {text: each.candidates_text() for text, each in protocols.items()} == {
        text: text for text in SETTINGS
    }
    lines = [each.describe()[1:3] for each in protocols.values()]
    assert len({str(line) for line in lines}) == len(lines)
    assert len({each.hash for each in protocols.values()}) == len(protocols)


def test_requests_are_described():
    line = Protocol(what="search", part="valid", repeated="new", max_requests=20).describe()[2]
    assert "choice of 20" in line
    assert "validation search requests" in line
    assert "never chose before" in line


@pytest.mark.parametrize(
    "settings",
    [
        {"remove_seen": True},
        {"remove_seen": True, "candidates": "slate"},
        {"negatives_hash": "abc"},
        {"negatives": "file"},
        {"negatives": "popularity", "negatives_hash": "abc"},
        {"negatives": "popularity", "candidates": "full"},
        {"negatives": "file", "negatives_hash": "abc", "candidates": "within_tie"},
        {"num_negatives": 999, "candidates": "full"},
    ],
    ids=str,
)
def test_contradictions_are_refused_in_one_line(settings):
    with pytest.raises(ConfigError, match="contradicts itself") as error:
        Protocol(**settings)
    assert "\n" not in str(error.value)


def test_unknown_order_is_printed():
    assert "order unknown" in " ".join(Protocol(order_known=False).describe())
    assert "order unknown" not in " ".join(Protocol().describe())


@pytest.mark.parametrize("cutoffs", [[], [0, 5], [5, 1], [5, 5]])
def test_cutoffs_must_rise(cutoffs):
    with pytest.raises(ConfigError):
        parse_config(Protocol, {"cutoffs": cutoffs}, "test")


def test_chosen_requests_are_seeded(make_requests):
    protocol = Protocol(max_requests=10, seed=1)
    requests = make_requests([row % 30 for row in range(100)], [0] * 100)
    rows = chosen_requests(requests, protocol)
    assert len(np.unique(rows)) == 10
    assert np.array_equal(rows, chosen_requests(requests, protocol))
    assert not np.array_equal(rows, chosen_requests(requests, Protocol(max_requests=10, seed=2)))
    assert chosen_requests(requests.take(np.arange(5)), protocol).tolist() == [0, 1, 2, 3, 4]


def test_a_choice_of_requests_does_not_favour_active_users(make_requests):
    users = [0] * 50 + [1] * 3 + [2] * 40 + [3] + [4] * 9
    requests = make_requests(users, [0] * len(users))
    few = chosen_requests(requests, Protocol(max_requests=5))
    assert sorted(requests.user[few].tolist()) == [0, 1, 2, 3, 4]
    more = chosen_requests(requests, Protocol(max_requests=20))
    assert np.bincount(requests.user[more]).max() == 6
    assert np.bincount(requests.user[more]).tolist()[1:4:2] == [3, 1]


@given(
    num_items=st.integers(1, 40),
    num_negatives=st.integers(1, 12),
    seed=st.integers(0, 5),
    data=st.data(),
)
def test_negatives_are_distinct_unknown_and_all_there(
    num_items, num_negatives, seed, data, make_requests
):
    items = st.sets(st.integers(0, num_items - 1), max_size=num_items)
    known = [sorted(data.draw(items)) for _ in range(3)]
    asked = data.draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, num_items - 1)), max_size=6)
    )
    requests = make_requests([user for user, _ in asked], [target for _, target in asked])
    protocol = Protocol(num_negatives=num_negatives, seed=seed)
    found = sampled_candidates(requests, num_items, Ragged.from_lists(known), protocol)
    again = sampled_candidates(requests, num_items, Ragged.from_lists(known), protocol)
    assert np.array_equal(found, again)
    for (user, target), row in zip(asked, found, strict=True):
        excluded = set(known[user]) | {item for other, item in asked if other == user}
        negatives = [item for item in row[1:].tolist() if item != -1]
        assert row[0] == target
        assert len(set(negatives)) == len(negatives)
        assert not excluded & set(negatives)
        assert len(negatives) == min(num_negatives, num_items - len(excluded))
        assert all(0 <= item < num_items for item in negatives)


@pytest.mark.parametrize(("num_items", "width"), [(30, 9), (200, 9)])
def test_negatives_are_uniform(num_items, width, make_requests):
    known = Ragged.from_lists([[0, 3, 4, num_items - 1]])
    requests = make_requests([0] * 4000, [3] * 4000)
    found = sampled_candidates(requests, num_items, known, Protocol(num_negatives=width))
    counts = np.bincount(found[:, 1:].ravel(), minlength=num_items)
    eligible = np.setdiff1d(np.arange(num_items), known[0])
    expected = 4000 * width / len(eligible)
    assert counts[known[0]].sum() == 0
    assert np.abs(counts[eligible] - expected).max() < 5 * np.sqrt(expected)


def test_a_target_outside_the_catalogue_is_refused(make_requests):
    with pytest.raises(BadInputError, match="targets"):
        sampled_candidates(make_requests([0], [9]), 9, Ragged.from_lists([[]]), Protocol())
