"""Configuration: typed, frozen, and clear about what it does not know."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sargraph.core.config import Config, apply_overrides, parse_config, read_toml
from sargraph.core.errors import ConfigError


class Train(Config):
    num_epochs: int = 10
    learning_rate: float = 0.1


class Needy(Config):
    source: str


class Run(Config):
    name: str = "run"
    train: Train = Train()


def test_overrides_are_typed_and_leave_the_original_alone():
    data = {"train": {"num_epochs": 1}}
    changed = apply_overrides(data, ["train.num_epochs=3", "train.learning_rate=1e-3", "name=big"])
    assert parse_config(Run, changed, "run") == Run(
        name="big", train=Train(num_epochs=3, learning_rate=1e-3)
    )
    assert data == {"train": {"num_epochs": 1}}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.num_epoch=3", "unknown key 'train.num_epoch'; did you mean 'num_epochs'"),
        ("trian.num_epochs=3", "did you mean 'train'"),
        ("train.num_epochs=many", "'train.num_epochs' got 'many'"),
        ("train.num_epochs", "expected section.key=value"),
        ("name.deep=1", "is a value, not a section"),
    ],
)
def test_a_wrong_override_is_one_clear_line(override, words):
    with pytest.raises(ConfigError, match=words) as caught:
        parse_config(Run, apply_overrides({"name": "x"}, [override]), "run")
    assert "\n" not in str(caught.value)


def test_a_mistyped_required_key_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match="unknown key 'sorce'; did you mean 'source'"):
        parse_config(Needy, {"sorce": "logs"}, "run")
    with pytest.raises(ConfigError, match="'source' is missing"):
        parse_config(Needy, {}, "run")


def test_a_configuration_is_frozen():
    with pytest.raises(ValidationError):
        Run().name = "other"


def test_unreadable_toml_is_one_clear_line(tmp_path):
    (tmp_path / "bad.toml").write_bytes(b"a = \xff")
    for name in ("bad.toml", "absent.toml"):
        with pytest.raises(ConfigError, match=name):
            read_toml(tmp_path / name)
