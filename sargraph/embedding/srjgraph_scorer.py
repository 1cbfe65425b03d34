"""SRJGraph as a scorer: final vectors and two small networks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sargraph.core.scorer import Requests
from sargraph.core.types import FloatArray, IntArray
from sargraph.embedding.srjgraph_network import SRJGraphHeads
from sargraph.embedding.vector_scorer import check_rows
from sargraph.nn.score import TripleScore

SCORED_AT_ONCE = 16384
"""Candidates whose scores are computed together."""


class SRJGraphScorer:
    """Ranks with SRJGraph: search by its network with the query, recommendation by the other.

    `as_of` is not read: the vectors do not move in time. Users, items and queries are projected
    once per source; after that a candidate costs about 1.5 dim² multiply-adds, in chunks.
    Memory: 3 dim numbers per user and item.
    """

    name = "srjgraph"

    def __init__(
        self,
        heads: SRJGraphHeads,
        tables: Mapping[str, FloatArray],
        parents: Mapping[str, str] | None = None,
    ) -> None:
        self.parents = dict(parents or {})
        self._query = torch.tensor(tables["query"])
        users, items = torch.tensor(tables["user"]), torch.tensor(tables["item"])
        self._sizes = len(users), len(items)
        with torch.no_grad():
            self._special = heads.special.clone()
            self._parts = {
                search: _Projected(network, users, items)
                for search, network in ((True, heads.search_score), (False, heads.recommend_score))
            }

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Logits of `candidates` [n, c], float32 [n, c]; -inf where a candidate is -1.

        Raises BadInputError for rows of users, queries or items that these embeddings do not have.
        """
        check_rows("user", requests.user, self._sizes[0])
        check_rows("query", requests.query, len(self._query), lowest=-1)
        check_rows("candidate", candidates, self._sizes[1], lowest=-1)
        scores = torch.empty(candidates.shape)
        items = torch.from_numpy(np.maximum(candidates, 0))
        user, query = torch.from_numpy(requests.user), torch.from_numpy(requests.query)
        step = max(1, SCORED_AT_ONCE // max(1, candidates.shape[1]))
        with torch.no_grad():
            for search, part in self._parts.items():
                of_kind = torch.from_numpy(np.flatnonzero(requests.is_search == search))
                for rows in of_kind.split(step) if len(of_kind) else ():
                    asked = self._query[query[rows]] if search else self._special
                    scores[rows] = part.scores(user[rows], asked, items[rows])
        return np.where(candidates >= 0, scores.numpy(), np.float32(-np.inf))


class _Projected:
    """One network with what its first layer makes of all users and items."""

    def __init__(self, network: TripleScore, users: Tensor, items: Tensor) -> None:
        self._network = network
        self._user = network.project_user(users, torch.arange(len(users)))
        self._item = network.project_item(items, torch.arange(len(items)))

    def scores(
        self,
        user: Int[Tensor, " n"],
        asked: Float[Tensor, "#n dim"],
        items: Int[Tensor, "n candidates"],
    ) -> Float[Tensor, "n candidates"]:
        hidden = self._user[user] + self._network.project_query(asked)
        hidden = hidden.unsqueeze(1) + self._item[items]
        return self._network.finish(hidden.flatten(0, 1)).view(items.shape)
