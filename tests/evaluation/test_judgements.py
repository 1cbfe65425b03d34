"""Results on disk and back: every field, the ones of tomorrow and the files of yesterday."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from sargraph.core.artifact import read_manifest
from sargraph.core.errors import ArtifactError, BadInputError
from sargraph.core.ragged import Ragged
from sargraph.evaluation import judgements
from sargraph.evaluation.evaluate import Result, evaluate_scorer
from sargraph.evaluation.judgements import load_results, save_results
from sargraph.evaluation.protocol import Protocol

NUM_ITEMS = 40
PROTOCOLS = (
    Protocol(num_negatives=9),
    Protocol.model_validate({"candidates": "full", "remove_seen": True, "cutoffs": [1, 3]}),
)


class Noise:
    """Scores by a seed."""

    def __init__(self, name, seed):
        self.name, self.seed = name, seed

    def score(self, requests, candidates):
        return np.random.default_rng(self.seed).random(candidates.shape, dtype=np.float32)


@pytest.fixture
def results(make_requests):
    rng = np.random.default_rng(0)
    requests = make_requests(
        rng.integers(0, 9, 30), rng.integers(0, NUM_ITEMS, 30), queries=rng.integers(-1, 3, 30)
    )
    slices = {"late": np.arange(30) > 20, "array": rng.random(30) < 0.5}
    nothing = Ragged.from_lists([[] for _ in range(9)])
    return [
        evaluate_scorer(
            Noise(name, seed), requests, NUM_ITEMS, known=nothing, seen=nothing, protocol=protocol,
            popularity=np.arange(NUM_ITEMS), slices=slices,
        )
        for protocol in PROTOCOLS
        for name, seed in (("a", 0), ("b", 1))
    ]  # fmt: skip


def same(one, two):
    """Equal by value, whatever is inside."""
    assert type(one) is type(two)
    if dataclasses.is_dataclass(one):
        for each in dataclasses.fields(one):
            same(getattr(one, each.name), getattr(two, each.name))
    elif isinstance(one, dict):
        assert list(one) == list(two)
        for key, value in one.items():
            same(value, two[key])
    elif isinstance(one, np.ndarray):
        assert one.dtype == two.dtype
        assert np.array_equal(one, two)
    else:
        assert one == two


def test_every_field_comes_back(results, tmp_path):
    save_results(results, tmp_path / "kept", parents={"events": "abc"})
    found = load_results(tmp_path / "kept")
    assert len(found) == len(results) == 4
    for one, two in zip(results, found, strict=True):
        same(one, two)
        assert one.summary() == two.summary()
        assert two.protocol.hash == one.protocol.hash
    assert read_manifest(tmp_path / "kept").parents == {"events": "abc"}


def test_the_same_results_give_the_same_hash_and_other_ranks_another(results, tmp_path):
    first, second = (save_results(results, tmp_path / name) for name in "ab")
    other = dataclasses.replace(results[0], ranks=results[1].ranks)
    assert first == second == read_manifest(tmp_path / "a").content_hash
    assert save_results([other, *results[1:]], tmp_path / "c") != first


def test_shared_requests_and_popularity_are_written_once(results, tmp_path):
    save_results(results, tmp_path / "kept")
    files = {path.name for path in (tmp_path / "kept").iterdir()}
    assert sum(name.startswith("requests-") for name in files) == 1
    assert sum(name.startswith("ranks-") for name in files) == 4
    assert not {name for name in files if name.endswith((".pkl", ".npy", ".npz"))}
    stored = judgements.read_tensors(tmp_path / "kept" / "arrays.safetensors")
    assert sum(name.startswith("popularity") for name in stored) == 1


@dataclasses.dataclass(frozen=True)
class Tomorrow(Result):
    """A result with more fields than today's."""

    luck: int = 7
    weights: np.ndarray | None = None
    lists: Ragged | None = None


def test_fields_added_later_are_kept_and_old_files_get_their_defaults(
    results, tmp_path, monkeypatch
):
    save_results(results, tmp_path / "old")
    monkeypatch.setattr(judgements, "Result", Tomorrow)
    old = load_results(tmp_path / "old")[0]
    assert isinstance(old, Tomorrow)
    assert (old.luck, old.weights) == (7, None)
    fields = {f.name: getattr(results[0], f.name) for f in dataclasses.fields(Result)}
    new = Tomorrow(
        **fields, luck=3, weights=np.linspace(0, 1, 30), lists=Ragged.from_lists([[1, 2], []])
    )
    save_results([new], tmp_path / "new")
    same(new, load_results(tmp_path / "new")[0])
    monkeypatch.undo()
    with pytest.raises(ArtifactError, match="luck"):
        load_results(tmp_path / "new")


def test_what_cannot_be_stored_is_refused_and_leaves_nothing(results, tmp_path):
    odd = dataclasses.replace(results[0], counts={"one": object()})
    with pytest.raises(BadInputError, match="counts"):
        save_results([odd], tmp_path / "kept")
    assert list(tmp_path.iterdir()) == []


def test_edited_ranks_and_other_artefacts_are_refused(results, tmp_path):
    save_results(results, tmp_path / "kept")
    manifest = json.loads((tmp_path / "kept" / "manifest.json").read_text())
    (tmp_path / "kept" / "manifest.json").write_text(json.dumps({**manifest, "kind": "report"}))
    with pytest.raises(ArtifactError, match="report"):
        load_results(tmp_path / "kept")
    save_results(results, tmp_path / "two")
    file = tmp_path / "two" / "ranks-000.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match="hash"):
        load_results(tmp_path / "two")


def test_no_results_and_results_without_requests(results, tmp_path):
    save_results([], tmp_path / "none")
    assert load_results(tmp_path / "none") == []
    empty = results[2].take(np.zeros(30, dtype=bool))
    save_results([empty], tmp_path / "empty")
    same(empty, load_results(tmp_path / "empty")[0])


def test_a_number_of_items_from_numpy_is_saved_as_a_number(results, tmp_path):
    counted = dataclasses.replace(results[0], num_items=np.int64(NUM_ITEMS))
    save_results([counted], tmp_path / "kept")
    (loaded,) = load_results(tmp_path / "kept")
    assert (type(loaded.num_items), loaded.num_items) == (int, NUM_ITEMS)
    same(loaded, results[0])
