"""`embed_new`: vectors for users, items, queries and terms that no training saw."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, BoolArray, FloatArray, IntArray
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.inductive_growth import Growth, NewRows, growth_of
from sargraph.embedding.inductive_ids import GrownIds
from sargraph.embedding.inductive_placing import (
    COLD,
    HOT,
    STATES,
    WARM,
    Evidence,
    Placed,
    mean_row,
    place,
)
from sargraph.events.events import Events
from sargraph.events.split import Split, require_split
from sargraph.graph.build import ALL_EVENTS

_States = dict[str, IntArray]


def embed_new(
    embeddings: Embeddings, events: Events, *, split: Split | None = None, as_of: int | None = None
) -> Embeddings:
    """Embeddings that also hold the ids of `events`, without a training.

    Known ids keep their rows and their bits; new ids follow them, sorted. With q the vector of a
    query, + the rule of translation u + q ~ i and means over the chosen items that may be read:
    ```
    query  the model's own form of its known words; UDITSR: q = Σ_t w_t
    user   u = mean over events of (i - q on searches, i on recommendations)
    item   i = mean over events of (u + q on searches, u on recommendations); without such events
           the idf-weighted mean of known items that share its words and categories
    ```
    in two rounds, see `place`; other models have no q there, or another translation (`Growth`).
    A term, and all of which nothing is known, is cold: the mean vector of its kind. An id that
    embeddings and events share counts as hot, whatever training saw of it.

    Read are the training events of `split` (all without it), strictly before `as_of` where it is
    given; texts, categories and follows have no time. The report counts hot, warm (placed) and
    cold ids of each kind under "embed_new". `parents["split"]` says what was held out, so that
    nobody is judged by choices that placed them.

    Raises BadInputError for events of another data set, embeddings fitted on another split of
    these events, a model that cannot grow; ConfigError for an unknown one. Cost: one pass over the
    events and a copy of the tables, O(new rows dim) beside it; no gradient, no graph.
    """
    if split is not None:
        require_split(embeddings.model, embeddings.parents, events, split)
    growth = growth_of(embeddings)
    ids = GrownIds.of(embeddings, events)
    is_read = _is_read(events, split, as_of)
    new = NewRows(events, is_read, ids, _known_terms(embeddings, ids))
    tables, states = _words_and_queries(embeddings, growth, new)
    spaces = _spaces(embeddings, growth)
    placed = _place(embeddings, growth, new, tables.get("query"), spaces)
    states |= {"user": placed.user_state, "item": placed.item_state}
    by_name = _apart(placed, spaces, ids)
    for kind in ("user", "item"):
        tables[kind] = growth.finished(by_name.pop(kind))
    known = embeddings.tables
    return replace(
        embeddings,
        tables={kind: np.concatenate([known[kind], tables[kind]]) for kind in known},
        vocabularies=ids.vocabularies,
        query_terms=ids.query_terms,
        weights=growth.weights(embeddings, new, by_name),
        report={**embeddings.report, "embed_new": _report(states, is_read, known)},
        parents=_parents(embeddings, events, split, as_of),
        content_hash="",
    )


def _is_read(events: Events, split: Split | None, as_of: int | None) -> BoolArray:
    """The events that may be read; those without a time are before every time."""
    kept = np.ones(len(events), dtype=np.bool_) if split is None else split.is_train
    return kept if as_of is None else np.asarray(kept & (events.time < as_of))


def _known_terms(embeddings: Embeddings, ids: GrownIds) -> BoolArray:
    """Terms with a trained vector; where there are none, terms that the embeddings know."""
    found = np.zeros(len(ids.vocabularies["term"]), dtype=np.bool_)
    found[: ids.num_known["term"]] = True
    if "term" in embeddings.tables:
        found[: ids.num_known["term"]] = embeddings.tables["term"].any(axis=1)
    return found


def _words_and_queries(
    embeddings: Embeddings, growth: type[Growth], new: NewRows
) -> tuple[dict[str, FloatArray], _States]:
    """The vectors of new terms and queries, and the states of all."""
    ids = new.ids
    tables: dict[str, FloatArray] = {}
    states: _States = {}
    for kind in ("query", "term"):
        if kind not in embeddings.tables:
            continue
        state = np.full(len(ids.vocabularies[kind]), COLD, dtype=np.int64)
        state[: ids.num_known[kind]] = HOT
        known = embeddings.tables[kind]
        mean = mean_row(known[known.any(axis=1)])[None].astype(np.float32)
        vectors = np.repeat(growth.finished(mean), ids.num_new(kind), axis=0)
        if kind == "query":
            words = new.known_words(new.new_queries)
            rows = np.flatnonzero(words.lengths > 0)
            vectors[rows] = growth.query_vectors(embeddings, words.take(rows))
            state[ids.num_known[kind] + rows] = WARM
        tables[kind], states[kind] = vectors, state
    return tables, states


def _spaces(embeddings: Embeddings, growth: type[Growth]) -> list[dict[str, str]]:
    """The names of the tables of users and items in each space; the first are the vectors."""
    further = [dict(zip(("user", "item"), names, strict=True)) for names in growth.spaces]
    return [{"user": "user", "item": "item"}, *further]


def _place(
    embeddings: Embeddings,
    growth: type[Growth],
    new: NewRows,
    new_queries: FloatArray | None,
    spaces: list[dict[str, str]],
) -> Placed:
    """All users and items, every space beside the last in the columns."""
    query = embeddings.tables.get("query", np.zeros((0, embeddings.dim), dtype=np.float32))
    if new_queries is not None:
        query = np.concatenate([query, new_queries])
    arrays: dict[str, Any] = {**embeddings.weights, **embeddings.tables}
    sides = []
    for kind in ("user", "item"):
        known = np.concatenate([arrays[space[kind]] for space in spaces], axis=1)
        empty = np.zeros((new.ids.num_new(kind), known.shape[1]), dtype=np.float32)
        sides.append(np.concatenate([known, empty]))
    query_row = _rows(new, "query")
    demands, demand = growth.demands(embeddings, query, new.events, query_row)
    evidence = _evidence(new, demand)
    num_known = new.ids.num_known["user"], new.ids.num_known["item"]
    return place(sides[0], sides[1], np.tile(demands, (1, len(spaces))), evidence, num_known)


def _evidence(new: NewRows, demand: IntArray) -> Evidence:
    """What the events that may be read, the texts, the categories and the follows say."""
    events, ids = new.events, new.ids
    rows = np.flatnonzero(new.is_read & events.is_positive)
    item_of, user_of = ids.row_of["item"], ids.row_of["user"]
    text, none = events.item_terms, Ragged.from_lists([])
    categories = none if events.categories is None else events.categories.of_item
    follows = none if events.follows is None else events.follows
    return Evidence(
        user=user_of[events.user[rows]],
        item=item_of[events.item[rows]],
        demand=demand[rows],
        featured=item_of[np.concatenate([text.row_of_value, categories.row_of_value])],
        feature=np.concatenate([text.values, len(events.terms) + categories.values]),
        follower=user_of[follows.row_of_value],
        followed=user_of[follows.values],
    )


def _rows(new: NewRows, kind: str) -> IntArray:
    """The grown row of each event's query (-1 = none)."""
    own = new.events.columns[kind].astype(np.int64)
    return np.append(new.ids.row_of[kind], NO_ROW)[own]


