"""SASRec fitted and asked: vectors that score, histories of the right source, kill and resume."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Requests, VectorScorer
from sargraph.core.types import NO_ROW
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.init_from import loss_targets
from sargraph.events.events import Events
from sargraph.events.split import TEST, SplitConfig, requests_for, split_events
from sargraph.sequence.sasrec_family import SASRecFamily, SASRecTraining
from sargraph.sequence.sequence_model import SequenceModel
from sargraph.sequence.train import fit_sequence

Make = Callable[..., Events]
SMALL = {"dim": 8, "inner_dim": 8, "max_events": 6}


def _fit(events: Events, **options: Any) -> SequenceModel:
    settings = {"model": SMALL, "fit": {"num_epochs": 2}, "batch_size": 16, "device": "cpu"}
    return fit_sequence(
        events, split_events(events, SplitConfig()), "sasrec", None, {**settings, **options}
    )


def _asked(events: Events) -> Requests:
    return requests_for(events, split_events(events, SplitConfig()), TEST, "recommend")


def test_is_a_vector_scorer_and_its_scores_are_products(random_events: Make, tmp_path: Path):
    events = random_events(0)
    model = _fit(events)
    model.save(tmp_path / "model")
    loaded = SequenceModel.load(tmp_path / "model", events)
    for found in (model, loaded):
        assert isinstance(found, VectorScorer)
    requests = _asked(events)
    candidates = np.random.default_rng(0).integers(-1, len(events.items), (len(requests), 7))
    states, items = model.encode(requests), model.item_vectors()
    naive = [
        [float(state @ items[item]) if item >= 0 else -np.inf for item in row]
        for state, row in zip(states, candidates, strict=True)
    ]
    np.testing.assert_allclose(model.score(requests, candidates), naive, rtol=1e-4, atol=1e-6)
    order = np.broadcast_to(np.arange(len(events.items)), (len(requests), len(events.items)))
    np.testing.assert_allclose(model.score(requests, order), states @ items.T, rtol=1e-5)
    assert np.array_equal(loaded.encode(requests), states)


def test_unisar_is_no_vector_scorer(random_events: Make):
    events = random_events(0)
    settings = {"model": {"dim": 8, "id_dim": 8}, "fit": {"num_epochs": 1}, "num_contrast": 4}
    fitted = fit_sequence(events, split_events(events, SplitConfig()), "unisar", None, settings)
    assert not isinstance(fitted, VectorScorer)


def test_a_request_alone_has_the_vector_it_has_among_others(random_events: Make):
    events = random_events(1)
    model, requests = _fit(events), _asked(events)
    together = model.encode(requests)
    for n in range(len(requests)):
        alone = model.encode(requests.take(np.array([n])))
        np.testing.assert_allclose(alone[0], together[n], rtol=1e-5, atol=1e-6)


def test_source_says_whose_choices_are_read(make_events: Make):
    rows = [{"time": t, "item": t % 4, "source": t % 2, "query": t % 2 - 1, "session": t}
            for t in range(24)]  # fmt: skip
    events = make_events(rows)  # sources: 0 = search, 1 = recommendation
    ask = Requests(*(np.array([v]) for v in (0, NO_ROW, 24, 0, NO_ROW)))
    both, one = _fit(events), _fit(events, source="recommend")
    assert both.ranker._histories(ask)[0].tolist() == [2, 3, 0, 1, 2, 3]
    assert one.ranker._histories(ask)[0].tolist() == [1, 3, 1, 3, 1, 3]
    assert one.fitted["requests"]["targets"] < both.fitted["requests"]["targets"]


def test_new_users_get_the_items_that_users_start_with(make_events: Make):
    rows = [{"user": u, "time": t, "item": 7 if t == 0 else (u + t) % 5}
            for u in range(5) for t in range(12)]  # fmt: skip
    events = make_events(rows)
    model = _fit(events, fit={"num_epochs": 60}, learning_rate=0.05)
    nobody = Requests(*(np.array([v]) for v in (5, NO_ROW, 50, 0, NO_ROW)))
    scores = model.score(nobody, np.arange(12)[None])
    assert int(scores.argmax()) == 7


@pytest.mark.parametrize("how", ["earlier", "crossfit"])
def test_a_start_that_holds_targets_back_still_teaches_the_empty_history(make_events: Make, how):
    rows = [{"user": u, "time": t, "item": 7 if t == 0 else (u + t) % 5}
            for u in range(5) for t in range(12)]  # fmt: skip
    events = make_events(rows)
    split = split_events(events, SplitConfig())
    model = fit_sequence(
        events, split, "sasrec", None,
        {"model": SMALL, "fit": {"num_epochs": 60}, "learning_rate": 0.05, "device": "cpu"},
        loss_on=loss_targets(events, split, how),
    )  # fmt: skip
    assert model.fitted["requests"]["first"] == 5
    nobody = Requests(*(np.array([v]) for v in (5, NO_ROW, 50, 0, NO_ROW)))
    assert int(model.score(nobody, np.arange(12)[None]).argmax()) == 7


def test_it_learns_a_planted_order(make_events: Make):
    """Item after item in a circle: the next one is always the same."""
    rows = [{"user": u, "time": t, "item": (u + t) % 6} for u in range(6) for t in range(30)]
    events = make_events(rows)
    model = _fit(events, fit={"num_epochs": 40}, learning_rate=0.01,
                 model={**SMALL, "dropout": 0.1})  # fmt: skip
    requests = _asked(events)
    scores = model.score(requests, np.broadcast_to(np.arange(12), (len(requests), 12)))
    assert float((scores.argmax(1) == requests.target).mean()) > 0.95


def test_graph_vectors_start_the_item_table(random_events: Make):
    events = random_events(0)
    table = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
    init = Embeddings(
        tables={"item": table}, vocabularies=dict(events.vocabularies),
        query_terms=Ragged.from_lists([]), model="uditsr", config={}, seed=0,
    )  # fmt: skip
    config = {"model": {"num_heads": 2}, "fit": {"num_epochs": 1}, "init_scale": "as_is",
              "learning_rate": 1e-9}  # fmt: skip
    split = split_events(events, SplitConfig())
    model = fit_sequence(events, split, "sasrec", init, config)
    np.testing.assert_allclose(model.item_vectors(), table, atol=1e-6)
    assert model.init_report == {"item": {"matched": 12, "missing": 0}}


def test_the_estimate_of_a_step_grows_with_what_it_holds(random_events: Make):
    events = random_events(0)
    small, large = (SASRecTraining(batch_size=size) for size in (64, 640))
    sizes = [SASRecFamily().step_bytes(events, config) for config in (small, large)]
    assert sizes[1] > 3 * sizes[0] > 0


_SCRIPT = """
import sys, time
from pathlib import Path
import numpy as np, torch
torch.set_num_threads(1)
from sargraph.events.split import SplitConfig, split_events
from sargraph.sequence.train import fit_sequence
from sargraph.testing.events import random_events
events = random_events(np.random.default_rng(0), num_events=900)
folder, slow = Path(sys.argv[1]), sys.argv[2] == "slow"
def validate(scorer):
    time.sleep(0.4 if slow else 0)
    return 0.1
