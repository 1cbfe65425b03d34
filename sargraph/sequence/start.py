"""Starting a sequence model from embeddings that were trained on the graph."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import nn

from sargraph.core.errors import BadInputError
from sargraph.core.types import NO_ROW, FloatArray
from sargraph.embedding.embeddings import Embeddings
from sargraph.events.vocabulary import Vocabulary
from sargraph.sequence.model import SequenceConfig, id_tables
from sargraph.sequence.unisar import UniSAR

InitReport = dict[str, dict[str, int]]


def with_dim_of(config: SequenceConfig, init: Embeddings | None) -> SequenceConfig:
    """The settings with `model.id_dim` taken from the embeddings, unless it was set by hand."""
    if init is None or "id_dim" in config.model.model_fields_set:
        return config
    return config.model_copy(update={"model": config.model.model_copy(update={"id_dim": init.dim})})


def start_from(
    module: UniSAR,
    vocabularies: dict[str, Vocabulary],
    init: Embeddings,
    scale: Literal["match_random", "as_is"],
) -> InitReport:
    """Overwrite rows of the user, item and term tables by vectors of the same ids.

    Rows are matched by id, never by number; a row whose id the embeddings do not know keeps its
    random start. Returns per table how many rows matched and how many are missing.
    Raises BadInputError where not one id matches, ConfigError where the widths differ.
    """
    report: InitReport = {}
    for kind, table in id_tables(module).items():
        if kind in init.tables:
            rows = vocabularies[kind].match(init.vocabularies[kind])
            known = rows != NO_ROW
            vectors = np.zeros((len(rows), init.tables[kind].shape[1]), dtype=np.float32)
            vectors[known] = init.tables[kind][rows[known]]
            if scale == "match_random":
                vectors *= _matching_scale(table, vectors[known])
            module.load_tables(**{kind: (torch.from_numpy(vectors), torch.from_numpy(known))})
            report[kind] = {"matched": int(known.sum()), "missing": int((~known).sum())}
    if not any(counts["matched"] for counts in report.values()):
        raise BadInputError("no id of the events is in the embeddings; give those of these events")
    return report


def _matching_scale(table: nn.Embedding, vectors: FloatArray) -> float:
    """What brings the mean row norm of the vectors to that of the random table."""
    given = float(np.linalg.norm(vectors, axis=1).mean()) if len(vectors) else 0.0
    return float(table.weight.detach().norm(dim=1).mean()) / given if given else 1.0
