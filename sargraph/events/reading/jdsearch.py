"""JDsearch: one line per user with lists side by side, and a test query with its candidates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from sargraph.core.errors import DataError
from sargraph.core.types import NO_ROW
from sargraph.events.reading.files import plain_text
from sargraph.events.reading.relation import Reject, Relation
from sargraph.events.reading.workspace import Workspace
from sargraph.events.recipe import FileSource

LIST = "_"
NO_QUERY = "-1"
HISTORY = ("history_qry_list", "history_wid_list", "history_type_list", "history_time_list")
CANDIDATES = ("query", "candidate_wid_list", "candidate_label_list")

ACTION_OF_LABEL = {0: "NONE", 1: "CLICK", 2: "CART", 3: "ORD"}
"""The labels of candidates in the words of the history; NONE is a product that was only shown."""

COLUMNS = {
    "user": pa.string(),
    "query": pa.string(),
    "item": pa.string(),
    "action": pa.string(),
    "place": pa.int64(),
    "shown": pa.int64(),
    "search": pa.int64(),
    "line": pa.int64(),
}


class Entry(NamedTuple):
    """One action of a user, or one candidate of the test query."""

    query: str
    item: str
    action: str
    place: int
    shown: int
    search: int | None


def read_jdsearch(work: Workspace, path: Path, source: FileSource) -> Relation:
    """A user's history and test query as entries, with the columns of `COLUMNS`.

    The user is the number of the line (from 1). The gaps of `history_time_list` add up to the
    `place` of each action; its last gap, one more than the history has actions, leads to the test
    query, whose candidates share one place and have theirs on the page as `shown` (-1 elsewhere).
    Neighbours in the history with one query share the number of a `search`; the test query has its
    own, and an action without a query has none. Lines whose lists do not fit together are refused.
    Raises DataError when a column is missing.
    """
    text = plain_text(path, source.encoding, work.scratch)
    columns: dict[str, list[object]] = {name: [] for name in COLUMNS}
    rejects: list[Reject] = []
    for number, row in enumerate(_rows(text, path), start=1):
        try:
            entries = list(_entries(row))
        except ValueError as error:
            rejects.append((number, str(error), LIST.join(row.values())))
            continue
        for entry in entries:
            values = (str(number), *entry, number)
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
    arrays = {name: pa.array(values, COLUMNS[name]) for name, values in columns.items()}
    types = dict.fromkeys(("place", "shown", "search", "line"), "BIGINT")
    sql = work.register(pa.table(arrays))
    return Relation(list(COLUMNS), sql, lambda: rejects, row="line", types=types)


def _rows(text: Path, path: Path) -> Iterator[dict[str, str]]:
    with text.open(encoding="utf-8-sig", newline="") as file:
        lines = (line.rstrip("\r\n").split("\t") for line in file)
        header = next(lines)
        missing = [name for name in (*CANDIDATES, *HISTORY) if name not in header]
        if missing:
            raise DataError(
                f"{path} has no column '{missing[0]}' (its columns: {', '.join(header[:20])}); "
                "expected the behaviour file of JDsearch"
            )
        for line in lines:
            if line != [""]:
                yield dict(zip(header, [*line, *[""] * len(header)], strict=False))


def _entries(row: dict[str, str]) -> Iterator[Entry]:
    """The entries of one line. Raises ValueError, saying what does not fit."""
    queries, items, actions, gaps = (_list(row[name]) for name in HISTORY)
    if not len(queries) == len(items) == len(actions) == len(gaps) - 1:
        raise ValueError("lists of unequal length")
    candidates, labels = _list(row["candidate_wid_list"]), _list(row["candidate_label_list"])
    if len(candidates) != len(labels):
        raise ValueError("candidates and labels of unequal number")
    places, search, before = _places(gaps), 0, None
    for query, item, action, place in zip(queries, items, actions, places, strict=False):
        search += query != before
        before = query
        yield Entry(query, item, action, place, NO_ROW, search if query != NO_QUERY else None)
    for shown, (item, label) in enumerate(zip(candidates, labels, strict=True)):
        yield Entry(row["query"], item, _action(label), places[-1], shown, search + 1)


def _list(text: str) -> list[str]:
    return text.split(LIST) if text else []


def _places(gaps: list[str]) -> list[int]:
    total, places = 0, []
    for gap in gaps:
        total += _whole(gap, "time gap")
        places.append(total)
    return places


def _action(label: str) -> str:
    code = _whole(label, "label")
    if code not in ACTION_OF_LABEL:
        raise ValueError(f"unknown label {label[:20]}")
    return ACTION_OF_LABEL[code]


def _whole(text: str, what: str) -> int:
    try:
        value = int(float(text))
    except (ValueError, OverflowError):
        raise ValueError(f"unreadable {what}") from None
    if value < 0:
        raise ValueError(f"negative {what}")
    return value
