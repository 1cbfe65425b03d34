"""Assembly: a finished log and its texts become `Events` with sorted vocabularies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, Array, CodeArray, IntArray
from sargraph.events.events import Events
from sargraph.events.reading.identifiers import chase
from sargraph.events.reading.log import Log
from sargraph.events.reading.lookups import Texts
from sargraph.events.recipe import Recipe
from sargraph.events.schema import COLUMNS, SEARCH
from sargraph.events.session import MINUTE, number_sessions
from sargraph.events.text import Query
from sargraph.events.vocabulary import Vocabulary


def assemble(
    log: Log,
    recipe: Recipe,
    users: Texts,
    items: Texts,
    read_term_names: Callable[[list[str]], Texts],
) -> Events:
    """Events whose vocabularies hold exactly the users, items, queries and terms in use.

    Rows of every vocabulary follow the sorted ids. `read_term_names` gives the names of the
    terms once they are known. Takes the columns out of `log`.
    """
    used_users = _used(log["user"], len(log.user_ids))
    used_items = _used(log["item"], len(log.item_ids))
    user_ids = [log.user_ids[code] for code in used_users.tolist()]
    item_ids = [log.item_ids[code] for code in used_items.tolist()]
    texts = items.terms(len(log.item_ids)).take(used_items)
    query, queries, num_joined = _sort_queries(log["query"], log.queries)
    log.counts["joined_queries"] += num_joined
    text_ids = list(items.term_code)
    in_texts = {text_ids[code] for code in _used(texts.values, len(text_ids)).tolist()}
    term_ids = sorted(in_texts.union(*(q.terms for q in queries)))
    term_row = {id_: row for row, id_ in enumerate(term_ids)}
    names = read_term_names(term_ids)
    text_row: Any = np.array([term_row.get(id_, NO_ROW) for id_ in text_ids], dtype=np.int64)
    price: Any = _take(log, "price", np.float32) if "price" in log.columns else None
    log.columns["query"] = query
    log.columns["session"] = _sessions(log, recipe)
    del log.columns["search"], log.columns["row"]
    for name, used in (("user", used_users), ("item", used_items)):
        log.columns[name] = _compact(log[name], used, len(getattr(log, f"{name}_ids")))
    return Events(
        columns={name: _take(log, name, dtype) for name, dtype in COLUMNS.items()},
        vocabularies={
            "user": Vocabulary(user_ids, [users.name_of(i) for i in user_ids]),
            "item": Vocabulary(item_ids, [items.name_of(i) for i in item_ids]),
            "query": Vocabulary([q.id for q in queries], [q.name(names.name_of) for q in queries]),
            "term": Vocabulary(term_ids, [names.name_of(i) for i in term_ids]),
        },
        query_terms=Ragged.from_lists([term_row[term] for term in q.terms] for q in queries),
        item_terms=Ragged.from_lengths(text_row[texts.values], texts.lengths),
        categories=items.categories(used_items),
        follows=users.follows(used_users, len(log.user_ids)),
        price=price,
        name=recipe.name,
        time_kind=recipe.time_kind,
        query_kind=recipe.query_kind,
        split=recipe.split.model_dump(mode="json"),
    )


def _take(log: Log, name: str, dtype: type[np.generic]) -> Array:
    """A column in its final type, taken out of the log."""
    return np.asarray(log.columns.pop(name), dtype=dtype)


def _compact(codes: CodeArray, used: IntArray, size: int) -> CodeArray:
    """Codes of the ids in use, in the same order."""
    if len(used) == size:
        return codes
    row_of = np.full(size, NO_ROW, dtype=codes.dtype)
    row_of[used] = np.arange(len(used))
    return chase(row_of, codes)


def _sort_queries(codes: CodeArray, queries: list[Query]) -> tuple[CodeArray, list[Query], int]:
    """Rows of the queries in use, sorted by id; queries that share an id become one row.

    The last number says how many did, though their terms differ: one text cut in two ways.
    """
    used = _used(codes, len(queries)).tolist()
    of_id: dict[str, Query] = {}
    for code in used:
        of_id.setdefault(queries[code].id, queries[code])
    row_of_id = {id_: row for row, id_ in enumerate(sorted(of_id))}
    row_of = np.full(len(queries), NO_ROW, dtype=np.int32)
    row_of[used] = [row_of_id[queries[code].id] for code in used]
    return chase(row_of, codes), [of_id[id_] for id_ in row_of_id], len(used) - len(of_id)


def _used(codes: CodeArray, size: int) -> IntArray:
    """The codes below `size` that occur, rising; -1 does not count."""
    occurs = np.zeros(size + 1, dtype=bool)
    occurs[codes] = True  # -1 lands in the last place
    return np.flatnonzero(occurs[:size])


def _sessions(log: Log, recipe: Recipe) -> Any:
    gap = round(recipe.session_gap_minutes * MINUTE) if recipe.time_kind == "ms" else None
    return number_sessions(
        log["user"],
        log["time"],
        log["search"],
        log["query"],
        is_search=log["source"] == SEARCH,
        gap=gap,
    )
