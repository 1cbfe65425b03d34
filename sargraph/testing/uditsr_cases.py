"""A small random UDITSR with its edges, a batch, and the oracle of the same weights."""

from __future__ import annotations

import torch
from torch import Tensor

from sargraph.embedding.uditsr import UDITSR, TrainingBatch, UDITSRConfig
from sargraph.nn.edges import TranslationEdges
from sargraph.testing.uditsr_oracle import Edge, UDITSROracle

USERS, ITEMS, TERMS, EDGES = 5, 6, 9, 24


class World:
    """A small random model in float64, its edges, a batch, and the oracle of the same weights."""

    def __init__(self, parity: bool, seed: int = 0) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        low = 0 if parity else -1
        user_terms, item_terms = self.rows(low, TERMS, USERS, 3), self.rows(low, TERMS, ITEMS, 4)
        user_terms[-1], item_terms[-1] = low, low  # nothing is known of the last ones
        config = UDITSRConfig(dim=5, parity=parity, seed=seed)
        self.model = UDITSR(USERS, ITEMS, TERMS, config, user_terms, item_terms).double()
        for parameter in self.model.parameters():
            parameter.data.mul_(2)  # far from linear
        terms = self.rows(low, TERMS, EDGES, 3)
        terms[:2] = low
        self.edges = TranslationEdges.build(
            self.rows(0, USERS - 1, EDGES),
            self.rows(0, ITEMS - 1, EDGES),
            torch.arange(EDGES) % 2 == 0,
            terms,
            (USERS, ITEMS, TERMS),
        )
        self.oracle = UDITSROracle(
            weights=dict(self.model.named_parameters()),
            user_terms=user_terms.tolist(),
            item_terms=item_terms.tolist(),
            num_layers=2,
            parity=parity,
            naming_weight=config.naming_weight,
        )

    def rows(self, low: int, high: int, *shape: int) -> Tensor:
        """Random rows in `[low, high)`."""
        return torch.randint(low, high, shape, generator=self.generator)

    def batch(self, num_rows: int = 7) -> TrainingBatch:
        """A random training batch of existing edges."""
        return TrainingBatch.of_edges(
            self.edges, self.rows(0, EDGES, num_rows), self.rows(0, ITEMS, num_rows)
        )

    def edge_list(self, keep: Tensor | None = None) -> list[Edge]:
        """The kept edges as plain tuples for the oracle."""
        e = self.edges
        chosen = range(EDGES) if keep is None else torch.nonzero(keep).flatten().tolist()
        return [
            (int(e.user[n]), int(e.item[n]), bool(e.is_search[n]), e.query_terms[n].tolist())
            for n in chosen
        ]


def as_rows(batch: TrainingBatch) -> list[Edge]:
    """The rows of a batch as plain tuples for the oracle."""
    columns = (batch.user, batch.item, batch.is_search, batch.query_terms)
    return list(zip(*(column.tolist() for column in columns), strict=True))
