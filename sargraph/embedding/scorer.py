"""Embeddings as a scorer: "rank these candidates for this user now, with or without a query"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from sargraph.core.errors import BadInputError
from sargraph.core.scorer import Requests, Scorer
from sargraph.core.types import FloatArray, IntArray
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.model import embedding_model
from sargraph.embedding.query_history import QueryHistories
from sargraph.embedding.uditsr import UDITSR
from sargraph.embedding.uditsr_step import UDITSRTables


class UDITSRScorer:
    """Ranks with UDITSR.

    A search request is scored by the search network with the words of its query, a recommendation
    request by the recommendation network with the virtual query of each (user, candidate) pair.
    Users and items without training edges are scored from their raw vectors. `as_of` is read where
    virtual queries are timed: the user's training queries strictly before it, and the season; the
    vectors of users and items do not move in time. Cost per candidate: 16 dim² multiply-adds for
    recommendation, about 6 dim² for search, in chunks; memory O(requests · candidates).
    """

    name = "uditsr"

    def __init__(
        self,
        module: UDITSR,
        tables: UDITSRTables,
        query_terms: Tensor,
        parents: Mapping[str, str] | None = None,
        histories: QueryHistories | None = None,
    ) -> None:
        self.parents = dict(parents or {})
        self._histories = histories
        self._module = module
        self._tables = tables
        self._query_terms = query_terms

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Logits of `candidates` [n, c], float32 [n, c]; -inf where a candidate is -1.

        Raises BadInputError for rows of users, queries or items that these embeddings do not have.
        """
        _check("user", requests.user, len(self._tables.user), 0)
        _check("query", requests.query, len(self._query_terms), -1)
        _check("candidate", candidates, len(self._tables.item), -1)
        query = torch.from_numpy(requests.query)
        is_search = torch.from_numpy(requests.is_search)
        terms = self._query_terms[query.clamp(min=0)].masked_fill(~is_search.unsqueeze(1), -1)
        tables, context = self._tables, None
        with torch.no_grad():
            if self._histories is not None:
                rows, contexts = self._histories.contexts(requests.user, requests.as_of)
                tables = replace(tables, intent=self._module.intent_tables(contexts))
                context = torch.from_numpy(rows)
            scores = self._module.score_candidates(
                torch.from_numpy(requests.user),
                torch.from_numpy(np.maximum(candidates, 0)),
                is_search,
                terms,
                tables,
                context,
            )
        return np.where(candidates >= 0, scores.numpy(), np.float32(-np.inf))


def scorer_of(embeddings: Embeddings) -> Scorer:
    """The scorer of trained embeddings, from their weights alone. Raises ConfigError."""
    return embedding_model(embeddings.model).scorer_from(embeddings)


def _check(what: str, rows: IntArray, size: int, lowest: int) -> None:
    if rows.size and (rows.min() < lowest or rows.max() >= size):
        raise BadInputError(
            f"{what} rows: got {rows.min()}..{rows.max()}, expected {lowest}..{size - 1}; "
            "ask with the vocabularies that the embeddings were trained on"
        )
