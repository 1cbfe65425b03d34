"""Where demand switches with the season, only a virtual query at a time can tell what is wanted."""

from __future__ import annotations

import numpy as np
import pytest

from sargraph.core.rng import make_rng
from sargraph.embedding.train import train
from sargraph.embedding.virtual_terms import named_terms
from sargraph.testing.planted_seasons import SIZES, moment, two_seasons

SETTINGS = {"dim": 8, "num_epochs": 12, "batch_size": 64, "learning_rate": 0.02}


def share_of_wanted(kind: str, switch: bool) -> float:
    """How often the first word of q~ is of the season, in a year that training has not seen."""
    graph = two_seasons(switch=switch)
    embeddings = train(graph, "uditsr", {**SETTINGS, "virtual_query": kind}, seed=0)
    rng = make_rng(1, "asked")
    user, item = rng.integers(0, SIZES["user"], 400), rng.integers(0, SIZES["item"], 400)
    season = np.arange(400) % 2
    time = moment(season, np.full(400, 2), rng)
    named = named_terms(embeddings, user, item, time, k=1)[:, 0]
    return float((named % 2 == season).mean())


@pytest.mark.parametrize(
    ("kind", "switch", "least", "most"),
    [("timed", True, 0.9, 1.0), ("generated", True, 0.4, 0.6), ("timed", False, 0.4, 0.6)],
    ids=["timed", "static", "null_world"],
)
def test_planted_season_is_recovered_only_at_a_time(
    kind: str, switch: bool, least: float, most: float
) -> None:
    assert least <= share_of_wanted(kind, switch) <= most
