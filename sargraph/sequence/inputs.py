"""What a joint search-and-recommendation sequence model reads: histories and requests as rows.

Every number is a row; -1 stands for "nothing here". Slots hold events oldest first, padding last,
and only events from strictly before the request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from jaxtyping import Bool, Int
from torch import Tensor

from sargraph.core.errors import DataError
from sargraph.nn.neighbour_attention import NeighbourMemory

Task: TypeAlias = Literal["search", "recommend"]


@dataclass(frozen=True)
class HistoryBatch:
    """Histories of a batch of requests, recommendation and search events apart.

    `rec_rank` and `search_rank` give the place of each event in the order that merges both
    sources (0 = oldest kept event); events of one moment share a rank; padding holds any value.
    """

    user: Int[Tensor, " batch"]
    rec_item: Int[Tensor, "batch rec"]
    search_query: Int[Tensor, "batch search"]
    search_item: Int[Tensor, "batch search clicks"]
    rec_rank: Int[Tensor, "batch rec"]
    search_rank: Int[Tensor, "batch search"]

    @property
    def rec_valid(self) -> Bool[Tensor, "batch rec"]:
        """Which recommendation slots hold an event."""
        return self.rec_item >= 0

    @property
    def search_valid(self) -> Bool[Tensor, "batch search"]:
        """Which search slots hold an event."""
        return self.search_query >= 0


@dataclass(frozen=True)
class RequestBatch:
    """Requests to rank candidates for: a history, the query of a search (-1 in recommendation).

    In training column 0 of `candidates` is the positive; -1 marks a missing candidate. `memory` is
    what the neighbours of each request chose, None for a plain model.
    """

    history: HistoryBatch
    query: Int[Tensor, " batch"]
    candidates: Int[Tensor, "batch candidates"]
    memory: NeighbourMemory | None = None


def check_lengths(history: HistoryBatch, max_rec: int, max_search: int) -> None:
    """Raise DataError for histories longer than the positions a model has."""
    limits = max_rec, max_search
    slots = history.rec_item.shape[1], history.search_query.shape[1]
    for name, got, limit in zip(("recommendation", "search"), slots, limits, strict=True):
        if got > limit:
            raise DataError(
                f"got {got} {name} slots, expected at most {limit}; shorten the histories "
                f"or raise max_{'rec' if name == 'recommendation' else 'search'}"
            )
    for rank, valid in (
        (history.rec_rank, history.rec_valid),
        (history.search_rank, history.search_valid),
    ):
        latest = int(rank[valid].max()) if bool(valid.any()) else 0
        if latest >= sum(limits):
            raise DataError(
                f"got rank {latest}, expected at most {sum(limits) - 1}; count ranks from the "
                "oldest kept event"
            )
