"""Protocols that were frozen stay as they were, or are refused."""

from __future__ import annotations

import tomllib

import pytest

from sargraph.core.errors import ArtifactError, BadInputError, ConfigError
from sargraph.evaluation.freeze import freeze, read_frozen
from sargraph.evaluation.protocol import Protocol

SAMPLED = Protocol(name='typed "text"', seed=3)
FULL = Protocol(candidates="full", remove_seen=True)


def test_frozen_protocols_are_read_again(tmp_path):
    mark = freeze([SAMPLED, FULL], tmp_path / "new folder")
    file = tmp_path / "new folder" / "protocol.toml"
    assert read_frozen(file) == (SAMPLED, FULL)
    assert tomllib.loads(file.read_text())["hash"] == mark
    assert [path.name for path in file.parent.iterdir()] == ["protocol.toml"]


def test_equal_protocols_may_be_frozen_again_in_any_order(tmp_path):
    mark = freeze([SAMPLED, FULL], tmp_path)
    before = (tmp_path / "protocol.toml").stat().st_mtime_ns
    assert freeze([FULL, SAMPLED], tmp_path) == mark
    assert (tmp_path / "protocol.toml").stat().st_mtime_ns == before
    assert freeze(SAMPLED, tmp_path / "one.toml") != mark


@pytest.mark.parametrize(
    ("protocols", "line"),
    [
        ([SAMPLED.model_copy(update={"num_negatives": 999}), FULL], "num_negatives was 99, is 999"),
        ([SAMPLED], "'full' is gone"),
        ([SAMPLED, FULL, Protocol(seed=9)], "'sampled' is new"),
    ],
)
def test_other_protocols_are_refused_by_what_changed(tmp_path, protocols, line):
    freeze([SAMPLED, FULL], tmp_path)
    text = (tmp_path / "protocol.toml").read_text()
    with pytest.raises(BadInputError, match=line) as error:
        freeze(protocols, tmp_path)
    assert "\n" not in str(error.value)
    assert (tmp_path / "protocol.toml").read_text() == text


CLAIM = {"model": "a", "baseline": 'the "best"', "min_users": 100, "protocol": FULL.hash}


def test_claims_are_frozen_beside_the_protocols(tmp_path):
    mark = freeze([SAMPLED, FULL], tmp_path, [CLAIM, {**CLAIM, "model": "b"}])
    assert read_frozen(tmp_path) == (SAMPLED, FULL)
    assert freeze([FULL, SAMPLED], tmp_path, [{**CLAIM, "model": "b"}, CLAIM]) == mark
    assert freeze([SAMPLED, FULL], tmp_path / "bare.toml") != mark


@pytest.mark.parametrize(
    ("claims", "line"),
    [
        ([], "is gone"),
        ([{**CLAIM, "min_users": 2}], "is gone; the claim .* is new"),
        ([CLAIM, {**CLAIM, "model": "b"}], "is new"),
    ],
)
def test_other_claims_are_refused(tmp_path, claims, line):
    freeze([SAMPLED], tmp_path, [CLAIM])
    with pytest.raises(BadInputError, match=line):
        freeze([SAMPLED], tmp_path, claims)
    file = tmp_path / "protocol.toml"
    file.write_text(file.read_text().replace("min_users = 100", "min_users = 2"))
    with pytest.raises(ArtifactError, match="was edited"):
        freeze([SAMPLED], tmp_path, [{**CLAIM, "min_users": 2}])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("seed = 3", "seed = 4"),
        ("num_negatives = 99", "num_negatives = 999"),
        ('hash = "', 'hash = "a'),
    ],
)
def test_an_edited_file_is_refused(tmp_path, before, after):
    freeze([SAMPLED, FULL], tmp_path)
    file = tmp_path / "protocol.toml"
    file.write_text(file.read_text().replace(before, after, 1))
    with pytest.raises(ArtifactError, match="edited"):
        read_frozen(file)
    with pytest.raises(ArtifactError, match="edited"):
        freeze([SAMPLED, FULL], tmp_path)


def test_a_file_without_a_hash_or_protocols_is_refused(tmp_path):
    file = tmp_path / "protocol.toml"
    for text in (SAMPLED.to_toml(), 'hash = "x"\n', 'hash = "x"\nprotocol = []\n'):
        file.write_text(text)
        with pytest.raises(ArtifactError, match="expected a hash"):
            read_frozen(file)
    file.write_text("[[")
    with pytest.raises(ConfigError, match="TOML"):
        read_frozen(tmp_path)


@pytest.mark.parametrize("protocols", [[], [SAMPLED, SAMPLED]])
def test_none_or_one_twice_is_refused(tmp_path, protocols):
    with pytest.raises(BadInputError, match="each once"):
        freeze(protocols, tmp_path)
    assert not list(tmp_path.iterdir())
