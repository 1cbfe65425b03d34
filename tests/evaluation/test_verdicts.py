"""Verdicts of several reports are corrected as one family."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sargraph.evaluation.summary import frame_of
from sargraph.evaluation.verdicts import VERDICT_COLUMNS, correct_together


def row(p, low=0.01, high=0.2, baseline=1.0, word="shown"):
    texts = {"task": "search", "candidates": "1+99", "model": "m", "baseline": "b", "metric": "HR"}
    figures = {"baseline_value": baseline, "difference": (low + high) / 2, "low": low, "high": high,
               "p": p, "p_holm": p, "detectable": 0.1, "verdict": word, "reason": ""}  # fmt: skip
    return texts | figures | {"seeds": 5, "baseline_seeds": 5}


def frame(*rows):
    return frame_of(rows, VERDICT_COLUMNS)


def few():
    nothing = dict.fromkeys(("baseline_value", "difference", "low", "high", "detectable"), np.nan)
    return row(np.nan, word="too few") | nothing


def test_the_family_is_all_cells_of_all_reports():
    first, second, third = correct_together(
        [frame(row(0.01), row(0.04)), frame(row(0.03)), frame(row(0.005))]
    )
    assert first["p_holm"].tolist() == pytest.approx([0.03, 0.06])
    assert second["p_holm"].tolist() == pytest.approx([0.06])
    assert third["p_holm"].tolist() == pytest.approx([0.02])
    assert first["verdict"].tolist() == ["shown", "cannot tell"]
    assert "Holm" in first["reason"].iloc[1]
    assert second["verdict"].tolist() == ["cannot tell"]


def test_correcting_again_or_alone_takes_no_memory_of_before():
    alone = correct_together([frame(row(0.03))])[0]
    together = correct_together([frame(row(0.03)), frame(row(0.03))])[0]
    assert alone["verdict"].tolist() == ["shown"]
    assert together["verdict"].tolist() == ["cannot tell"]
    pd.testing.assert_frame_equal(correct_together([together])[0], alone)


def test_cells_with_too_few_requests_are_no_tests():
    found = correct_together([frame(row(0.04), few()), frame(few())])
    assert found[0]["verdict"].tolist() == ["shown", "too few"]
    assert found[0]["p_holm"].iloc[0] == 0.04
    assert np.isnan(found[1]["p_holm"]).all()


def test_the_words_follow_from_shares_of_the_baseline():
    found = correct_together(
        [frame(row(0.5, -0.1, 0.01), row(0.5, -0.1, 0.01, baseline=0.1), row(0.5, 0, 0, 0.0))]
    )[0]
    assert found["verdict"].tolist() == ["refuted", "cannot tell", "cannot tell"]
    assert "baseline of 0" in found["reason"].iloc[2]


def test_nothing_to_correct():
    assert correct_together([]) == []
    empty = correct_together([frame()])[0]
    assert empty.empty
    assert list(empty) == list(VERDICT_COLUMNS)