def _apart(placed: Placed, spaces: list[dict[str, str]], ids: GrownIds) -> dict[str, FloatArray]:
    """The new rows of every space by the name of its table."""
    found: dict[str, FloatArray] = {}
    for kind, table in (("user", placed.user), ("item", placed.item)):
        parts = np.split(table[ids.num_known[kind] :], len(spaces), axis=1)
        found |= {
            space[kind]: np.ascontiguousarray(part)
            for space, part in zip(spaces, parts, strict=True)
        }
    return found


def _report(states: _States, is_read: BoolArray, kinds: Any) -> dict[str, Any]:
    """How many ids of each kind are hot, warm and cold, and how many events were read."""
    counts = {kind: np.bincount(states[kind], minlength=len(STATES)).tolist() for kind in kinds}
    by_state = {kind: dict(zip(STATES, counts[kind], strict=True)) for kind in counts}
    ordered = {kind: {s: found[s] for s in reversed(STATES)} for kind, found in by_state.items()}
    return {"events_read": int(is_read.sum()), **ordered}


def _parents(
    embeddings: Embeddings, events: Events, split: Split | None, as_of: int | None
) -> dict[str, str]:
    """The embeddings, the events that new ids were placed by, and what of them was held out."""
    held_out = ALL_EVENTS if as_of is None else f"none, events before {as_of}"
    found = {
        "embeddings": embeddings.content_hash,
        "events": events.content_hash,
        "split": held_out if split is None else split.content_hash,
    }
    return {role: digest for role, digest in found.items() if digest}
