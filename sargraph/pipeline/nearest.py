"""The nearest ids of one id, from saved embeddings, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sargraph.core.config import apply_overrides
from sargraph.embedding.embeddings import Embeddings


def nearest_from(
    embeddings: Path,
    kind: str,
    id_: str,
    k: int = 10,
    target: str | None = None,
    method: str = "flat",
    seed: int = 0,
    settings: Sequence[str] = (),
) -> tuple[str, pd.DataFrame]:
    """A title and one line per neighbour: id, name, cosine, and for approximate methods the recall.

    `method` is flat (exact), hnsw or ivf, `settings` are overrides of `NearestConfig`. Raises
    ArtifactError, BadInputError for an unknown kind, k < 1 or an empty table, UnknownIdError for an
    unknown id, ConfigError for an unknown method or setting.
    """
    index = Embeddings.load(embeddings).nearest_index(
        kind, method, apply_overrides({}, settings), target=target, seed=seed
    )
    answer = index.search([id_], k)
    frame = pd.DataFrame(answer.named(0), columns=["id", "name", "cosine"])
    title = f"{target or kind} vectors nearest to the {kind} {id_}"
    if index.proposer is None:
        return f"{title}: exact", frame
    frame["recall"] = answer.recall
    return f"{title}: {method}, recall@{k} {answer.recall:.3f}", frame
