"""Checkpoints are whole or absent, and go back only into the run they came from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from sargraph.core.errors import ArtifactError
from sargraph.training import checkpoint as module
from sargraph.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from sargraph.training.optimiser import RowAdam


def _trained(seed: int = 0) -> tuple[nn.Module, list[torch.optim.Optimizer]]:
    torch.manual_seed(seed)
    model = nn.ModuleDict({"table": nn.Embedding(5, 2), "line": nn.Linear(2, 1)})
    optimisers: list[torch.optim.Optimizer] = [
        RowAdam(model["table"].parameters(), lr=0.1),
        torch.optim.Adam(model["line"].parameters(), lr=0.01),
    ]
    for row in (0, 3):
        model["line"](model["table"](torch.tensor([row]))).sum().backward()
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
    return model, optimisers


def _state() -> TrainingState:
    history = [{"epoch": 1, "loss": 0.1, "parts": {}, "score": 1 / 3, "seconds": 2.5}]
    return TrainingState(history, 1, 1 / 3, {"line.bias": torch.tensor([7.0])})


def test_everything_comes_back(tmp_path: Path) -> None:
    model, optimisers = _trained()
    save_checkpoint(tmp_path / "c", model, optimisers, _state(), "run")
    other, others = _trained(seed=1)
    state = load_checkpoint(tmp_path / "c", other, others, "run")
    assert state.history == _state().history
    assert (state.best_epoch, state.best_score) == (1, 1 / 3)
    assert torch.equal(state.best["line.bias"], torch.tensor([7.0]))
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])
    for ours, theirs in zip(optimisers, others, strict=True):
        ours_dict, theirs_dict = ours.state_dict(), theirs.state_dict()
        for number, values in ours_dict["state"].items():
            assert values.keys() == theirs_dict["state"][number].keys()
            for name, value in values.items():
                assert torch.equal(value, theirs_dict["state"][number][name])
        for group, loaded in zip(
            ours_dict["param_groups"], theirs_dict["param_groups"], strict=True
        ):
            assert {**group, "betas": list(group["betas"])} == loaded
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_a_checkpoint_cut_short_is_refused(tmp_path: Path, kept: int) -> None:
    model, optimisers = _trained()
    save_checkpoint(tmp_path / "c", model, optimisers, _state())
    (tmp_path / "c").write_bytes((tmp_path / "c").read_bytes()[:kept])
    with pytest.raises(ArtifactError, match="damaged or cut short"):
        load_checkpoint(tmp_path / "c", model, optimisers)


def test_another_fingerprint_is_refused(tmp_path: Path) -> None:
    model, optimisers = _trained()
    save_checkpoint(tmp_path / "c", model, optimisers, _state(), "one run")
    with pytest.raises(ArtifactError, match="another configuration"):
        load_checkpoint(tmp_path / "c", model, optimisers, "another run")


def test_another_model_is_refused(tmp_path: Path) -> None:
    model, optimisers = _trained()
    save_checkpoint(tmp_path / "c", model, optimisers, _state())
    with pytest.raises(ArtifactError, match="does not fit"):
        load_checkpoint(tmp_path / "c", nn.Linear(2, 2), optimisers)
    with pytest.raises(ArtifactError, match="does not fit"):
        load_checkpoint(tmp_path / "c", model, optimisers[:1])


def test_a_missing_file_and_a_foreign_file_are_named(tmp_path: Path) -> None:
    model, optimisers = _trained()
    with pytest.raises(ArtifactError, match="no checkpoint at"):
        load_checkpoint(tmp_path / "c", model, optimisers)
    module.save_file({}, tmp_path / "c")
    with pytest.raises(ArtifactError, match="no checkpoint of this version"):
        load_checkpoint(tmp_path / "c", model, optimisers)


def test_an_interrupted_write_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, optimisers = _trained()
    save_checkpoint(tmp_path / "c", model, optimisers, _state())
    before = (tmp_path / "c").read_bytes()

    def interrupted(arrays: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path / "c", model, optimisers, _state())
    assert (tmp_path / "c").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
