"""The preset `kuaisar` beside the figures published for KuaiSAR."""

from __future__ import annotations

import pandas as pd
import pytest

from sargraph.events.ingest import ingest
from sargraph.events.overlap import VARIANT, overlap
from sargraph.events.simulate import SimulateConfig, simulate
from sargraph.events.simulation.published import compare_with_published, mean_distance

MEAN_POINTS = 6.0
"""Mean distance of the twelve overlaps that the preset keeps."""


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("kuaisar")
    simulate(folder / "logs", SimulateConfig.preset("kuaisar", num_users=1500), seed=11)
    events = ingest("synthetic", folder / "logs")
    compared = compare_with_published(events)
    variants = overlap(events)
    share = variants[variants["published"].notna()].groupby(VARIANT).apply(distance)
    assert mean_distance(compared) == pytest.approx(share.min())  # no variant is nearer
    return compared.set_index("figure")


def distance(lines: pd.DataFrame) -> float:
    return float(100 * (lines["share"] - lines["published"]).abs().mean())


def test_click_rates_are_within_three_points(frame: pd.DataFrame) -> None:
    rates = frame[frame.index.str.startswith("click rate")]
    assert len(rates) == 2 and (rates["points"].abs() <= 3).all()
    assert rates["published"].tolist() == [0.11, 0.50]


def test_overlaps_have_the_published_shape(frame: pd.DataFrame) -> None:
    kinds = ("search after recommendation", "recommendation after search")
    for kind in kinds:
        first, second = (
            [frame.loc[f"{kind}, level {level}, {days} d", "measured"] for days in (1, 3, 14)]
            for level in (1, 2)
        )
        assert first == sorted(first) and second == sorted(second)
        assert all(b <= a for a, b in zip(first, second, strict=True))
    overlaps = frame[~frame.index.str.startswith("click rate")]
    assert len(overlaps) == 12 and overlaps["variant"].nunique() == 1
    assert overlaps["points"].abs().mean() < MEAN_POINTS
    # The order of the twelve is roughly the published one.
    ranks = overlaps[["measured", "published"]].rank()
    assert ranks["measured"].corr(ranks["published"]) > 0.8
