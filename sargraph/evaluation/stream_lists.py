"""Candidate lists ranked chunk by chunk: one path for lists that were drawn, given, or shown."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sargraph.core.progress import progress
from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Requests, Scorer
from sargraph.core.types import NO_ROW, IntArray
from sargraph.evaluation.candidates import shuffled
from sargraph.evaluation.ranks import Ranks, rank_target
from sargraph.evaluation.stream import scores_of


def rank_lists(
    scorer: Scorer,
    requests: Requests,
    candidates: IntArray | Ragged,
    *,
    seed: int,
    max_cells: int,
) -> Ranks:
    """Rank each target among its candidates: int64 [n, c] with -1 as padding, or ragged lists.

    The scorer sees each list in a random order, at most `max_cells` cells at once (or one list).
    Raises BadInputError for scores of another shape or kind. Cost: the scorer's, and O(cells).
    """
    mixed = shuffled(candidates, seed)
    parts = []
    for rows in progress(list(_chunks(mixed, max_cells)), f"evaluating {scorer.name}"):
        chunk = requests.take(rows)
        columns = _padded(mixed, rows)
        place = np.argmax(columns == chunk.target[:, None], axis=1)
        scores = scores_of(scorer, chunk, columns)
        parts.append(rank_target(scores, place, columns != NO_ROW))
    return Ranks.concat(parts)


def _chunks(candidates: IntArray | Ragged, max_cells: int) -> Iterator[IntArray]:
    """Consecutive rows, as many as fit when all are as wide as the longest of them."""
    if not isinstance(candidates, Ragged):
        height = max(1, max_cells // candidates.shape[1])
        for start in range(0, len(candidates), height):
            yield np.arange(start, min(start + height, len(candidates)))
        return
    start, widest = 0, 1
    for row, length in enumerate(candidates.lengths.tolist()):
        widest = max(widest, length)
        if row > start and (row + 1 - start) * widest > max_cells:
            yield np.arange(start, row)
            start, widest = row, length
    if start < len(candidates):
        yield np.arange(start, len(candidates))


def _padded(candidates: IntArray | Ragged, rows: IntArray) -> IntArray:
    if not isinstance(candidates, Ragged):
        return candidates[rows]
    taken = candidates.take(rows)
    return taken.to_padded(int(taken.lengths.max(initial=1)))
