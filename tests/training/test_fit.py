"""The loop: what it calls, when it stops, what it leaves behind."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sargraph.core.errors import ArtifactError, BadInputError, TrainingError
from sargraph.training import fit as module
from sargraph.training.fit import FitConfig, FitResult, clip_gradients, fit
from sargraph.training.optimiser import RowAdam


class Toy:
    """A small regression with dropout, a sparse table and shuffled batches."""

    def __init__(self, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.model = nn.ModuleDict(
            {
                "table": nn.Embedding(8, 4, sparse=True),
                "net": nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 1)),
            }
        )
        self.optimisers: list[torch.optim.Optimizer] = [
            RowAdam(self.model["table"].parameters(), lr=0.1),
            torch.optim.Adam(self.model["net"].parameters(), lr=0.1),
        ]
        self.epochs: list[int] = []
        self.modes: list[bool] = []

    def batches(self, epoch: int, generator: torch.Generator) -> Iterator[Tensor]:
        self.epochs.append(epoch)
        yield from torch.randperm(8, generator=generator).split(3)

    def step(self, rows: Tensor) -> dict[str, Tensor]:
        self.modes.append(self.model.training)
        out = self.model["net"](self.model["table"](rows)).flatten()
        error = (out - rows.float()).pow(2).mean()
        return {"loss": error, "half": error / 2}

    def run(self, **options: Any) -> FitResult:
        config = options.pop("config", FitConfig(num_epochs=options.pop("num_epochs", 3)))
        return fit(self.model, self.optimisers, self.batches, self.step,
                   config=config, **{"seed": 1, **options})  # fmt: skip

    def weights(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.model.state_dict().items()}


def _same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def _without_seconds(result: FitResult) -> list[dict[str, Any]]:
    return [
        {k: v for k, v in entry.items() if not k.endswith("seconds")} for entry in result.history
    ]


def test_history_and_modes() -> None:
    toy = Toy()
    result = toy.run()
    assert toy.epochs == [1, 2, 3]
    assert all(toy.modes) and len(toy.modes) == 9
    assert not toy.model.training
    assert [entry["epoch"] for entry in result.history] == [1, 2, 3]
    for entry in result.history:
        assert entry["parts"]["half"] == pytest.approx(entry["loss"] / 2)
        assert entry["score"] is None
    assert (result.best_epoch, result.best_score, result.stopped) == (3, None, "epochs")
    assert result.seconds == sum(entry["seconds"] for entry in result.history)


def test_loss_is_the_mean_over_steps() -> None:
    losses = iter([1.0, 2.0, 6.0])
    weight = nn.Parameter(torch.zeros(()))
    model = nn.ParameterList([weight])
    result = fit(model, [], lambda epoch, generator: range(3),
                 lambda batch: {"loss": weight * 0 + next(losses)},
                 config=FitConfig(num_epochs=1), seed=0)  # fmt: skip
    assert result.history[0]["loss"] == pytest.approx(3.0)


def test_same_seed_same_weights_whatever_the_global_state() -> None:
    first, second, third = Toy(), Toy(), Toy()
    first.run()
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    second.run()
    assert torch.equal(before, torch.random.get_rng_state())
    third.run(seed=2)
    assert _same(first.weights(), second.weights())
    assert not _same(first.weights(), third.weights())


@pytest.mark.parametrize("stop_in", [2, 3, 4])
def test_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path, stop_in: int) -> None:
    scores = {1: 0.1, 2: 0.5, 3: 0.2, 4: 0.3, 5: 0.4}

    def run(toy: Toy, **options: Any) -> FitResult:
        return toy.run(num_epochs=5, validate=lambda: scores[toy.epochs[-1]], **options)

    whole = Toy()
    expected = run(whole)

    interrupted = Toy()
    step, count = interrupted.step, itertools.count(1)

    def stops(rows: Tensor) -> dict[str, Tensor]:
        if next(count) == 3 * (stop_in - 1) + 2:  # in the middle of an epoch
            raise KeyboardInterrupt
        return step(rows)

    interrupted.step = stops  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run(interrupted, checkpoint=tmp_path / "c", fingerprint="f")

    resumed = Toy(seed=5)  # its own initial weights must not matter
    result = run(resumed, checkpoint=tmp_path / "c", resume=True, fingerprint="f")
    assert resumed.epochs == list(range(stop_in, 6))
    assert _same(whole.weights(), resumed.weights())
    assert _without_seconds(result) == _without_seconds(expected)
    assert (result.best_epoch, result.best_score) == (2, 0.5)


def test_resuming_a_finished_run_trains_no_more(tmp_path: Path) -> None:
    toy = Toy()
    toy.run(checkpoint=tmp_path / "c", validate=lambda: -float(toy.epochs[-1]))
    again = Toy(seed=3)
    result = again.run(checkpoint=tmp_path / "c", resume=True, validate=lambda: 0.0)
    assert again.epochs == []
    assert result.best_epoch == 1
    assert _same(toy.weights(), again.weights())


def test_resume_without_a_file_starts_at_the_beginning(tmp_path: Path) -> None:
    toy = Toy()
    toy.run(checkpoint=tmp_path / "new" / "c", resume=True)
    assert toy.epochs == [1, 2, 3]
    assert (tmp_path / "new" / "c").is_file()


def test_resume_of_another_run_is_refused(tmp_path: Path) -> None:
    Toy().run(checkpoint=tmp_path / "c", fingerprint="a")
    with pytest.raises(ArtifactError, match="another configuration"):
        Toy().run(checkpoint=tmp_path / "c", fingerprint="b", resume=True)


def test_best_weights_are_restored() -> None:
    toy = Toy()
    seen: list[dict[str, Tensor]] = []
    scores = iter([0.1, 0.9, 0.3, 0.9])

    def validate() -> float:
        assert not toy.model.training and not torch.is_grad_enabled()
        seen.append(toy.weights())
        return next(scores)

    result = toy.run(num_epochs=4, validate=validate)
    assert (result.best_epoch, result.best_score) == (2, 0.9)
    assert _same(toy.weights(), seen[1])
    assert not _same(toy.weights(), seen[3])


def test_patience_counts_validations_without_a_new_best() -> None:
    toy = Toy()
    config = FitConfig(num_epochs=50, patience=2, validate_every=2)
    result = toy.run(config=config, validate=lambda: {2: 0.1, 4: 0.2}.get(toy.epochs[-1], 0.15))
    assert toy.epochs[-1] == 8
    assert (result.best_epoch, result.stopped) == (4, "patience")
    assert [entry["score"] for entry in result.history[:4]] == [None, 0.1, None, 0.2]


def test_time_budget_starts_no_epoch_that_would_overrun(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 10))  # every epoch takes 10 seconds
    monkeypatch.setattr(module.time, "perf_counter", lambda: float(next(clock)))
    toy = Toy()
    result = toy.run(config=FitConfig(num_epochs=50, max_seconds=35.0))
    assert toy.epochs == [1, 2, 3]
    assert (result.stopped, result.seconds) == ("time", 30.0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_training(bad: float) -> None:
    toy = Toy()
    step, count = toy.step, itertools.count(1)

    def breaks(rows: Tensor) -> dict[str, Tensor]:
        return {"loss": step(rows)["loss"] * (bad if next(count) == 2 else 1.0)}

    toy.step = breaks  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match=r"loss became .* at step 2"):
        toy.run()


def test_a_gradient_that_is_not_finite_reaches_no_checkpoint(tmp_path: Path) -> None:
    weight = nn.Parameter(torch.zeros(1))
    model = nn.ParameterList([weight])
    with pytest.raises(TrainingError, match="weight 0 became nan"):
        fit(model, [torch.optim.SGD([weight], lr=1.0)], lambda epoch, generator: [0],
            lambda batch: {"loss": (weight * weight).sum().sqrt()},  # d sqrt(0) = 0 * inf
            config=FitConfig(num_epochs=1), seed=0, checkpoint=tmp_path / "c")  # fmt: skip
    assert not (tmp_path / "c").exists()


def test_a_score_that_is_not_finite_stops_training() -> None:
    with pytest.raises(TrainingError, match="validation of epoch 1"):
        Toy().run(validate=lambda: float("nan"))


def test_an_epoch_without_batches_is_refused() -> None:
    toy = Toy()
    toy.batches = lambda epoch, generator: iter(())  # type: ignore[method-assign]
    with pytest.raises(BadInputError, match="without batches"):
        toy.run()


def test_clipping_scales_dense_and_sparse_gradients_together() -> None:
    dense, table = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(3, 1))
    dense.grad = torch.tensor([3.0, 0.0])
    table.grad = torch.sparse_coo_tensor(
        torch.tensor([[1, 1]]), torch.tensor([[1.0], [3.0]]), (3, 1), check_invariants=True
    )
    assert clip_gradients([dense, table, nn.Parameter(torch.zeros(1))], 1.0) == pytest.approx(5.0)
    assert dense.grad.tolist() == pytest.approx([0.6, 0.0])
    assert table.grad.to_dense().flatten().tolist() == pytest.approx([0.0, 0.8, 0.0])
    assert clip_gradients([dense], 1.0) == pytest.approx(0.6)
    assert dense.grad.tolist() == pytest.approx([0.6, 0.0])
