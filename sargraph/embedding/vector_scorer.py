"""Models whose answer is one product: a vector per request from tables, a vector per item."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sargraph.core.errors import BadInputError
from sargraph.core.scorer import Requests
from sargraph.core.types import FloatArray, IntArray
from sargraph.evaluation.baselines.blocks import score_by_vectors


class TableScorer:
    """score(r, i) = <x_r, y_i>, with x_r the user's vector in the source of the request.

    x_r = recommend_u without a query, search_u + query_q with one. `recommend` and `search`
    [users, width], `query` [queries, width], `items` [items, width]; without `search` users have
    the same vector in both sources, without `query` no query is read. `as_of` is not read: the
    vectors do not move in time. Cost: O(width) per candidate.
    """

    def __init__(
        self,
        name: str,
        recommend: FloatArray,
        items: FloatArray,
        *,
        search: FloatArray | None = None,
        query: FloatArray | None = None,
        parents: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.parents = dict(parents or {})
        self._recommend = recommend
        self._search = recommend if search is None else search
        self._query = query
        self._items = items

    def encode(self, requests: Requests) -> FloatArray:
        """One vector per request, float32 [n, width].

        Raises BadInputError for rows of users or queries that these embeddings do not have.
        """
        check_rows("user", requests.user, len(self._recommend))
        vectors = self._recommend[requests.user]
        rows = np.flatnonzero(requests.is_search)
        vectors[rows] = self._search[requests.user[rows]]
        if self._query is not None:
            check_rows("query", requests.query, len(self._query), lowest=-1)
            vectors[rows] += self._query[requests.query[rows]]
        return vectors

    def item_vectors(self) -> FloatArray:
        """The vector of each item, float32 [items, width]."""
        return self._items

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Logits of `candidates` [n, c], float32 [n, c]; -inf where a candidate is -1.

        Raises BadInputError for rows of users, queries or items that these embeddings do not have.
        """
        vectors = self.encode(requests)
        check_rows("candidate", candidates, len(self._items), lowest=-1)
        return score_by_vectors(vectors, self._items, candidates)


def check_rows(what: str, rows: IntArray, size: int, lowest: int = 0) -> None:
    """Raise BadInputError unless all rows lie in [lowest, size)."""
    if rows.size and (rows.min() < lowest or rows.max() >= size):
        raise BadInputError(
            f"{what} rows: got {rows.min()}..{rows.max()}, expected {lowest}..{size - 1}; "
            "ask with the vocabularies that the embeddings were trained on"
        )
