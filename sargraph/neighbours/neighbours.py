"""`Neighbours`: the users most like one user, each with the evidence for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Shared:
    """An item, a term or a category that two users share.

    `contribution` is its part of the cosine; `share` the same as a fraction of the whole.
    """

    id: str
    name: str
    contribution: float
    share: float


@dataclass(frozen=True)
class Neighbour:
    """A similar user: how similar, and what is shared.

    `similarity` is what neighbours are ordered by; `cosine` is before shrinkage, and what the
    contributions of shared items, terms and categories, best first, add up to. `transitions`:
    the share of the cosine from items that both came to by each transition, in logs with a clock.
    """

    user_id: str
    name: str
    similarity: float
    cosine: float
    shared_items: tuple[Shared, ...]
    shared_terms: tuple[Shared, ...]
    shared_categories: tuple[Shared, ...] = ()
    transitions: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Neighbours:
    """The neighbours of one user, most similar first.

    `reason` says in words why there are none; `num_duplicates` counts users left out because
    they do almost exactly what this user does, `num_unknown` entries of a history that the index
    does not know.
    """

    user_id: str
    neighbours: tuple[Neighbour, ...]
    num_duplicates: int = 0
    reason: str = ""
    num_unknown: int = 0

    def __len__(self) -> int:
        return len(self.neighbours)

    def __iter__(self) -> Iterator[Neighbour]:
        return iter(self.neighbours)

    def __getitem__(self, place: int) -> Neighbour:
        return self.neighbours[place]

    def to_frame(self, num_shown: int = 5) -> pd.DataFrame:
        """One line per neighbour, with the names of what is shared most strongly."""
        columns = ["user_id", "name", "similarity", "cosine", "shared_items", "shared_terms",
                   "shared_categories", "transitions"]  # fmt: skip
        lines = [
            (n.user_id, n.name, n.similarity, n.cosine, _names(n.shared_items, num_shown),
             _names(n.shared_terms, num_shown), _names(n.shared_categories, num_shown),
             _shares(n.transitions))
            for n in self.neighbours
        ]  # fmt: skip
        return pd.DataFrame(lines, columns=columns)

    def to_dict(self) -> dict[str, Any]:
        """Everything, with all that is shared, in plain values for JSON."""
        return asdict(self)


def _names(shared: tuple[Shared, ...], num_shown: int) -> str:
    more = f" (+{len(shared) - num_shown})" if len(shared) > num_shown else ""
    return ", ".join(f"{e.name} {e.share:.0%}" for e in shared[:num_shown]) + more


def _shares(transitions: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {share:.0%}" for name, share in transitions.items() if share >= 0.005)
