"""Embeddings made of given tables, without a training; the nearest rows by plain loops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sargraph.core.ragged import Ragged
from sargraph.core.types import FloatArray
from sargraph.embedding.embeddings import KINDS, Embeddings
from sargraph.events.vocabulary import Vocabulary


def embeddings_of(
    tables: Mapping[str, FloatArray], vocabularies: Mapping[str, Vocabulary] | None = None
) -> Embeddings:
    """Embeddings with these tables; ids are `item0`, .. where no vocabulary is given."""
    given = vocabularies or {}
    return Embeddings(
        tables=dict(tables),
        vocabularies={
            kind: given.get(kind) or _numbered(kind, len(tables[kind]) if kind in tables else 0)
            for kind in (*KINDS, *tables)
        },
        query_terms=Ragged.from_lists([]),
        model="uditsr",
        config={},
        seed=0,
    )


def naive_nearest(
    vectors: FloatArray, probe: Sequence[float], k: int, excluded: int = -1
) -> list[tuple[int, float]]:
    """(row, cosine) of the k nearest rows in double precision, ties (to 1e-7) in row order."""
    found = []
    for row, vector in enumerate(vectors.tolist()):
        product = sum(a * b for a, b in zip(vector, probe, strict=True))
        lengths = (sum(a * a for a in vector) * sum(b * b for b in probe)) ** 0.5
        if row != excluded:
            found.append((row, product / lengths if lengths else 0.0))
    return sorted(found, key=lambda pair: (-round(pair[1], 7), pair[0]))[:k]


def random_tables(seed: int, dim: int = 8, **sizes: int) -> dict[str, FloatArray]:
    """Normal vectors of each kind."""
    rng = np.random.default_rng(seed)
    return {kind: rng.normal(size=(n, dim)).astype(np.float32) for kind, n in sizes.items()}


def _numbered(kind: str, size: int) -> Vocabulary:
    return Vocabulary(
        [f"{kind}{row}" for row in range(size)], [f"{kind} no {row}" for row in range(size)]
    )
