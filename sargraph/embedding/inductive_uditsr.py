"""How UDITSR takes new rows: final and raw vectors, words of users and items, query histories."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sargraph.core.config import parse_config
from sargraph.core.errors import BadInputError
from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, NO_TIME, Array, BoolArray, FloatArray, IntArray
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.frequent_terms import FrequentTerms
from sargraph.embedding.inductive_growth import GROWTHS, Growth, Layout, NewRows
from sargraph.embedding.uditsr_config import UDITSRTraining
from sargraph.events.events import Events
from sargraph.events.searches import searches

_ROWS = {
    "user_embedding.weight": "user",
    "item_embedding.weight": "item",
    "term_embedding.weight": "term",
    "user_terms": "user",
    "item_terms": "item",
    "query_terms": "query",
}
_NOT_LEARNED = ("user_terms", "item_terms", "query_terms")
_HISTORY = "history_"


@GROWTHS.register("uditsr")
class UDITSRGrowth(Growth):
    """The demand of a search is its query, the sum of its words; user + demand ~ item.

    A recommendation has no demand here. The model's own virtual query of the pair would be one,
    but it says what the item is, so that the difference tells little of the user (in a planted
    world of five topics .66 to .80 of the right pairs against .89 to .96). Raw vectors, which the
    generator of virtual queries reads, are placed by the same means over raw vectors.

    A query without a known word is scored by its new words, each of which is the mean word.
    """

    spaces = (("user_embedding.weight", "item_embedding.weight"),)

    @classmethod
    def layout(cls, embeddings: Embeddings) -> Layout:
        """Raw tables and word lists have rows; the network has none."""
        if _config(embeddings).virtual_query == "permuted":
            raise BadInputError(
                "got embeddings whose virtual queries are permuted, a control in which new ids "
                "would permute the old ones; expected another virtual_query"
            )
        return {name: (_ROWS[name],) if name in _ROWS else () for name in embeddings.weights}

    @classmethod
    def query_vectors(cls, embeddings: Embeddings, words: Ragged) -> FloatArray:
        """The sum of the first words of each query."""
        kept = words.to_padded(_num_words(embeddings))
        table = np.concatenate([embeddings.tables["term"], np.zeros((1, embeddings.dim))])
        return np.asarray(table[kept].sum(axis=1), dtype=np.float32)

    @classmethod
    def demands(
        cls, embeddings: Embeddings, query: FloatArray, events: Events, query_row: IntArray
    ) -> tuple[FloatArray, IntArray]:
        """The query of each search."""
        return query, np.where(events.is_search, query_row, NO_ROW)

    @classmethod
    def weights(
        cls, embeddings: Embeddings, new: NewRows, placed: Mapping[str, FloatArray]
    ) -> dict[str, Array]:
        """Raw vectors as placed; words counted over the new rows' own searches."""
        grown = super().weights(embeddings, new, placed)
        missing = NO_ROW if _config(embeddings).mask_padding else 0
        by_user, by_item = _frequent(embeddings, new)
        lists = {"user": by_user, "item": by_item, "query": _scored_words(embeddings, new)}
        for kind, terms in lists.items():
            known = embeddings.weights[f"{kind}_terms"]
            rows = np.where(terms < 0, missing, terms).astype(known.dtype)
            grown[f"{kind}_terms"] = np.concatenate([known, rows])
        if f"{_HISTORY}kind" in embeddings.weights:
            grown |= _histories(embeddings, new)
        return grown

    @classmethod
    def parameters(cls, embeddings: Embeddings) -> dict[str, tuple[Array, tuple[str, ...]]]:
        """The state of the network but for what a graph gives."""
        layout = cls.layout(embeddings)
        return {
            name: (weight, layout[name])
            for name, weight in embeddings.weights.items()
            if name not in _NOT_LEARNED and not name.startswith(_HISTORY)
        }


def _config(embeddings: Embeddings) -> UDITSRTraining:
    return parse_config(UDITSRTraining, embeddings.config, "[training]")


def _num_words(embeddings: Embeddings) -> int:
    return int(embeddings.weights["query_terms"].shape[1])


def _scored_words(embeddings: Embeddings, new: NewRows) -> IntArray:
    """The words by which each new query is scored: the known ones, or all where none is known."""
    every = new.new_queries
    known = new.known_words(every).to_padded(_num_words(embeddings))
    is_known = (known >= 0).any(axis=1, keepdims=True)
    return np.where(is_known, known, every.to_padded(_num_words(embeddings)))


def _frequent(embeddings: Embeddings, new: NewRows) -> tuple[IntArray, IntArray]:
    """The most frequent known words of new users and of new items, as in training."""
    events, ids = new.events, new.ids
    found = events.is_positive & events.is_search & (events.query != NO_ROW) & new.is_read
    rows = np.flatnonzero(found)
    words = new.known_words(ids.query_terms).to_padded(_num_words(embeddings))
    lists = []
    for kind, column in (("user", events.user), ("item", events.item)):
        row = ids.row_of[kind][column[rows]]
        own = rows[ids.is_new(kind, row)]
        local = ids.row_of[kind][column[own]] - ids.num_known[kind]
        queries = words[ids.row_of["query"][events.query[own]]]
        k = int(embeddings.weights[f"{kind}_terms"].shape[1])
        text = _item_text(new) if kind == "item" else None
        counted = FrequentTerms.count(local, queries, ids.num_new(kind), k, text)
        lists.append(counted.terms)
    return lists[0], lists[1]


def _item_text(new: NewRows) -> Ragged:
    """The known words of the new items' own texts."""
    text = new.events.item_terms.take(new.ids.new_from["item"])
    rows = new.ids.row_of["term"][text.values]
    return new.known_words(Ragged(rows, text.offsets))


def _histories(embeddings: Embeddings, new: NewRows) -> dict[str, Array]:
    """The query histories with those of the new users after them."""
    weights, events = embeddings.weights, new.events
    _check_clock(bool(weights[f"{_HISTORY}kind"][0]), events)
    rows = searches(events, _is_history(new))
    user = new.ids.row_of["user"][events.user[rows]]
    rows, user = (column[new.ids.is_new("user", user)] for column in (rows, user))
    query = new.ids.row_of["query"][events.query[rows]]
    order = np.lexsort((query, events.time[rows], user))
    counts = np.bincount(user - new.ids.num_known["user"], minlength=new.ids.num_new("user"))
    offsets = weights[f"{_HISTORY}offsets"]
    columns = {
        "offsets": offsets[-1] + np.cumsum(counts),
        "time": events.time[rows][order],
        "query": query[order],
    }
    return {
        f"{_HISTORY}{name}": np.concatenate([weights[f"{_HISTORY}{name}"], values])
        for name, values in columns.items()
    }


def _is_history(new: NewRows) -> BoolArray:
    """Timed events that may be read, whose query has a known word."""
    events, has_word = new.events, new.known_words(new.ids.query_terms).lengths > 0
    asked = has_word[new.ids.row_of["query"][events.query]] & (events.query != NO_ROW)
    return np.asarray(new.is_read & (events.time != NO_TIME) & asked)


def _check_clock(is_clock: bool, events: Events) -> None:
    kinds = {True: "ms", False: "ordinal"}
    if is_clock != (events.time_kind == "ms"):
        raise BadInputError(
            f"got events '{events.name}' whose time is {events.time_kind}, expected "
            f"{kinds[is_clock]} as in the training of these timed embeddings"
        )
