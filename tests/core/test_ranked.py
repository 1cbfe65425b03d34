"""Top-k against a full sort, ties by column, -inf never returned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sargraph.core.ranked import Ranked, top_k

scores = arrays(
    np.float32, st.tuples(st.integers(1, 4), st.integers(1, 9)),
    elements=st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0]),
)  # fmt: skip


@given(scores, st.integers(1, 12))
def test_top_k_equals_a_full_sort(matrix, k):
    found = top_k(matrix, k)
    for probe, row in enumerate(matrix):
        order = sorted((c for c in range(len(row)) if row[c] > -np.inf), key=lambda c: (-row[c], c))
        assert [r for r, _ in found.valid(probe)] == order[:k]
        assert found.rows.shape == (len(matrix), k)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        top_k(np.zeros((1, 2), np.float32), 0)
    with pytest.raises(ValueError, match="one matrix"):
        Ranked(np.zeros((1, 2), np.int64), np.zeros((1, 3), np.float32))
