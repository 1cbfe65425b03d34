"""The verdict over the whole space of its inputs."""

from __future__ import annotations

from itertools import product

import pytest

from sargraph.evaluation.significance import Comparison
from sargraph.evaluation.verdict import reason, verdict

NAN = float("nan")
INTERVALS = {
    "all below zero": (-0.30, -0.10),
    "below two percent": (-0.10, 0.019),
    "zero to two percent": (0.0, 0.02),
    "holds both": (-0.10, 0.15),
    "a gain under two percent": (0.005, 0.015),
    "a gain": (0.01, 0.30),
    "nothing at all": (0.0, 0.0),
    "no shares": (-0.01, NAN),
    "a gain without shares": (0.01, NAN),
    "one user": (NAN, NAN),
}
SMALL_P, LARGE_P = (0.0002, 0.0499), (0.05, 1.0)

WORDS = {
    # interval: (verdict where p < 5 %, verdict where it is not)
    "all below zero": ("refuted", "refuted"),
    "below two percent": ("refuted", "refuted"),
    "zero to two percent": ("cannot tell", "cannot tell"),
    "holds both": ("cannot tell", "cannot tell"),
    "a gain under two percent": ("shown", "refuted"),
    "a gain": ("shown", "cannot tell"),
    "nothing at all": ("refuted", "refuted"),
    "no shares": ("cannot tell", "cannot tell"),
    "a gain without shares": ("shown", "cannot tell"),
    "one user": ("cannot tell", "cannot tell"),
}
SPACE = [
    (name, p, seen) for name, p, seen in product(INTERVALS, (*SMALL_P, *LARGE_P, NAN), (0.01, 0.5))
]


@pytest.mark.parametrize(("name", "p", "seen"), SPACE)
def test_every_combination_has_its_word_whatever_could_be_seen(name, p, seen):
    expected = WORDS[name][0 if p in SMALL_P else 1]
    low, high = INTERVALS[name]
    assert verdict(low, high, p) == expected
    assert Comparison(0.0, low, high, p, seen, baseline=1.0).verdict() == expected


def test_a_baseline_counts_in_shares_of_itself():
    """An upper bound of .005 is +10 % of .05, and +1 % of .5."""
    bounds = {"difference": 0.0, "low": -0.005, "high": 0.005, "p": 0.6, "detectable": 0.007}
    assert Comparison(**bounds, baseline=0.05).verdict() == "cannot tell"
    assert Comparison(**bounds, baseline=0.5).verdict() == "refuted"
    assert Comparison(**bounds, baseline=0.0).verdict() == "cannot tell"


@pytest.mark.parametrize(
    ("low", "high", "p", "seen", "words"),
    [
        (0.01, 0.30, 0.01, 0.2, ""),
        (0.005, 0.015, 0.01, 0.01, "a gain, but surely below +2 %"),
        (-0.3, -0.1, 0.01, 0.2, "surely worse"),
        (-0.1, 0.01, 0.3, 0.08, "any gain is surely below +2 %"),
        (0.01, 0.30, 0.20, 0.2, "the lower bound is above 0, but not after Holm's correction"),
        (-0.1, 0.1, 0.9, 0.14, "too small to see +5 %"),
        (-0.01, 0.025, 0.5, 0.03, "neither 0 nor +2 % can be excluded"),
        (0.0, NAN, 1.0, NAN, "a baseline of 0 has no shares"),
        (NAN, NAN, 1.0, NAN, "one user has no interval"),
    ],
)
def test_the_reason_is_said(low, high, p, seen, words):
    assert reason(low, high, p, seen) == words
