"""The settings of a nearest index."""

from __future__ import annotations

from pydantic import Field

from sargraph.core.config import Config


class NearestConfig(Config):
    """How nearest vectors are sought, and how the recall is measured."""

    num_links: int = Field(default=32, ge=2, le=1024)
    """hnsw: links of a vector to others in each layer of the small-world graph."""
    build_width: int = Field(default=200, ge=1)
    """hnsw: candidates kept while a vector is linked."""
    search_width: int = Field(default=128, ge=1)
    """hnsw: candidates kept while a probe is answered; more find more and take longer."""
    num_cells: int | None = Field(default=None, ge=1)
    """ivf: cells the vectors are clustered into; none = 4 √rows, with 39 rows in each at least."""
    num_cells_probed: int = Field(default=16, ge=1)
    """ivf: cells searched for a probe; more find more and take longer."""
    num_recall_probes: int = Field(default=200, ge=1)
    """Probes drawn to measure the recall of an approximate method."""
    num_threads: int = Field(default=1, ge=1)
    """Threads of faiss. With more than one, hnsw and ivf may be built a little differently."""
