"""`Neighbours`: the users most like one user, each with the evidence for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from sargraph.core.types import DoubleArray, IntArray
from sargraph.events.vocabulary import Vocabulary


@dataclass(frozen=True)
class Shared:
    """An item or a term that two users share.

    `contribution` is its part of the cosine; `share` the same as a fraction of the whole.
    """

    id: str
    name: str
    contribution: float
    share: float


@dataclass(frozen=True)
class Neighbour:
    """A similar user: `cosine` before and `similarity` after shrinkage, and what is shared.

    The contributions of all shared items and terms add up to `cosine`; best first.
    """

    user_id: str
    name: str
    similarity: float
    cosine: float
    shared_items: tuple[Shared, ...]
    shared_terms: tuple[Shared, ...]


@dataclass(frozen=True)
class Neighbours:
    """The neighbours of one user, most similar first.

    `reason` says in words why there are none; `num_duplicates` counts users left out because
    they do almost exactly what this user does.
    """

    user_id: str
    neighbours: tuple[Neighbour, ...]
    num_duplicates: int = 0
    reason: str = ""

    def __len__(self) -> int:
        return len(self.neighbours)

    def __iter__(self) -> Iterator[Neighbour]:
        return iter(self.neighbours)

    def __getitem__(self, place: int) -> Neighbour:
        return self.neighbours[place]

    def to_frame(self, num_shown: int = 5) -> pd.DataFrame:
        """One line per neighbour, with the names of the strongest shared items and terms."""
        columns = ["user_id", "name", "similarity", "cosine", "shared_items", "shared_terms"]
        lines = [
            (n.user_id, n.name, n.similarity, n.cosine,
             _names(n.shared_items, num_shown), _names(n.shared_terms, num_shown))
            for n in self.neighbours
        ]  # fmt: skip
        return pd.DataFrame(lines, columns=columns)


def contributions(
    units: csr_array, user: int, other: int, factor: float
) -> tuple[IntArray, DoubleArray]:
    """What two users share in one field and what it adds, `factor · û(x) · v̂(x)`, highest first."""
    mine, theirs = _row(units, user), _row(units, other)
    entries, at_mine, at_theirs = np.intersect1d(
        mine[0], theirs[0], assume_unique=True, return_indices=True
    )
    values = factor * mine[1][at_mine] * theirs[1][at_theirs]
    order = np.lexsort((entries, -values))
    return entries[order], values[order]


def name_shared(
    entries: IntArray, values: DoubleArray, vocabulary: Vocabulary, cosine: float
) -> tuple[Shared, ...]:
    """Give shared entries their ids, names and shares of the cosine."""
    return tuple(
        Shared(vocabulary.ids[entry], vocabulary.names[entry], value, value / cosine)
        for entry, value in zip(entries.tolist(), values.tolist(), strict=True)
    )


def _row(matrix: csr_array, row: int) -> tuple[IntArray, DoubleArray]:
    inside = slice(matrix.indptr[row], matrix.indptr[row + 1])
    return matrix.indices[inside].astype(np.int64), matrix.data[inside]


def _names(shared: tuple[Shared, ...], num_shown: int) -> str:
    more = f" (+{len(shared) - num_shown})" if len(shared) > num_shown else ""
    return ", ".join(entry.name for entry in shared[:num_shown]) + more
