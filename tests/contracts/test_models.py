"""What every registered model must do, whatever it is; and that none is without an oracle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sargraph.core.scorer import Requests, Scorer
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.model import EMBEDDING_MODELS, embedding_model
from sargraph.embedding.scorer import scorer_of
from sargraph.embedding.train import train
from sargraph.events.split import TEST, SplitConfig, requests_for, split_events
from sargraph.graph.build import build_graph
from sargraph.sequence.model import SEQUENCE_MODELS
from sargraph.sequence.sequence_model import SequenceModel
from sargraph.sequence.train import fit_sequence
from sargraph.testing.events import random_events

embedding_model("uditsr")  # registers all of them, before their names are read
ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    "uditsr": {"dim": 8, "num_epochs": 1},
    **{name: {"dim": 8, "num_epochs": 1}
       for name in ("bpr", "lightgcn", "transe", "item2vec", "srjgraph", "hgt")},
    "unisar": {"model": {"dim": 8, "id_dim": 8, "max_rec": 4, "max_search": 4},
               "fit": {"num_epochs": 1}, "num_contrast": 8},
    "sasrec": {"model": {"dim": 8, "inner_dim": 8, "max_events": 6}, "fit": {"num_epochs": 1}},
}  # fmt: skip


@pytest.fixture(scope="module")
def events():
    return random_events(np.random.default_rng(0), num_events=600)


@pytest.fixture(scope="module")
def split(events):
    return split_events(events, SplitConfig())


def arms(events, split, folder) -> dict[str, tuple[Scorer, Scorer, Scorer]]:
    """Each model fitted twice with one seed, and once more read from its folder."""
    graph, found = build_graph(events, split), {}
    for name in EMBEDDING_MODELS.names():
        first, again = (train(graph, name, SMALL[name], seed=3) for _ in range(2))
        first.save(folder / name)
        loaded = Embeddings.load(folder / name)
        found[name] = (scorer_of(first), scorer_of(again), scorer_of(loaded))
    for name in SEQUENCE_MODELS.names():
        first, again = (fit_sequence(events, split, name, None, SMALL[name], seed=3)
                        for _ in range(2))  # fmt: skip
        first.save(folder / name)
        found[name] = (first, again, SequenceModel.load(folder / name, events, split))
    return found


@pytest.fixture(scope="module")
def fitted(events, split, tmp_path_factory):
    return arms(events, split, tmp_path_factory.mktemp("models"))


NAMES = [*EMBEDDING_MODELS.names(), *SEQUENCE_MODELS.names()]


def test_the_suite_finds_models_of_both_families():
    assert {"uditsr", "bpr"} <= set(EMBEDDING_MODELS.names()) <= set(NAMES)
    assert {"unisar", "sasrec"} <= set(SEQUENCE_MODELS.names()) <= set(NAMES)


@pytest.mark.parametrize("task", ["search", "recommend"])
@pytest.mark.parametrize("name", NAMES)
class TestScorer:
    @pytest.fixture
    def asked(self, events, split, task) -> tuple[Requests, np.ndarray]:
        requests = requests_for(events, split, TEST, task)
        assert len(requests) > 5
        candidates = np.random.default_rng(1).integers(0, len(events.items), (len(requests), 6))
        return requests, candidates

    def test_scores_are_finite_logits_of_the_candidates_shape(self, fitted, name, asked):
        scores = fitted[name][0].score(*asked)
        assert scores.dtype == np.float32 and scores.shape == asked[1].shape
        assert np.isfinite(scores).all()
        assert np.ptp(scores) > 0

    def test_missing_candidates_score_minus_infinity(self, fitted, name, asked):
        requests, candidates = asked
        candidates = candidates.copy()
        candidates[:, 2] = -1
        scores = fitted[name][0].score(requests, candidates)
        assert np.isneginf(scores[:, 2]).all()
        assert np.isfinite(np.delete(scores, 2, axis=1)).all()

    def test_the_place_of_a_candidate_says_nothing(self, fitted, name, asked):
        requests, candidates = asked
        scores = fitted[name][0].score(requests, candidates)
        turned = fitted[name][0].score(requests, candidates[:, ::-1].copy())
        np.testing.assert_allclose(turned[:, ::-1], scores, rtol=1e-4, atol=1e-5)

    def test_one_seed_gives_the_same_bits(self, fitted, name, asked):
        assert np.array_equal(fitted[name][0].score(*asked), fitted[name][1].score(*asked))

    def test_a_saved_model_scores_the_same(self, fitted, name, asked):
        assert np.array_equal(fitted[name][0].score(*asked), fitted[name][2].score(*asked))


@pytest.mark.parametrize("task", ["search", "recommend"])
@pytest.mark.parametrize("name", SEQUENCE_MODELS.names())
def test_a_later_event_changes_no_score(fitted, name, task, events, split):
    """Scores stay when all later events are hidden, and change when all earlier ones are."""
    requests = requests_for(events, split, TEST, task)
    first = requests.as_of.min()
    early = requests.take(np.flatnonzero(requests.as_of == first))
    candidates = np.random.default_rng(1).integers(0, len(events.items), (len(early), 6))
    model = fitted[name][0]
    without_later = replace(model, visible=model.visible & (events.time < first))
    without_earlier = replace(model, visible=model.visible & (events.time >= first))
    scores = model.score(early, candidates)
    assert np.array_equal(without_later.score(early, candidates), scores)
    assert not np.array_equal(without_earlier.score(early, candidates), scores)


NO_PEER = {
    "srjgraph": "its authors published no code",
    "hgt": "its layer is PyG's own, held against loops in its oracle",
}
"""Models without a parity test, and why: nothing else could give the numbers."""


@pytest.mark.parametrize("name", NAMES)
def test_every_model_has_an_oracle_a_parity_test_and_a_page(name):
    assert (ROOT / "sargraph" / "testing" / f"{name}_oracle.py").is_file()
    assert (ROOT / "tests" / "parity" / f"test_{name}.py").is_file() == (name not in NO_PEER)
    assert (ROOT / "docs" / "theory" / f"{name}.md").is_file()
    assert name in SMALL
