"""TensorBoard's files hold the curves; nothing is written unasked; a missing package is named."""

from __future__ import annotations

import builtins

import pytest
import torch
from torch import nn

from sargraph.core.errors import ConfigError
from sargraph.training.board import Board
from sargraph.training.fit import FitConfig, fit


def train(folder, scores=(0.2, 0.4)):
    weight = nn.Parameter(torch.ones(()))
    model, left = nn.ParameterList([weight]), iter(scores)
    return fit(
        model, [torch.optim.SGD([weight], lr=0.1)], lambda epoch, generator: range(2),
        lambda batch: {"loss": weight**2, "half": weight / 2},
        config=FitConfig(num_epochs=2, tensorboard=folder), seed=0, validate=lambda: next(left),
    )  # fmt: skip


def test_the_curves_can_be_read_back(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = train(str(tmp_path / "curves"))
    read = EventAccumulator(str(tmp_path / "curves"))
    read.Reload()
    assert set(read.Tags()["scalars"]) == {"loss", "score", "seconds", "parts/half"}
    scores = [(event.step, event.value) for event in read.Scalars("score")]
    assert scores == [(1, pytest.approx(0.2)), (2, pytest.approx(0.4))]
    losses = [event.value for event in read.Scalars("loss")]
    assert losses == pytest.approx([entry["loss"] for entry in found.history])


def test_nothing_is_written_unasked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(None)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name == "torch.utils.tensorboard":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match="pip install tensorboard"):
        Board(str(tmp_path))
