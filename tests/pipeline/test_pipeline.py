"""The sentence: cells are taken up, expectations are compared, a shortcut earns nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sargraph.core.artifact import writing
from sargraph.core.config import apply_overrides, parse_config
from sargraph.core.errors import BadInputError, ConfigError
from sargraph.embedding.init_from import init_embeddings
from sargraph.embedding.scorer import scorer_of
from sargraph.embedding.train import train
from sargraph.events.split import TEST, TRAIN, VALID, SplitConfig, split_events
from sargraph.graph.build import build_graph
from sargraph.pipeline.cells import Cells, find_source, hashed_files
from sargraph.pipeline.config import EvaluateStage, RunConfig, read_run
from sargraph.pipeline.expected import compare_expected
from sargraph.pipeline.judge import evaluate, protocols
from sargraph.pipeline.questions import Named, Remembered
from sargraph.pipeline.run import run
from sargraph.pipeline.validation import validator
from sargraph.sequence.train import fit_sequence
from sargraph.testing.events import random_events

TINY = {
    "name": "tiny",
    "simulate": {"num_users": 40, "num_days": 6},
    "ingest": {"recipe": "synthetic"},
    "train": {"config": {"dim": 8, "num_epochs": 1}},
    "fit": {"inits": ["graph"], "config": {
        "model": {"dim": 8, "id_dim": 8, "max_rec": 4, "max_search": 4},
        "fit": {"num_epochs": 1}, "num_contrast": 8}},
    "evaluate": {"max_requests": 20, "validation_requests": 50, "min_requests": 5, "min_users": 2},
}  # fmt: skip
LOOSE = EvaluateStage(min_requests=1, min_users=1, max_requests=30)


class Constant:
    name = "constant"

    def score(self, requests, candidates):
        return np.where(candidates < 0, -np.inf, 0).astype(np.float32)


class FirstColumn(Constant):
    name = "first column"

    def score(self, requests, candidates):
        scores = np.zeros(candidates.shape, np.float32)
        scores[:, 0] = 1
        return scores


@pytest.fixture(scope="module")
def events():
    return random_events(np.random.default_rng(0), num_users=80, num_items=400, num_events=6000)


def test_a_second_run_takes_up_every_stage_and_finds_the_same(tmp_path):
    config = parse_config(RunConfig, TINY, "tiny")
    first = run(config, tmp_path)
    page = first.page.read_text(encoding="utf-8")
    again = run(config, tmp_path)
    assert all(spent == 0 for spent in again.seconds.values())
    assert any(spent > 0 for spent in first.seconds.values())
    assert first.report.frame.equals(again.report.frame)
    assert again.page.read_text(encoding="utf-8") == page


def test_a_changed_late_setting_leaves_early_stages_alone(tmp_path):
    run(parse_config(RunConfig, TINY, "tiny"), tmp_path)
    changed = apply_overrides(TINY, ["fit.config.num_negatives=2"])
    spent = run(parse_config(RunConfig, changed, "tiny"), tmp_path).seconds
    assert spent["events"] == spent["graph"] == spent["embeddings"] == 0
    assert spent["model-graph"] > 0


def test_another_split_of_the_same_training_part_trains_anew(tmp_path):
    """Early stopping looks at the validation part, which moved."""
    cuts = ({"valid_share": 0.1, "test_share": 0.1}, {"valid_share": 0.15, "test_share": 0.05})
    spent = [
        run(parse_config(RunConfig, {**TINY, "split": cut, "name": name}, "tiny"), tmp_path).seconds
        for cut, name in zip(cuts, ("one", "two"), strict=True)
    ]
    assert spent[1]["embeddings"] > 0
    assert (
        run(parse_config(RunConfig, {**TINY, "title": "B"}, "tiny"), tmp_path).report.title == "B"
    )
    other = {**TINY, "split": cuts[0], "title": "C"}
    (tmp_path / "tiny" / "cells").rename(tmp_path / "kept")
    (tmp_path / "one" / "cells").rename(tmp_path / "tiny" / "cells")
    again = run(parse_config(RunConfig, other, "tiny"), tmp_path)
    assert again.seconds["embeddings"] == 0 and again.report.title == "C"


def test_the_protocols_of_a_run_are_frozen_before_it_asks(tmp_path):
    run(parse_config(RunConfig, TINY, "tiny"), tmp_path)
    assert (tmp_path / "tiny" / "protocol.toml").is_file()
    changed = apply_overrides(TINY, ["evaluate.num_negatives=9"])
    with pytest.raises(BadInputError, match="frozen with other protocols"):
        run(parse_config(RunConfig, changed, "tiny"), tmp_path)


def test_files_behind_a_link_are_hashed_and_links_in_a_circle_end(tmp_path):
    logs, real = tmp_path / "logs", tmp_path / "real"
    logs.mkdir()
    real.mkdir()
    (real / "a.csv").write_text("1")
    (logs / "part").symlink_to(real)
    (real / "back").symlink_to(logs)
    first = hashed_files(logs)
    (real / "a.csv").write_text("2")
    assert list(first) == ["part/a.csv"] and hashed_files(logs) != first


def test_cells_with_other_inputs_are_other_cells(tmp_path):
    cells, made = Cells(tmp_path), []

    def make(path):
        with writing(path, "test") as folder:
            (folder / "x").write_text("x")
        made.append(path)
        return path

    for seed in (0, 1, 0):
        cells.get("stage", {"seed": seed}, make, lambda path: path)
    assert len(made) == 2


def test_a_constant_scorer_and_a_shortcut_get_chance_level(events):
    split = split_events(events, SplitConfig())
    report = evaluate([Constant(), FirstColumn()], events, split, settings=LOOSE)
    rows = report.frame[(report.frame["metric"] == "HR@10") & (report.frame["slice"] == "all")]
    sampled = rows[rows["candidates"] == "1+99"].set_index(["task", "model"])["value"]
    for task in ("search", "recommend"):
        assert sampled[task, "constant"] == pytest.approx(0.1, abs=1e-9)
        assert sampled[task, "first column"] == pytest.approx(0.1, abs=0.06)


def test_every_model_is_held_against_the_strongest_simple_answer(events):
    split = split_events(events, SplitConfig())
    report = evaluate([Constant(), FirstColumn()], events, split, settings=LOOSE)
    simple = set(report.frame["model"]) - {"constant", "first column"}
    assert {"popularity", "ItemKNN", "EASE", "p(item | term)", "BM25"} <= simple
    rows = report.verdicts
    assert len(rows) == 2 * len(report.protocols) * 2
    assert set(rows["model"]) == {"constant", "first column"}
    whole = report.frame[(report.frame["slice"] == "all") & (report.frame["metric"] == "NDCG@10")]
    for row in rows.itertuples():
        own = whole[(whole["task"] == row.task) & (whole["candidates"] == row.candidates)]
        best = own[own["model"].isin(simple)]["value"].max()
        assert row.baseline in simple and row.baseline_value == pytest.approx(best)
    assert (rows["p_holm"] >= rows["p"]).all()


def test_what_does_not_fit_is_a_note(events, monkeypatch):
    from sargraph.pipeline import judge

    monkeypatch.setattr(judge, "FAST_BYTES", 1000.0)
    report = evaluate([], events, split_events(events), settings=LOOSE)
    assert "EASE" not in set(report.frame["model"])
    assert any(note.startswith("left out: EASE on") for note in report.notes)


def test_a_model_that_was_fitted_on_another_split_is_refused(events):
    split, other = (split_events(events, SplitConfig(test_share=share)) for share in (0.1, 0.3))
    embeddings = train(build_graph(events, split), "bpr", {"dim": 4, "num_epochs": 1})
    evaluate(scorer_of(embeddings), events, split, settings=LOOSE)
    for arm in (scorer_of(embeddings), Named("again", scorer_of(embeddings))):
        with pytest.raises(BadInputError, match="fitted on another split"):
            evaluate(arm, events, other, settings=LOOSE)
    of_all = train(build_graph(events), "bpr", {"dim": 4, "num_epochs": 1})
    with pytest.raises(BadInputError, match=r"another split .*\(none, all events\)"):
        evaluate(scorer_of(of_all), events, split, settings=LOOSE)
    fit = {"model": {"dim": 4, "max_events": 5}, "fit": {"num_epochs": 1}}
    model = fit_sequence(events, split, "sasrec", config=fit)
    with pytest.raises(BadInputError, match="'sasrec' was fitted on another split"):
        evaluate([], events, other, settings=LOOSE, search_models=[model])
    with pytest.raises(BadInputError, match="'bpr' was fitted on another split"):
        fit_sequence(events, split, "sasrec", of_all, fit)
    earlier = init_embeddings(events, split, "bpr", {"dim": 4, "num_epochs": 1}).embeddings
    evaluate(scorer_of(earlier), events, split, settings=LOOSE)


def test_derived_queries_are_also_ranked_within_their_ties(events):
    split = split_events(events, SplitConfig())
    derived = replace(events, query_kind="derived")
    frame = evaluate([], derived, split, settings=LOOSE).frame
    assert set(frame[frame["candidates"] == "within tie"]["task"]) == {"search"}
    assert "within tie" not in set(evaluate([], events, split, settings=LOOSE).frame["candidates"])


def test_a_split_that_holds_nothing_out_is_named(events):
    split = split_events(events, SplitConfig(test_share=0.0, valid_share=0.1))
    nothing = replace(split, part=np.where(split.part == TEST, VALID, split.part).astype(np.int8))
    with pytest.raises(BadInputError, match="without test requests"):
        evaluate(Constant(), events, nothing, settings=LOOSE)


def test_without_a_validation_request_there_is_no_validator(events):
    split = split_events(events, SplitConfig())
    nothing = replace(split, part=np.where(split.part == VALID, TRAIN, split.part).astype(np.int8))
    assert validator(events, nothing, LOOSE, seed=0) is None
    assert validator(events, split, LOOSE, seed=0) is not None


def test_search_models_are_judged_on_search_alone(events):
    split = split_events(events, SplitConfig())
    report = evaluate([], events, split, settings=LOOSE, search_models=[Constant()])
    assert set(report.frame[report.frame["model"] == "constant"]["task"]) == {"search"}


def test_remembered_answers_are_those_of_the_scorer(events):
    from sargraph.evaluation.baselines import Popularity
    from sargraph.evaluation.evaluate import evaluate_scorer
    from sargraph.evaluation.positives import known_positives, seen_items
    from sargraph.events.split import TEST, requests_for

    split = split_events(events, SplitConfig())
    popularity = Popularity(events, split.is_train)
    asked = requests_for(events, split, TEST, "recommend")
    about = {"known": known_positives(events), "seen": seen_items(events, split.is_train)}
    arms = (popularity, Remembered(popularity))
    for protocol in protocols(LOOSE, seed=0):
        plain, kept = (
            evaluate_scorer(arm, asked, len(events.items), protocol=protocol, **about)
            for arm in arms
        )
        assert plain.summary() == kept.summary()


def test_the_validator_prefers_popularity_to_its_opposite(events):
    from sargraph.evaluation.baselines import Popularity

    split = split_events(events, SplitConfig(valid_share=0.3))
    judge = validator(events, split, LOOSE, seed=0)
    popularity = Popularity(events, np.ones(len(events), bool))

    class Opposite(Constant):
        def score(self, requests, candidates):
            return -popularity.score(requests, candidates)

    assert judge(popularity) > judge(Constant()) > judge(Opposite())


def test_expected_figures_stand_or_are_named(events, tmp_path):
    split = split_events(events, SplitConfig())
    report = evaluate([Constant()], events, split, settings=LOOSE)
    path = tmp_path / "expected.toml"
    figure = """
    [[figures]]
    task = "search"
    model = "{}"
    candidates = "1+99"
    metric = "HR@10"
    value = {}
    tolerance = 0.01
    """
    path.write_text('events = "x"\nseeds = [0]\n' + figure.format("constant", 0.1))
    lines = compare_expected(path, report)
    assert "not those" in lines[0] and "all 1 expected figures stand" in lines[1]
    path.write_text('events = "x"\nseeds = [0]\n' + figure.format("constant", 0.2)
                    + figure.format("gone", 0.2))  # fmt: skip
    assert compare_expected(path, report, [0, 1])[0].startswith("got seeds [0, 1], the expected")
    lines = compare_expected(path, report)
    assert lines[1].startswith("moved: search, constant") and lines[2].startswith("missing:")


def test_a_missing_source_says_where_it_was_sought(tmp_path, monkeypatch):
    monkeypatch.setenv("SARGRAPH_DATA", str(tmp_path / "data"))
    with pytest.raises(BadInputError, match="no folder 'lastfm'"):
        find_source("lastfm", tmp_path)
    (tmp_path / "data" / "lastfm").mkdir(parents=True)
    assert find_source("lastfm", tmp_path) == tmp_path / "data" / "lastfm"


def test_a_run_file_with_an_unknown_key_names_the_nearest(tmp_path):
    (tmp_path / "run.toml").write_text('name = "x"\n[ingest]\nrecipe = "a"\n[evaluat]\n')
    with pytest.raises(ConfigError, match="unknown key 'evaluat'; did you mean 'evaluate'"):
        read_run(tmp_path / "run.toml")
