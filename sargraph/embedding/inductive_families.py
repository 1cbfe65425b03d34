"""How LightGCN, TransE and item2vec take new rows; BPR has nothing but plain tables."""

from __future__ import annotations

import numpy as np

from sargraph.core.errors import BadInputError
from sargraph.core.ragged import Ragged
from sargraph.core.types import Array, FloatArray, IntArray
from sargraph.embedding.embeddings import KINDS, Embeddings, unit_rows
from sargraph.embedding.inductive_growth import GROWTHS, Growth, Layout
from sargraph.embedding.row_means import mean_of_rows
from sargraph.embedding.transe_data import RELATIONS
from sargraph.events.events import Events
from sargraph.graph.graph import CLICKED, CONTAINS, FOUND


@GROWTHS.register("lightgcn")
class LightGCNGrowth(Growth):
    """A new user is the mean of the items chosen, a query that of its words; the raw vectors, which
    scores do not read, are means of their kind."""

    @classmethod
    def layout(cls, embeddings: Embeddings) -> Layout:
        """All nodes in one table."""
        kinds = KINDS if "query" in embeddings.tables else KINDS[:2]
        sizes = [len(embeddings.vocabularies[kind]) for kind in kinds]
        rows = len(embeddings.weights["embedding"])
        if rows != sum(sizes):
            raise BadInputError(
                f"got raw vectors of {rows} nodes, expected {sum(sizes)}; train again"
            )
        return {"embedding": tuple(kinds)}


@GROWTHS.register("item2vec")
class Item2vecGrowth(Growth):
    """A new user is the mean of the items chosen, a new item that of the users who chose it."""

    @classmethod
    def layout(cls, embeddings: Embeddings) -> Layout:
        """Vectors of items as contexts."""
        return {"context": ("item",)}


@GROWTHS.register("transe")
class TransEGrowth(Growth):
    """The demand of an event is the vector of its relation; every new vector has length 1.

    user + r ~ item, with r of clicked or of found; a query is unit(mean of its words - r_contains).
    """

    @classmethod
    def layout(cls, embeddings: Embeddings) -> Layout:
        """Relations, and the queries as nodes of their own."""
        return {"relation": (), "query_entity": ("query",)}

    @classmethod
    def query_vectors(cls, embeddings: Embeddings, words: Ragged) -> FloatArray:
        """As the model makes them; zero without a word."""
        contains = _relations(embeddings)[RELATIONS.index(CONTAINS)]
        mean = mean_of_rows(words, embeddings.tables["term"])
        vectors = unit_rows(mean - contains)
        vectors[words.lengths == 0] = 0
        return vectors

    @classmethod
    def demands(
        cls, embeddings: Embeddings, query: FloatArray, events: Events, query_row: IntArray
    ) -> tuple[FloatArray, IntArray]:
        """The relation of each event."""
        clicked, found = RELATIONS.index(CLICKED), RELATIONS.index(FOUND)
        return _relations(embeddings), np.where(events.is_search, found, clicked)

    @classmethod
    def finished(cls, vectors: FloatArray) -> FloatArray:
        """Vectors of length 1."""
        return unit_rows(vectors)

    @classmethod
    def parameters(cls, embeddings: Embeddings) -> dict[str, tuple[Array, tuple[str, ...]]]:
        """All nodes in one table, queries as the nodes that they were in training."""
        tables = {**embeddings.tables, "query": embeddings.weights["query_entity"]}
        node: Array = np.concatenate([tables[kind] for kind in KINDS])
        return {"node": (node, KINDS), "relation": (_relations(embeddings), ())}


def _relations(embeddings: Embeddings) -> FloatArray:
    return np.asarray(embeddings.weights["relation"], dtype=np.float32)
