"""Histories from outside: what someone did whom an index has never seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sargraph.core.errors import BadInputError
from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, NO_TIME, Array, IntArray
from sargraph.events.events import Categories, Events
from sargraph.events.reading.tokens import words
from sargraph.events.schema import CLICK, COLUMNS, RECOMMEND, SEARCH, SEARCHED, TimeKind
from sargraph.events.text import canonical_id, normalise
from sargraph.events.vocabulary import Vocabulary
from sargraph.neighbours.profiled import Profiled
from sargraph.neighbours.updates import from_outside

if TYPE_CHECKING:
    from sargraph.neighbours.index import UserIndex

HISTORY_COLUMNS = ("item_id", "query", "time", "source")
SOURCES = {"search": SEARCH, "recommend": RECOMMEND}


def ad_hoc(history: Events | pd.DataFrame, index: UserIndex) -> tuple[Profiled, int]:
    """One user as the index compares it, and how many of its entries the index does not know.

    Raises BadInputError as `UserIndex.similar_to`.
    """
    events = history if isinstance(history, Events) else events_of(history, index)
    users = np.unique(events.user)
    if len(users) != 1:
        raise BadInputError(
            f"got events of {len(users)} users, expected those of one; select one user's"
        )
    found, num_unknown = from_outside(index, events.select(events.user == users[0]))
    return found.take(users), num_unknown


def events_of(frame: pd.DataFrame, index: UserIndex) -> Events:
    """A table of one user's history as events.

    Columns as in `UserIndex.similar_to`; an empty cell is no item, no query or no time. Rows of
    one time, and all without a time, are in order, the oldest first. Without `source` a row with
    a query is a search and any other a recommendation. Each row is a search of its own. A query
    is cut into lowercased words; where the terms of the index were made in another way, ingest
    the history with the recipe of the log and give events.
    """
    _check_columns(frame)
    item_ids = [canonical_id(text) for text in _texts(frame, "item_id")]
    queries = [normalise(text) for text in _texts(frame, "query")]
    items, item = _coded(item_ids)
    texts, query = _coded(queries)
    words_of = [words(text) for text in texts]
    terms = sorted({word for found in words_of for word in found})
    row_of = {term: row for row, term in enumerate(terms)}
    source = _sources(frame, query)
    time = _times(frame, index.time_kind)
    columns = {
        "time": time, "source": source, "action": np.where(item == NO_ROW, SEARCHED, CLICK),
        "user": np.zeros(len(frame)), "item": item, "query": query,
        "session": np.arange(len(frame)), "position": np.full(len(frame), NO_ROW),
        "weight": np.ones(len(frame)),
    }  # fmt: skip
    order = np.argsort(time, kind="stable")
    item_vocabulary = Vocabulary(items)
    return Events(
        columns={name: columns[name][order].astype(dtype) for name, dtype in COLUMNS.items()},
        vocabularies={"user": Vocabulary([""]), "item": item_vocabulary,
                      "query": Vocabulary(texts), "term": Vocabulary(terms)},
        query_terms=Ragged.from_lists([[row_of[w] for w in found] for found in words_of]),
        item_terms=Ragged.from_lists([[] for _ in items]),
        categories=_categories(item_vocabulary, index),
        time_kind=index.time_kind,
    )  # fmt: skip


def _check_columns(frame: pd.DataFrame) -> None:
    expected = "expected item_id and query, or one of them, and perhaps time and source"
    unknown = [name for name in frame.columns if name not in HISTORY_COLUMNS]
    if unknown or not {"item_id", "query"} & set(frame.columns):
        raise BadInputError(f"got a history with the columns {list(frame.columns)}, {expected}")
    if not len(frame):
        raise BadInputError("got a history without a row, expected at least one event")


def _texts(frame: pd.DataFrame, name: str) -> list[str]:
    if name not in frame:
        return [""] * len(frame)
    return ["" if pd.isna(value) else str(value) for value in frame[name]]


def _coded(texts: list[str]) -> tuple[list[str], IntArray]:
    """The distinct texts, and the place of each among them; -1 for an empty one."""
    distinct = sorted(set(texts) - {""})
    row_of = {text: row for row, text in enumerate(distinct)}
    return distinct, np.array([row_of.get(text, NO_ROW) for text in texts], dtype=np.int64)


def _sources(frame: pd.DataFrame, query: IntArray) -> Array:
    if "source" not in frame:
        return np.where(query == NO_ROW, RECOMMEND, SEARCH)
    given = _texts(frame, "source")
    wrong = sorted(set(given) - set(SOURCES))
    if wrong:
        raise BadInputError(f"got source '{wrong[0]}', expected search or recommend")
    return np.array([SOURCES[name] for name in given])


def _times(frame: pd.DataFrame, time_kind: TimeKind) -> IntArray:
    n = len(frame)
    if "time" not in frame:
        return np.full(n, NO_TIME, dtype=np.int64)
    if time_kind == "none" and frame["time"].notna().any():
        raise BadInputError("got times for an index without any, expected no column time")
    given, texts = frame["time"], _texts(frame, "time")
    # Only numbers and texts: pandas would turn dates into a number of a unit of its own.
    numbers = pd.to_numeric(given, errors="coerce") if given.dtype.kind in "iufO" else [None] * n
    times = [NO_TIME if pd.isna(t) or not float(t).is_integer() else int(t) for t in numbers]
    for text, time in zip(texts, times, strict=True):
        if text.strip() and not NO_TIME < time < 2**63:
            raise BadInputError(
                f"got time '{text}', expected a whole number as in the log, or nothing"
            )
    return np.array(times, dtype=np.int64)


def _categories(items: Vocabulary, index: UserIndex) -> Categories | None:
    """Those that the index knows of the items; an unknown item has none."""
    if index.item_categories is None or "category" not in index.vocabularies:
        return None
    known = items.match(index.vocabularies["item"])
    none = np.empty(0, dtype=np.int64)
    lists = [index.item_categories[row] if row != NO_ROW else none for row in known]
    vocabulary = index.vocabularies["category"]
    levels = np.ones(len(vocabulary), dtype=np.int64)
    return Categories(vocabulary, levels, Ragged.from_lists(lists))
