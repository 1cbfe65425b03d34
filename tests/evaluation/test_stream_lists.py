"""Lists of any kind ranked in chunks, against one matrix."""

from __future__ import annotations

import numpy as np
import pytest

from sargraph.core.ragged import Ragged
from sargraph.evaluation.stream_lists import rank_lists

NAMES = ("better", "tied", "count", "num_nan")


class Hashed:
    """Scores of few values, from the user and the item."""

    name = "hashed"

    def __init__(self):
        self.cells = []

    def score(self, requests, candidates):
        self.cells.append(candidates.size)
        scores = ((candidates * 7 + requests.user[:, None] * 3) % 5).astype(np.float32)
        return np.where(candidates < 0, -np.inf, scores)


@pytest.fixture(scope="module")
def lists():
    rng = np.random.default_rng(0)
    return [
        rng.choice(90, size=1 + rng.integers(0, 3 if row % 9 else 40), replace=False).tolist()
        for row in range(200)
    ]


@pytest.mark.parametrize("max_cells", [1, 50, 1000, 1 << 20])
@pytest.mark.parametrize("padded", [False, True])
def test_ranks_equal_a_loop(make_requests, lists, max_cells, padded):
    requests = make_requests(np.arange(200) % 20, [row[0] for row in lists])
    candidates = Ragged.from_lists(lists)
    model = Hashed()
    ranks = rank_lists(
        model, requests, candidates.to_padded(45) if padded else candidates, seed=0,
        max_cells=max_cells,
    )  # fmt: skip
    for r, row in enumerate(lists):
        score = [(item * 7 + requests.user[r] * 3) % 5 for item in row]
        assert ranks.better[r] == sum(other > score[0] for other in score[1:])
        assert ranks.tied[r] == sum(other == score[0] for other in score[1:])
        assert ranks.count[r] == len(row)
    widest = 45 if padded else max(map(len, lists))
    assert max(model.cells) <= max(max_cells, widest)


def test_long_lists_do_not_widen_the_others(make_requests, lists):
    model = Hashed()
    requests = make_requests([0] * 200, [row[0] for row in lists])
    rank_lists(model, requests, Ragged.from_lists(lists), seed=0, max_cells=60)
    assert sum(model.cells) < 0.5 * 200 * max(map(len, lists))


def test_no_lists(make_requests):
    for none in (Ragged.from_lists([]), np.empty((0, 3), np.int64)):
        assert len(rank_lists(Hashed(), make_requests([], []), none, seed=0, max_cells=9)) == 0
