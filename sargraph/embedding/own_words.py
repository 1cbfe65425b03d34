"""A training row of UDITSR must not read its own words in the virtual query that it trains."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor

from sargraph.embedding.uditsr import UDITSR
from sargraph.embedding.uditsr_step import TrainingBatch, UDITSRTables
from sargraph.nn.intent import IntentTables


def without_own_words(
    module: UDITSR,
    batch: TrainingBatch,
    tables: UDITSRTables,
    own_user_terms: Bool[Tensor, "batch user_length"],
    own_item_terms: Bool[Tensor, "batch item_length"],
) -> tuple[TrainingBatch, UDITSRTables]:
    """Point rows that would read their own words to copies of their user and item without them.

    The copies, appended to the tables, have the same vectors but lack the marked words among the
    user's and the item's frequent ones, so that q~ is generated from what others typed. Words whose
    count the row only raised stay, with the rank they had. Cost: 6 dim² multiply-adds per such row.
    """
    at = torch.nonzero(own_user_terms.any(1) | own_item_terms.any(1)).flatten()
    user, item = batch.user[at], batch.item[at]
    copies = module.intent.tables(
        module.user_embedding(user),
        module.item_embedding(item),
        module.term_embedding.weight,
        module.user_terms[user].masked_fill(own_user_terms[at], -1),
        module.item_terms[item].masked_fill(own_item_terms[at], -1),
    )
    new = torch.arange(len(at))
    moved = replace(
        batch,
        user=batch.user.index_put((at,), len(tables.user) + new),
        item=batch.item.index_put((at,), len(tables.item) + new),
        pair=batch.pair.index_put((at,), torch.tensor(-1)),
    )
    wider = replace(
        tables,
        user=torch.cat([tables.user, tables.user[user]]),
        item=torch.cat([tables.item, tables.item[item]]),
        intent=_join(tables.intent, copies),
    )
    return moved, wider


def _join(tables: IntentTables, more: IntentTables) -> IntentTables:
    """The rows of both, over the same words."""
    rows = ("user_key", "user_hidden", "item_hidden", "item_terms", "item_valid")
    joined = {name: torch.cat([getattr(tables, name), getattr(more, name)]) for name in rows}
    return IntentTables(words=tables.words, **joined)
