"""The configuration of a grid: what it refuses, and how it is told from a run's."""

from __future__ import annotations

from pathlib import Path

import pytest

from sargraph.core.config import parse_config
from sargraph.core.errors import ConfigError
from sargraph.pipeline.grid.checks import check_grid
from sargraph.pipeline.grid.config import GridConfig, is_grid, read_grid

EXPERIMENTS = Path(__file__).parents[3] / "experiments"


def read(data: dict) -> GridConfig:
    config = parse_config(GridConfig, data, "grid")
    check_grid(config, "grid")
    return config


def test_a_grid_is_told_from_a_run(tiny):
    assert is_grid(tiny)
    assert not is_grid({"name": "x", "ingest": {"recipe": "lastfm"}, "train": {}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modles": {}}, "unknown key 'modles'; did you mean 'models'"),
        ({"budget": {"cell_minuts": 1}}, "did you mean 'cell_minutes'"),
        ({"protocols": [{"candidats": "full"}]}, "did you mean 'candidates'"),
        ({"protocols": []}, "protocols"),
        ({"models": {}}, "models"),
        ({"claims": {"baseline": {"search": "bm52"}}}, "there is no 'bm52'"),
        ({"claims": {"pairs": [["uditsr", "populariti", "search", "NDCG@10"]]}},
         "did you mean 'popularity'"),
        ({"claims": {"pairs": [["uditsr", "popularity", "search", "NDCG@10"]],
                     "protocol": {"search": "ful"}}}, "there is no 'ful'"),
        ({"protocols": [{"data": ["wordl"]}]}, "did you mean 'world'"),
        ({"models": {"a": {"model": "unisar", "init": "udits"}}}, "there is no 'udits'"),
        ({"models": {"a": {"model": "bm25", "label": "b"}, "b": {"model": "bm25"}},
          "claims": {}},
         "two models of 'world' are called 'b'"),
        ({"protocols": [{"seed": 1}, {"seed": 2}]}, "both judge by '1\\+99'"),
        ({"models": {"a": {"model": "bm25", "tasks": ["serach"]}}}, "serach"),
    ],
)  # fmt: skip
def test_what_leads_nowhere_is_refused_with_the_nearest_name(tiny, change, message):
    with pytest.raises(ConfigError, match=message):
        read({**tiny, **change})


def test_protocols_apply_to_their_tasks_and_data(tiny):
    tiny["data"]["other"] = {**tiny["data"]["world"], "order_known": False}
    tiny["protocols"] = [
        {"candidates": "full"}, {"candidates": "within_tie", "tasks": ["search"]},
        {"num_negatives": 9, "data": ["other"]}, {"num_negatives": 7, "what": "search"},
    ]  # fmt: skip
    config = read(tiny)

    def texts(data: str, task: str) -> list[str]:
        return [protocol.candidates_text() for protocol in config.protocols_of(data, task)]

    assert texts("world", "recommend") == ["all items"]
    assert texts("world", "search") == ["all items", "within tie", "1+7"]
    assert texts("other", "recommend") == ["all items", "1+9"]
    assert all(p.order_known for p in config.protocols_of("world", "search"))
    assert not any(p.order_known for p in config.protocols_of("other", "search"))


def test_pairs_may_be_lists_or_tables(tiny):
    pair = ["uditsr", "popularity", "recommend", "HR@10"]
    tiny["claims"] = {
        "pairs": [pair, dict(zip(("model", "baseline", "task", "metric"), pair, strict=True))]
    }
    first, second = read(tiny).claims.pairs
    assert first == second and first.metric == "HR@10"


def test_the_file_of_an_experiment_takes_overrides(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text(
        'name = "x"\n[data.a]\nrecipe = "lastfm"\n[models.p]\nmodel = "popularity"\n[[protocols]]\n'
    )
    assert read_grid(path, ("budget.max_cells=3",)).budget.max_cells == 3
    assert read_grid(path).seconds("p") == 600
    assert read_grid(path, ("models.p.anchor=true",)).seconds("p") == 3600


def test_the_baselines_experiment_is_sound():
    config = read_grid(EXPERIMENTS / "baselines" / "config.toml")
    assert config.name == "baselines" and len(config.data) == 3
