"""What goes into a training step of UDITSR and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor

from sargraph.nn.edges import TranslationEdges
from sargraph.nn.intent import IntentTables


@dataclass(frozen=True)
class UDITSRTables:
    """What one propagation leaves behind: all that scores and losses read."""

    user: Float[Tensor, "users dim"]
    """Final user vectors: inherent intent after translation."""
    item: Float[Tensor, "items dim"]
    """Final item vectors."""
    demand: Float[Tensor, "pairs dim"]
    """Virtual query of each unique recommendation pair of the edges."""
    intent: IntentTables
    """Parts of the intent generator, for the pairs that are not edges."""
    layers: list[tuple[Tensor, Tensor]]
    """(user, item) tables of every layer, raw embeddings first."""


@dataclass(frozen=True)
class TrainingBatch:
    """Positive rows, each with one negative item."""

    user: Int[Tensor, " batch"]
    item: Int[Tensor, " batch"]
    negative: Int[Tensor, " batch"]
    is_search: Bool[Tensor, " batch"]
    query_terms: Int[Tensor, "batch length"]
    """Term rows of the query; read on search rows only."""
    pair: Int[Tensor, " batch"]
    """Row of (user, item) among the edges' unique pairs, or -1: then q~ is computed anew."""

    @classmethod
    def of_edges(
        cls, edges: TranslationEdges, rows: Int[Tensor, " batch"], negative: Int[Tensor, " batch"]
    ) -> TrainingBatch:
        """The batch whose positives are the given edges."""
        return cls(
            user=edges.user[rows],
            item=edges.item[rows],
            negative=negative,
            is_search=edges.is_search[rows],
            query_terms=edges.query_terms[rows],
            pair=edges.pair[rows],
        )


@dataclass(frozen=True)
class UDITSRLosses:
    """The weighted losses of one batch and their sum."""

    bpr: Float[Tensor, ""]
    supervised: Float[Tensor, ""]
    translation: Float[Tensor, ""]
    total: Float[Tensor, ""]
