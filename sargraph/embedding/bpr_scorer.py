"""BPR as a scorer: one vector per user, one vector and one bias per item."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sargraph.core.errors import BadInputError
from sargraph.core.scorer import Requests
from sargraph.core.types import FloatArray, IntArray
from sargraph.evaluation.baselines.blocks import score_by_vectors


class BPRScorer:
    """score(u, i) = <p_u, q_i> + b_i; the bias is one more dimension whose request side is 1.

    The query and `as_of` are not read: the vectors do not move in time. Cost: O(dim) per candidate.
    """

    name = "bpr"

    def __init__(
        self,
        user: FloatArray,
        item: FloatArray,
        item_bias: FloatArray,
        parents: Mapping[str, str] | None = None,
    ) -> None:
        self.parents = dict(parents or {})
        self._user = user
        self._items = np.column_stack([item, item_bias]).astype(np.float32)

    def encode(self, requests: Requests) -> FloatArray:
        """The vector of each request's user, and 1, float32 [n, dim + 1]."""
        vectors = self._user[requests.user]
        return np.column_stack([vectors, np.ones(len(vectors), dtype=np.float32)])

    def item_vectors(self) -> FloatArray:
        """The vector and the bias of each item, float32 [items, dim + 1]."""
        return self._items

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Logits of `candidates` [n, c], float32 [n, c]; -inf where a candidate is -1.

        Raises BadInputError for rows of users or items that these embeddings do not have.
        """
        _check("user", requests.user, 0, len(self._user))
        _check("candidate", candidates, -1, len(self._items))
        return score_by_vectors(self.encode(requests), self._items, candidates)


def _check(what: str, rows: IntArray, lowest: int, size: int) -> None:
    if rows.size and (rows.min() < lowest or rows.max() >= size):
        raise BadInputError(
            f"{what} rows: got {rows.min()}..{rows.max()}, expected {lowest}..{size - 1}; "
            "ask with the vocabularies that the embeddings were trained on"
        )