model = fit_sequence(
    events, split_events(events, SplitConfig()), "sasrec", None,
    {"model": {"dim": 8, "inner_dim": 8}, "fit": {"num_epochs": 6, "keep": "last"},
     "batch_size": 32, "device": "cpu"},
    seed=4, validate=validate, checkpoint=folder / "state", resume=True)
model.save(folder / sys.argv[3])
"""


def test_killed_and_resumed_it_ends_bit_for_bit_the_same(tmp_path: Path):
    """SIGKILL after some epochs; the resumed training has the weights of one never stopped."""

    def start(folder: Path, pace: str, name: str) -> subprocess.Popen[bytes]:
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-c", _SCRIPT, str(folder), pace, name]
        return subprocess.Popen(command)

    assert start(tmp_path / "whole", "fast", "model").wait(400) == 0
    killed = start(tmp_path / "killed", "slow", "model")
    deadline = time.monotonic() + 400
    while not (tmp_path / "killed" / "state").is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait(30) == -signal.SIGKILL
    assert not (tmp_path / "killed" / "model").exists()
    assert start(tmp_path / "killed", "fast", "model").wait(400) == 0
    manifests = [
        json.loads((tmp_path / name / "model" / "manifest.json").read_text())
        for name in ("whole", "killed")
    ]
    assert manifests[0]["content_hash"] == manifests[1]["content_hash"]
