"""How the embeddings of each model take rows that no training saw."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np

from sargraph.core.errors import BadInputError
from sargraph.core.ragged import Ragged
from sargraph.core.registry import Registry
from sargraph.core.types import NO_ROW, Array, BoolArray, FloatArray, IntArray
from sargraph.embedding.embeddings import KINDS, Embeddings
from sargraph.embedding.inductive_ids import GrownIds
from sargraph.embedding.model import embedding_model
from sargraph.embedding.row_means import mean_of_rows
from sargraph.events.events import Events

Layout: TypeAlias = dict[str, tuple[str, ...]]
"""Kinds whose rows stand one below the other in each weight; none for a weight of the network."""


@dataclass(frozen=True)
class NewRows:
    """All that grows embeddings: the events, which of them may be read, and the joined ids.

    `is_read` bool [events]; `is_known_term` bool [all terms], True for terms with a trained vector.
    """

    events: Events
    is_read: BoolArray
    ids: GrownIds
    is_known_term: BoolArray

    def known_words(self, terms: Ragged) -> Ragged:
        """The terms of each row that have a trained vector."""
        kept = self.is_known_term[terms.values]
        lengths = np.bincount(terms.row_of_value[kept], minlength=len(terms))
        return Ragged.from_lengths(terms.values[kept], lengths)

    @property
    def new_queries(self) -> Ragged:
        """All term rows of the new queries."""
        first = self.ids.num_known["query"]
        return self.ids.query_terms.take(np.arange(first, len(self.ids.query_terms)))


class Growth(ABC):  # noqa: B024  every rule has a default, a member replaces what its model needs
    """The rules of one model, all of finished `Embeddings`.

    A model without a member of its own in GROWTHS may have no other weights than tables named
    after a kind, with a row for each id: `item_bias`, `query_entity`.
    """

    spaces: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Weights of users and of items that new rows are placed in as they are in the tables."""

    @classmethod
    def layout(cls, embeddings: Embeddings) -> Layout:
        """What the rows of each weight are. Raises BadInputError for a model that cannot grow."""
        return {name: (_kind_of(name, embeddings),) for name in embeddings.weights}

    @classmethod
    def query_vectors(cls, embeddings: Embeddings, words: Ragged) -> FloatArray:
        """Queries from rows of their known words, float32 [queries, dim]; here the mean."""
        return mean_of_rows(words, embeddings.tables["term"])

    @classmethod
    def demands(
        cls, embeddings: Embeddings, query: FloatArray, events: Events, query_row: IntArray
    ) -> tuple[FloatArray, IntArray]:
        """d of `place`: a table float32 [n, dim], and the row of each event in it (-1 = none).

        `query` are the vectors of all queries, `query_row` int64 [events] the row of each event's
        query. Here no event has a demand.
        """
        none = np.full(len(events), NO_ROW, dtype=np.int64)
        return np.zeros((0, embeddings.dim), dtype=np.float32), none

    @classmethod
    def finished(cls, vectors: FloatArray) -> FloatArray:
        """New vectors of the tables as the model wants them; here as they were placed."""
        return vectors

    @classmethod
    def weights(
        cls, embeddings: Embeddings, new: NewRows, placed: Mapping[str, FloatArray]
    ) -> dict[str, Array]:
        """The weights with new rows: those of `placed` by name, else the mean row of the kind."""
        grown = {}
        layout, num_known = cls.layout(embeddings), new.ids.num_known
        for name, weight in embeddings.weights.items():
            parts, start = [], 0
            for kind in layout[name]:
                part = weight[start : start + num_known[kind]]
                start += len(part)
                parts += [part, _fresh(part, placed.get(name), new.ids.num_new(kind))]
            grown[name] = np.concatenate(parts) if parts else weight
        return grown

    @classmethod
    def parameters(cls, embeddings: Embeddings) -> dict[str, tuple[Array, tuple[str, ...]]]:
        """The parameters of the trained module by name, each with the kinds of its rows."""
        tables = {kind: (table, (kind,)) for kind, table in embeddings.tables.items()}
        layout = cls.layout(embeddings)
        return {**tables, **{name: (w, layout[name]) for name, w in embeddings.weights.items()}}


GROWTHS: Registry[type[Growth]] = Registry(
    "way to grow",
    ["sargraph.embedding.inductive_uditsr", "sargraph.embedding.inductive_families"],
)


def growth_of(embeddings: Embeddings) -> type[Growth]:
    """The rules for these embeddings.

    Raises ConfigError for an unknown model (such as the tables of a crossfit, which belong to no
    single network), BadInputError for one that cannot grow.
    """
    embedding_model(embeddings.model)
    known = embeddings.model in GROWTHS.names()
    found = GROWTHS.get(embeddings.model) if known else Growth
    found.layout(embeddings)
    return found


def _fresh(part: Array, placed: FloatArray | None, num_new: int) -> Array:
    """The new rows of one kind in one weight."""
    if placed is not None:
        return placed
    mean = part.astype(np.float64).mean(axis=0) if len(part) else np.zeros(part.shape[1:])
    return np.broadcast_to(mean, (num_new, *part.shape[1:])).astype(part.dtype)


def _kind_of(name: str, embeddings: Embeddings) -> str:
    """The kind that a weight is named after and has a row for each id of."""
    shape = embeddings.weights[name].shape
    for kind in KINDS:
        if name.startswith(kind) and shape[:1] == (len(embeddings.vocabularies[kind]),):
            return kind
    raise BadInputError(
        f"embeddings of '{embeddings.model}' cannot take new ids: got a weight '{name}' of shape "
        f"{tuple(shape)}, expected tables of user, item, query or term rows alone; train again on "
        "a graph with the new ids, or embed them with 'uditsr'"
    )
