"""Impossible figures are refused, possible ones pass."""

from __future__ import annotations

import numpy as np
import pytest

from sargraph.core.errors import ImpossibleResultError
from sargraph.evaluation.refusal import check_possible

POSSIBLE = {"HR@1": 0.1, "HR@5": 0.3, "HR@10": 0.3, "NDCG@1": 0.1, "NDCG@5": 0.2, "NDCG@10": 0.25}


def test_possible_figures_pass():
    check_possible(POSSIBLE | {"MRR": 0.2, "AUC": 1.0, "coverage@10": 0.4, "self-information": 9.0})


@pytest.mark.parametrize(
    "change",
    [
        {"NDCG@10": 0.31},
        {"NDCG@1": 0.09},
        {"HR@5": 0.31},
        {"NDCG@5": 0.26},
        {"HR@10": 1.01},
        {"AUC": -0.1},
        {"MRR": 1.1},
    ],
)
def test_impossible_figures_are_refused(change):
    with pytest.raises(ImpossibleResultError):
        check_possible(POSSIBLE | change, "a file")


def test_one_bad_request_among_many_is_found():
    with pytest.raises(ImpossibleResultError, match="HR@5"):
        check_possible({"HR@5": np.array([0.0, 0.0]), "NDCG@5": np.array([0.0, 0.1])})


def test_too_few_is_passed_over():
    check_possible({name: float("nan") for name in POSSIBLE})
