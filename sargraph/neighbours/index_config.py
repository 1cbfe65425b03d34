"""`IndexConfig`: how users are profiled, compared and searched for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sargraph.core.config import Config
from sargraph.neighbours.profile import ProfileConfig
from sargraph.neighbours.similarity import SimilarityConfig

Measure = Literal["cosine", "jaccard", "stan", "order_aware"]
ORDERED: tuple[Measure, ...] = ("stan", "order_aware")
"""Measures that read the order of what a user chose."""


class IndexConfig(Config):
    """How users are profiled, compared and searched for."""

    profile: ProfileConfig = ProfileConfig()
    """How much an event counts in a profile."""
    similarity: SimilarityConfig = SimilarityConfig()
    """How two profiles are compared."""
    exact: bool = True
    """Read all postings; false = the heaviest of each entry only, faster with many users."""
    head_size: int | None = Field(default=None, ge=1)
    """Heaviest postings per entry that an inexact search reads; none = √users, at least 100."""
    num_rescored: int = Field(default=100, ge=1)
    """Best users of an inexact search that are scored by their whole profiles."""
    measure: Measure = "cosine"
    """What the best users by the index are put in order by."""
    num_reranked: int = Field(default=500, ge=1)
    """Best users by the index that another measure, or the categories, put in order."""
    max_events: int = Field(default=50, ge=1)
    """Latest choices of a user that a measure of order reads."""
    stan_days: float = Field(default=5.0, gt=0)
    """λ2 of STAN: days between two users' latest choices after which it falls to 1/e."""
