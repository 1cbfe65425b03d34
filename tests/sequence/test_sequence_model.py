"""A fitted model scores from what was known, alike alone or in a batch, before and after saving."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sargraph.core.errors import ArtifactError, BadInputError
from sargraph.core.scorer import Requests, Scorer
from sargraph.core.types import NO_ROW
from sargraph.events.events import Events
from sargraph.events.schema import CLICK
from sargraph.events.split import SplitConfig, split_events
from sargraph.events.vocabulary import Vocabulary
from sargraph.sequence import unisar_family as module
from sargraph.sequence.sequence_model import SequenceModel
from sargraph.sequence.unisar_family import UniSARFamily, UniSARTraining

Make = Callable[..., Events]
FAMILY = UniSARFamily()
CONFIG = UniSARTraining.model_validate(
    {"model": {"dim": 8, "id_dim": 8, "max_rec": 6, "max_search": 4}, "device": "cpu"}
)


def _model(events: Events) -> SequenceModel:
    """Random weights: enough to see what a score depends on."""
    split = split_events(events, SplitConfig(), seed=0)
    return SequenceModel(
        name="unisar",
        module=FAMILY.build(events, CONFIG, 3),
        config=CONFIG,
        events=events,
        visible=split.visible,
        seed=3,
        history=[{"epoch": 1, "loss": 0.5}],
        init_report={"user": {"matched": 1, "missing": 5}},
        parents={"events": events.content_hash},
    )


def _requests(as_of: int = 20, num: int = 12) -> Requests:
    rows = np.arange(num)
    query = np.where(rows % 2 == 0, rows % 5, NO_ROW)
    none = np.full(num, NO_ROW)
    return Requests(rows % 6, query, np.full(num, as_of), rows % 12, none)


def _candidates(num: int = 12) -> np.ndarray:
    return np.tile(np.arange(12), (num, 1))


def test_is_a_scorer(random_events: Make) -> None:
    model = _model(random_events(0))
    assert isinstance(model, Scorer) and model.name == "unisar"
    scores = model.score(_requests(), _candidates())
    assert scores.shape == (12, 12) and scores.dtype == np.float32
    assert np.isfinite(scores).all() and len(np.unique(scores)) > 100


def test_one_request_scores_as_it_does_in_a_batch(random_events: Make) -> None:
    model, requests = _model(random_events(0)), _requests()
    together = model.score(requests, _candidates())
    for n in range(len(requests)):
        alone = model.score(requests.take(np.array([n])), _candidates(1))
        np.testing.assert_allclose(alone[0], together[n], rtol=1e-5, atol=1e-6)


def test_blocks_of_candidates_do_not_matter(
    random_events: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = _model(random_events(0))
    whole = model.score(_requests(), _candidates())
    monkeypatch.setattr(module, "CELLS", 5)
    np.testing.assert_allclose(model.score(_requests(), _candidates()), whole, rtol=1e-5, atol=1e-6)


def test_scoring_has_no_dropout_and_leaves_the_mode(random_events: Make) -> None:
    model = _model(random_events(0))
    model.module.train()
    first = model.score(_requests(), _candidates())
    assert model.module.training
    assert np.array_equal(first, model.score(_requests(), _candidates()))


def test_padding_scores_minus_infinity(random_events: Make) -> None:
    candidates = _candidates()
    candidates[:, 3] = NO_ROW
    scores = _model(random_events(0)).score(_requests(), candidates)
    assert (scores[:, 3] == -np.inf).all() and np.isfinite(np.delete(scores, 3, axis=1)).all()


def test_a_candidate_outside_the_catalogue_is_refused(random_events: Make) -> None:
    with pytest.raises(BadInputError, match="candidate 12"):
        _model(random_events(0)).score(_requests(), _candidates() + 1)


def test_no_request_at_all(random_events: Make) -> None:
    scores = _model(random_events(0)).score(Requests.empty(), np.empty((0, 5), dtype=np.int64))
    assert scores.shape == (0, 5)


@pytest.mark.parametrize("seed", range(3))
def test_editing_later_events_leaves_scores_bit_identical(random_events: Make, seed: int) -> None:
    events = random_events(seed)
    model = _model(events)
    later = events.is_timed & (events.time >= 20)
    columns = {name: column.copy() for name, column in events.columns.items()}
    columns["item"][later] = 1
    columns["action"][later] = CLICK
    columns["query"][later & events.is_search] = 0
    edited = Events(columns, events.vocabularies, events.query_terms, events.item_terms)
    other = SequenceModel(
        model.name, model.module, CONFIG, edited, np.ones(len(events), dtype=np.bool_)
    )
    same = SequenceModel(
        model.name, model.module, CONFIG, events, np.ones(len(events), dtype=np.bool_)
    )
    before = same.score(_requests(as_of=20), _candidates())
    assert np.array_equal(before, other.score(_requests(as_of=20), _candidates()))
    assert not np.array_equal(
        same.score(_requests(as_of=30), _candidates()),
        other.score(_requests(as_of=30), _candidates()),
    )


def test_the_target_in_the_request_changes_nothing(random_events: Make) -> None:
    model, requests = _model(random_events(0)), _requests()
    moved = Requests(
        requests.user, requests.query, requests.as_of, (requests.target + 5) % 12, requests.event
    )
    assert np.array_equal(model.score(requests, _candidates()), model.score(moved, _candidates()))


def test_hidden_events_stand_in_no_history(random_events: Make) -> None:
    events = random_events(0)
    model = _model(events)
    nothing = SequenceModel(
        model.name, model.module, CONFIG, events, np.zeros(len(events), dtype=np.bool_)
    )
    histories = nothing.ranker.reader.read(_requests(as_of=100))
    assert (histories.rec_item == NO_ROW).all() and (histories.search == NO_ROW).all()


def test_saved_and_loaded_scores_are_identical(random_events: Make, tmp_path: Path) -> None:
    events = random_events(0)
    model = _model(events).save(tmp_path / "model")
    loaded = SequenceModel.load(tmp_path / "model", events, device="cpu")
    before = model.score(_requests(), _candidates())
    assert np.array_equal(before, loaded.score(_requests(), _candidates()))
    assert loaded.content_hash == model.content_hash != ""
    for name in ("name", "config", "seed", "history", "init_report", "parents", "drop_target"):
        assert getattr(loaded, name) == getattr(model, name), name
    assert np.array_equal(loaded.visible, model.visible)


def test_more_events_need_a_split(random_events: Make, tmp_path: Path) -> None:
    events = random_events(0)
    _model(events).save(tmp_path / "model")
    more = random_events(1, num_rec=170)
    with pytest.raises(ArtifactError, match="give their split"):
        SequenceModel.load(tmp_path / "model", more)
    split = split_events(more, SplitConfig(twins=True), seed=0)
    loaded = SequenceModel.load(tmp_path / "model", more, split, device="cpu")
    assert np.array_equal(loaded.visible, split.visible) and loaded.drop_target


def test_events_with_other_ids_are_refused(random_events: Make, tmp_path: Path) -> None:
    events = random_events(0)
    _model(events).save(tmp_path / "model")
    swapped = dict(events.vocabularies)
    swapped["item"] = Vocabulary(swapped["item"].ids[::-1])
    other = Events(events.columns, swapped, events.query_terms, events.item_terms)
    with pytest.raises(ArtifactError, match="item ids of the events"):
        SequenceModel.load(tmp_path / "model", other)


def test_a_damaged_file_is_refused(random_events: Make, tmp_path: Path) -> None:
    events = random_events(0)
    _model(events).save(tmp_path / "model")
    weights = tmp_path / "model" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(ArtifactError):
        SequenceModel.load(tmp_path / "model", events)
