"""The estimate before a training, and the refusal that names it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sargraph.core.errors import TrainingError
from sargraph.training import fit as loop
from sargraph.training.fit import FitConfig, fit
from sargraph.training.memory import check_memory, training_bytes
from sargraph.training.optimiser import RowAdam


def test_weights_gradients_moments_and_the_best_copy_are_counted():
    model = nn.Linear(10, 5)
    weights = 4 * (10 * 5 + 5)
    optimiser = torch.optim.Adam(model.parameters())
    assert training_bytes(model, [optimiser]) == 5 * weights
    assert training_bytes(model, [optimiser], step_bytes=77) == 5 * weights + 77
    assert training_bytes(model, []) == 2 * weights


def test_a_sparse_table_has_no_dense_gradient():
    table = nn.Embedding(100, 4, sparse=True)
    assert training_bytes(table, [RowAdam(table.parameters())]) == 4 * 400 * 4


def test_the_estimate_is_near_what_adam_really_holds():
    model = nn.Linear(500, 400)
    optimiser = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 500)).sum().backward()
    optimiser.step()
    held = [*model.parameters(), *(w.grad for w in model.parameters())]
    held += [v for state in optimiser.state.values() for v in state.values() if v.dim()]
    real = sum(v.numel() * v.element_size() for v in held) + 4 * 500 * 400  # and the best copy
    assert training_bytes(model, [optimiser]) == pytest.approx(real, rel=0.01)


def test_too_much_is_refused_in_words():
    with pytest.raises(TrainingError, match=r"about 3\.0 GiB, got 1\.0 GiB free; lower batch_size"):
        check_memory(3 * 2**30, available=2**30)
    check_memory(2**30, available=2**30)


def test_training_is_refused_before_its_first_step(monkeypatch):
    monkeypatch.setattr("sargraph.training.memory.available_memory", lambda: 10.0)
    model = nn.Linear(3, 1)

    def never(batch):
        raise AssertionError("a step was taken")

    with pytest.raises(TrainingError, match="needs about"):
        fit(model, [], lambda epoch, generator: [0], never, config=FitConfig(), seed=0)
    assert loop.check_memory is check_memory


def test_resuming_needs_no_more_memory_than_starting(tmp_path, monkeypatch):
    model = nn.Linear(50, 1)
    optimiser = torch.optim.Adam(model.parameters())
    free, load = float(training_bytes(model, [optimiser])), loop.load_checkpoint

    def loads_into_memory(*arguments):
        nonlocal free
        free -= 2 * sum(4 * weight.numel() for weight in model.parameters())  # the moments
        return load(*arguments)

    def train(num_epochs):
        fit(model, [optimiser], lambda epoch, generator: [torch.ones(1, 50)],
            lambda batch: {"loss": model(batch).sum()}, config=FitConfig(num_epochs=num_epochs),
            seed=0, checkpoint=tmp_path / "c", resume=True)  # fmt: skip

    monkeypatch.setattr("sargraph.training.memory.available_memory", lambda: free)
    monkeypatch.setattr(loop, "load_checkpoint", loads_into_memory)
    train(num_epochs=1)
    train(num_epochs=2)
    with pytest.raises(TrainingError, match="needs about"):
        train(num_epochs=3)  # what the second has taken is not free any more
