"""The card of a model: its parents, training, figures with intervals, and limits."""

from __future__ import annotations

import numpy as np
import pytest

from sargraph.core.artifact import read_manifest
from sargraph.core.errors import ArtifactError
from sargraph.embedding.train import train
from sargraph.events.split import split_events
from sargraph.graph.build import build_graph
from sargraph.pipeline.config import EvaluateStage
from sargraph.pipeline.describe import describe_markdown, describe_page
from sargraph.pipeline.judge import evaluate
from sargraph.pipeline.model_card import model_card
from sargraph.sequence.train import fit_sequence
from sargraph.testing.events import random_events

SMALL = {
    "num_contrast": 8,
    "model": {"dim": 8, "id_dim": 8, "max_rec": 4, "max_search": 4},
    "fit": {"num_epochs": 2},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Events, their graph, embeddings and a sequence model, saved; and a report on it."""
    folder = tmp_path_factory.mktemp("models")
    events = random_events(np.random.default_rng(0), num_users=60, num_items=80, num_events=3000)
    events = events.save(folder / "events")
    split = split_events(events)
    graph = build_graph(events, split).save(folder / "graph")
    embeddings = train(graph, "uditsr", {"dim": 8, "num_epochs": 2}).save(folder / "embeddings")
    model = fit_sequence(events, split, "unisar", embeddings, SMALL).save(folder / "model")
    settings = EvaluateStage(min_requests=50, min_users=10, max_requests=20)
    return folder, embeddings, model, evaluate(model, events, split, settings=settings)


def test_the_card_names_parents_training_and_limits(made):
    folder, embeddings, model, _ = made
    text = model_card(folder / "model").markdown()
    assert model.content_hash in text and embeddings.content_hash in text
    assert model.parents["events"] in text
    losses = [entry["loss"] for entry in model.history]
    assert f"{losses[0]:.4f}".rstrip("0") in text and f"{losses[-1]:.4f}".rstrip("0") in text
    assert "| epochs | 2 |" in text and "| model.max_rec | 4 |" in text
    assert "It was not judged here" in text and "What not to ask of it" in text


def test_the_card_of_embeddings_names_its_graph(made):
    folder, embeddings, _, _ = made
    text = model_card(folder / "embeddings").markdown()
    assert embeddings.parents["graph"] in text and "| dim | 8 |" in text


def test_figures_by_slice_have_intervals_and_too_few(made):
    folder, _, _, report = made
    text = model_card(folder / "model", report, data={"split": {"kind": "global_time"}},
                      limits=["It cannot decide transitions."]).markdown()  # fmt: skip
    rows = report.frame[(report.frame["model"] == "unisar") & (report.frame["metric"] == "NDCG@10")]
    assert len(rows) > 4
    for row in rows.to_dict("records"):
        figure = "too few"
        if row["value"] == row["value"]:
            figure = f"{row['value']:.4f} [{row['low']:.4f}, {row['high']:.4f}]"
        assert figure in text
    assert "too few" in text and "It cannot decide transitions." in text
    assert "kind global_time" in text and "| popularity |" not in text


def test_describe_writes_the_card_of_a_model_in_both_forms(made, tmp_path):
    folder = made[0]
    for name in ("model", "embeddings"):
        page = describe_page(folder / name, tmp_path / f"{name}.html").read_text(encoding="utf-8")
        assert "What not to ask of it" in page and "plot-1" in page
        assert "How it was trained" in describe_markdown(folder / name)


def test_other_artefacts_have_no_model_card(made):
    assert read_manifest(made[0] / "graph").kind == "graph"
    with pytest.raises(ArtifactError, match="holds 'graph'"):
        model_card(made[0] / "graph")
