"""Embeddings asked in the rows of events whose vocabularies are ordered otherwise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sargraph.core.errors import BadInputError
from sargraph.core.scorer import Requests, Scorer, VectorScorer
from sargraph.core.types import NO_ROW, FloatArray, IntArray
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.scorer import scorer_of
from sargraph.events.events import Events

_ASKED = ("user", "item", "query")


class MatchedScorer:
    """score(r, i) of rows of events as the inner scorer's score of the rows with the same ids.

    `row_of` int64 [ids of the events] per kind. Cost: a lookup per request and candidate.
    """

    def __init__(
        self, inner: Scorer, row_of: Mapping[str, IntArray], parents: Mapping[str, str]
    ) -> None:
        self.name = inner.name
        self.parents = dict(parents)
        self._inner = inner
        self._row_of = {kind: np.append(rows, NO_ROW) for kind, rows in row_of.items()}

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Logits of `candidates` [n, c], float32 [n, c]; -inf where a candidate is -1.

        Raises BadInputError for rows that the events do not have.
        """
        _check("candidate", candidates, self._row_of["item"])
        return self._inner.score(self._matched(requests), self._row_of["item"][candidates])

    def _matched(self, requests: Requests) -> Requests:
        """The same requests in rows of the embeddings."""
        user, item, query = (self._row_of[kind] for kind in _ASKED)
        for name, rows, known in (("user", requests.user, user), ("query", requests.query, query)):
            _check(name, rows, known)
        # A target is no input of a score; only what the inner scorer may leave out is told by it.
        target = np.where(requests.target < len(item) - 1, requests.target, NO_ROW)
        return Requests(
            user[requests.user], query[requests.query], requests.as_of, item[target], requests.event
        )


class MatchedVectorScorer(MatchedScorer):
    """The same for embeddings whose scores are products of vectors."""

    def __init__(
        self, inner: VectorScorer, row_of: Mapping[str, IntArray], parents: Mapping[str, str]
    ) -> None:
        super().__init__(inner, row_of, parents)
        self._vectors = inner

    def encode(self, requests: Requests) -> FloatArray:
        """One vector per request, float32 [n, dim]."""
        return self._vectors.encode(self._matched(requests))

    def item_vectors(self) -> FloatArray:
        """One vector per item of the events, float32 [items, dim]."""
        return self._vectors.item_vectors()[self._row_of["item"][:-1]]


def scorer_for(embeddings: Embeddings, events: Events) -> Scorer:
    """The scorer of embeddings, asked in the rows of `events`, matched by id.

    Raises BadInputError where a user, an item or a query of the events has no row, ConfigError for
    an unknown model. Cost: one lookup per id.
    """
    scorer, row_of = scorer_of(embeddings), {}
    for kind in _ASKED:
        own = events.vocabularies[kind]
        row_of[kind] = own.match(embeddings.vocabularies[kind])
        unknown = np.flatnonzero(row_of[kind] == NO_ROW)
        if len(unknown):
            raise BadInputError(
                f"{len(unknown)} of the {len(own)} {kind} ids of '{events.name}' are not known to "
                f"these embeddings, as '{own.ids[unknown[0]]}'; place them with embed_new or "
                "`sargraph embed-new`"
            )
    if all(np.array_equal(rows, np.arange(len(rows))) for rows in row_of.values()):
        return scorer
    if isinstance(scorer, VectorScorer):
        return MatchedVectorScorer(scorer, row_of, embeddings.parents)
    return MatchedScorer(scorer, row_of, embeddings.parents)


def _check(what: str, rows: IntArray, known: IntArray) -> None:
    size = len(known) - 1
    if rows.size and (rows.min() < NO_ROW or rows.max() >= size):
        raise BadInputError(
            f"{what} rows: got {rows.min()}..{rows.max()}, expected {NO_ROW}..{size - 1}; ask in "
            "the rows of the events that the scorer was made for"
        )
