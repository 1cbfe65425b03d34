"""Steps of UDITSR between two propagations: what neighbours bring stays, raw vectors move."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sargraph.embedding.uditsr import UDITSR
from sargraph.embedding.uditsr_step import StepRows, UDITSRTables

MIN_BATCHES = 4
"""Windows per pass at the least: what a window predicts carries no messages in it."""


@dataclass(frozen=True)
class WindowBatch:
    """A batch, and all edges that are predicted until the next propagation if it begins there."""

    rows: Tensor
    negative: Tensor
    window: Tensor | None


def windows(rows: Tensor, negative: Tensor, batch_size: int, length: int) -> Iterator[WindowBatch]:
    """Cut a pass into windows of at most `length` batches, and those into batches of like size.

    There are at least MIN_BATCHES windows: what a window predicts carries no messages in it.
    """
    num_batches = max(len(rows) // batch_size, min(MIN_BATCHES, len(rows)))
    num_windows = max(-(-num_batches // length), min(MIN_BATCHES, len(rows)))
    for row, other in zip(
        rows.tensor_split(num_windows), negative.tensor_split(num_windows), strict=True
    ):
        parts = max(1, round(num_batches / num_windows))
        for place, (here, there) in enumerate(
            zip(row.tensor_split(parts), other.tensor_split(parts), strict=True)
        ):
            yield WindowBatch(here, there, row if place == 0 else None)


class StaleTables:
    """e* = w_0 e + S: S = Σ_{l>0} w_l h_l of the last propagation, without a gradient.

    Source: historical embeddings as in VR-GCN (ICML 2018) and GAS (ICML 2021), refreshed all at
    once. Cost between two propagations: O(batch), whatever the number of edges.
    """

    def __init__(self) -> None:
        self._user = self._item = torch.empty(0)

    def keep(self, module: UDITSR, tables: UDITSRTables) -> None:
        """Remember what a propagation brought beyond the raw vectors."""
        own = module.layer_weights()[0]
        with torch.no_grad():
            self._user = tables.user - own * module.user_embedding.weight
            self._item = tables.item - own * module.item_embedding.weight

    def of(self, module: UDITSR, rows: StepRows) -> tuple[Tensor, Tensor]:
        """Vectors of the step's users and items."""
        own = module.layer_weights()[0]
        user = own * module.user_embedding(rows.users) + self._user[rows.users]
        item = own * module.item_embedding(rows.items) + self._item[rows.items]
        return user, item
