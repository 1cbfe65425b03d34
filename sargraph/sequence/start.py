"""Starting a sequence model from embeddings that were trained on the graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import nn

from sargraph.core.errors import BadInputError, ConfigError
from sargraph.core.types import NO_ROW, FloatArray
from sargraph.embedding.embeddings import Embeddings
from sargraph.events.vocabulary import Vocabulary

InitReport = dict[str, dict[str, int]]


def start_from(
    tables: Mapping[str, nn.Embedding],
    vocabularies: Mapping[str, Vocabulary],
    init: Embeddings,
    scale: Literal["match_random", "as_is"],
) -> InitReport:
    """Overwrite rows of the given tables (by kind of node) by vectors of the same ids.

    Rows are matched by id, never by number; a row whose id the embeddings do not know keeps its
    random start. Returns per table how many rows matched and how many are missing.
    Raises BadInputError where not one id matches, ConfigError where the widths differ.
    """
    report: InitReport = {}
    for kind, table in tables.items():
        if kind in init.tables:
            rows = vocabularies[kind].match(init.vocabularies[kind])
            known = np.flatnonzero(rows != NO_ROW)
            vectors = init.tables[kind][rows[known]]
            if scale == "match_random":
                vectors = vectors * np.float32(_matching_scale(table, vectors))
            _overwrite(kind, table, known, vectors)
            report[kind] = {"matched": len(known), "missing": len(rows) - len(known)}
    if not any(counts["matched"] for counts in report.values()):
        raise BadInputError("no id of the events is in the embeddings; give those of these events")
    return report


def _overwrite(kind: str, table: nn.Embedding, rows: np.ndarray, vectors: FloatArray) -> None:
    if vectors.shape[1] != table.embedding_dim:
        raise ConfigError(
            f"got {kind} vectors of dim {vectors.shape[1]}, but the model's {kind} table has dim "
            f"{table.embedding_dim}; set the model's dim (id_dim of UniSAR) to {vectors.shape[1]}"
        )
    with torch.no_grad():
        table.weight[torch.from_numpy(rows)] = torch.from_numpy(vectors).to(table.weight)


def _matching_scale(table: nn.Embedding, vectors: FloatArray) -> float:
    """What brings the mean row norm of the vectors to that of the random table."""
    given = float(np.linalg.norm(vectors, axis=1).mean()) if len(vectors) else 0.0
    return float(table.weight.detach().norm(dim=1).mean()) / given if given else 1.0
