"""Fitting both tasks: the same bits for the same seed, resumed or not; rare rows stay put."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sargraph.core.errors import ArtifactError, ConfigError
from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Scorer
from sargraph.embedding.embeddings import Embeddings
from sargraph.events.events import Events
from sargraph.events.split import VALID, Split, SplitConfig, requests_for, split_events
from sargraph.sequence import unisar_family as module
from sargraph.sequence.sequence_model import SequenceModel
from sargraph.sequence.train import fit_sequence
from sargraph.sequence.unisar_family import UniSARFamily, UniSARTraining, joint_losses

Make = Callable[..., Events]
FAMILY = UniSARFamily()
SMALL = {"dim": 8, "id_dim": 8, "expert_dim": 8, "tower_dims": (8,), "head_dims": (8,),
         "num_experts": 2, "num_shared_experts": 2, "max_rec": 5, "max_search": 4}  # fmt: skip


def config(num_epochs: int = 2, **options: Any) -> dict[str, Any]:
    model = {**SMALL, **options.pop("model", {})}
    fit = {"num_epochs": num_epochs, **options.pop("fit", {})}
    return {"model": model, "fit": fit, "batch_size": 12, "num_contrast": 16,
            "learning_rate": 0.01, "device": "cpu", **options}  # fmt: skip


def _split(events: Events) -> Split:
    return split_events(events, SplitConfig(), seed=0)


def _same(first: SequenceModel, second: SequenceModel) -> bool:
    ours, theirs = first.module.state_dict(), second.module.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_same_seed_same_weights(random_events: Make) -> None:
    events = random_events(0, 70, 25)
    split = _split(events)
    first, again, other = (
        fit_sequence(events, split, config=config(1), seed=seed) for seed in (1, 1, 2)
    )
    assert _same(first, again)
    assert not _same(first, other)


def test_the_loss_falls_and_everything_is_reported(random_events: Make) -> None:
    events = random_events(0, 70, 25)
    model = fit_sequence(events, _split(events), config=config(num_epochs=15))
    losses = [entry["loss"] for entry in model.history]
    assert losses[-1] < 0.9 * losses[0]
    assert {"recommend_click", "search_click", "search_query_item", "recommend_history"} <= set(
        model.history[0]["parts"]
    )
    assert model.fitted["stopped"] == "epochs" and model.fitted["best_epoch"] == 15
    assert model.fitted["requests"]["recommend"] > 0
    assert not model.module.training


def test_resumed_fit_equals_an_uninterrupted_one(
    random_events: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = random_events(0, 70, 25)
    split = _split(events)
    whole = fit_sequence(events, split, config=config(3), seed=1)
    steps = 0

    def interrupted(*arguments: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 5:
            raise KeyboardInterrupt
        return joint_losses(*arguments)

    monkeypatch.setattr(module, "joint_losses", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit_sequence(events, split, config=config(3), seed=1, checkpoint=tmp_path / "c")
    assert (tmp_path / "c").is_file()  # of the epoch before
    monkeypatch.undo()
    resumed = fit_sequence(
        events, split, config=config(3), seed=1, checkpoint=tmp_path / "c", resume=True
    )
    assert _same(whole, resumed)
    assert [e["loss"] for e in whole.history] == [e["loss"] for e in resumed.history]


def test_a_checkpoint_of_other_settings_or_data_is_refused(
    random_events: Make, tmp_path: Path
) -> None:
    events = random_events(0, 70, 25)
    split = _split(events)
    fit_sequence(events, split, config=config(1), checkpoint=tmp_path / "c")

    def resume(events: Events, split: Split, settings: dict[str, Any], seed: int = 0) -> None:
        fit_sequence(
            events, split, config=settings, seed=seed, checkpoint=tmp_path / "c", resume=True
        )

    for settings, seed in ((config(1, learning_rate=0.02), 0), (config(1), 5)):
        with pytest.raises(ArtifactError, match="another configuration or other data"):
            resume(events, split, settings, seed)
    other = random_events(4, 70, 25)
    with pytest.raises(ArtifactError, match="another configuration or other data"):
        resume(other, _split(other), config(1))
    resume(events, split, config(2))  # longer training of the same run goes on


def test_validation_sees_the_scorer_and_the_best_epoch_is_kept(random_events: Make) -> None:
    events = random_events(0, 70, 25)
    split = _split(events)
    requests = requests_for(events, split, VALID, "recommend")
    candidates = np.tile(np.arange(12), (len(requests), 1))
    seen: list[Any] = []
    scores = iter([0.1, 0.5, 0.2])

    def validate(scorer: Scorer) -> float:
        seen.append(scorer.score(requests, candidates))
        return next(scores)

    model = fit_sequence(events, split, config=config(3), validate=validate)
    assert model.fitted["best_epoch"] == 2 and model.fitted["best_score"] == 0.5
    assert np.array_equal(model.score(requests, candidates), seen[1])
    assert not np.array_equal(seen[1], seen[2])


def test_u1_rows_that_no_step_touches_keep_their_bits(random_events: Make) -> None:
    """Coupled L2 with dense Adam erases the vectors of rare ids within one epoch."""
    events = random_events(0, 70, 25)
    columns = dict(events.columns)
    columns["user"] = np.where(events.user == 5, 4, events.user)
    events = Events(columns, events.vocabularies, events.query_terms, events.item_terms)
    events = events.select(np.lexsort((events.time, events.user)))
    settings = config(2, weight_decay=0.1)
    start = FAMILY.build(events, UniSARTraining.model_validate(settings), 0)
    model = fit_sequence(events, _split(events), config=settings, seed=0)
    before, after = (FAMILY.id_tables(m)["user"].weight for m in (start, model.module))
    assert torch.equal(after[5], before[5])
    assert not torch.equal(after[:5], before[:5])


def test_every_weight_is_in_one_optimiser(random_events: Make) -> None:
    network = FAMILY.build(random_events(0), UniSARTraining(), 0)
    groups = [o.param_groups[0]["params"] for o in FAMILY.optimisers(network, UniSARTraining())]
    held = [id(weight) for group in groups for weight in group]
    assert sorted(held) == sorted(id(weight) for weight in network.parameters())
    assert {id(table.weight) for table in FAMILY.id_tables(network).values()} <= {
        id(weight) for weight in groups[0]
    }


def test_the_loss_of_a_step_is_the_weighted_sum(random_events: Make) -> None:
    events = random_events(0, 70, 25)
    settings = UniSARTraining.model_validate(config())
    data = FAMILY.data(events, _split(events), settings, None)
    batch = next(iter(data.batches(torch.Generator().manual_seed(0))))
    network = FAMILY.build(events, settings, 0).eval()
    got = joint_losses(network, batch, 0.3)
    expected = {
        task: network.losses(batch.tasks[task], task, batch.negative_items, batch.negative_queries)
        for task in ("recommend", "search")
    }
    total = expected["recommend"].total + 0.3 * expected["search"].total
    assert got["loss"].item() == pytest.approx(total.item(), rel=1e-6)
    assert got["search_click"].item() == pytest.approx(expected["search"].click.item())


def test_init_from_embeddings_is_reported_and_changes_the_start(random_events: Make) -> None:
    events = random_events(0, 70, 25)
    split = _split(events)
    rng = np.random.default_rng(0)
    init = Embeddings(
        tables={k: rng.normal(size=(len(v), 8)).astype(np.float32)
                for k, v in events.vocabularies.items()},
        vocabularies=dict(events.vocabularies),
        query_terms=Ragged.from_lists([]),
        model="uditsr", config={}, seed=0, content_hash="abc",
    )  # fmt: skip
    settings = config(1)
    del settings["model"]["id_dim"]
    model = fit_sequence(events, split, init=init, config=settings)
    assert model.init_report["user"] == {"matched": 6, "missing": 0}
    assert model.init_report["item"] == {"matched": 12, "missing": 0}
    assert model.config.model.id_dim == 8
    assert model.parents == {"events": "", "split": split.content_hash, "embeddings": "abc"}
    assert fit_sequence(events, split, config=config(1)).init_report == {}


def test_recommendation_alone_and_search_alone(make_events: Make) -> None:
    alone = make_events([{"time": t, "item": t % 5} for t in range(30)], num_queries=0)
    model = fit_sequence(alone, _split(alone), config=config(1))
    assert np.isfinite(model.history[0]["loss"])
    search = {"source": 0, "query": 1}
    rows = [{**search, "time": t, "item": t % 5, "session": t} for t in range(30)]
    searches = make_events(rows)
    model = fit_sequence(searches, _split(searches), config=config(1))
    assert np.isfinite(model.history[0]["loss"])


def test_unknown_names_are_refused(random_events: Make) -> None:
    events = random_events(0, 70, 25)
    with pytest.raises(ConfigError, match="did you mean 'unisar'"):
        fit_sequence(events, _split(events), model="unisra")
    with pytest.raises(ConfigError, match="did you mean 'learning_rate'"):
        fit_sequence(events, _split(events), config={"learning_rat": 1.0})
