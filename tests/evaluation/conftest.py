"""Small hand-made worlds for the tests of evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW
from sargraph.events.events import Events
from sargraph.events.schema import ACTIONS, COLUMNS, SOURCES
from sargraph.events.vocabulary import Vocabulary

Row = tuple[int, str, str, int, int, int] | tuple[int, str, str, int, int, int, int]


def build_events(
    rows: Sequence[Row],
    num_users: int,
    num_items: int,
    query_terms: Sequence[Sequence[int]] = (),
    item_terms: Sequence[Sequence[int]] | None = None,
    num_terms: int = 0,
) -> Events:
    """Events from rows (time, source, action, user, item, query), some with a session behind."""
    rows = sorted(rows, key=lambda row: (row[3], row[0]))
    columns = {name: np.zeros(len(rows), dtype) for name, dtype in COLUMNS.items()}
    columns["time"][:] = [row[0] for row in rows]
    columns["source"][:] = [SOURCES.index(row[1]) for row in rows]
    columns["action"][:] = [ACTIONS.index(row[2]) for row in rows]
    for name, place in (("user", 3), ("item", 4), ("query", 5)):
        columns[name][:] = [row[place] for row in rows]
    columns["session"][:] = [row[6] if len(row) == 7 else NO_ROW for row in rows]
    sizes = {"user": num_users, "item": num_items, "query": len(query_terms), "term": num_terms}
    return Events(
        columns=columns,
        vocabularies={
            kind: Vocabulary([f"{kind}{row}" for row in range(size)])
            for kind, size in sizes.items()
        },
        query_terms=Ragged.from_lists(query_terms),
        item_terms=Ragged.from_lists(item_terms or [[] for _ in range(num_items)]),
    )


def build_requests(
    users: Sequence[int],
    targets: Sequence[int],
    queries: Sequence[int] | None = None,
    as_of: Sequence[int] | None = None,
    events: Sequence[int] | None = None,
) -> Requests:
    """Requests; recommendation at time 0 with no event unless said otherwise."""
    size = len(users)
    given = (
        users,
        [NO_ROW] * size if queries is None else queries,
        [0] * size if as_of is None else as_of,
        targets,
        [NO_ROW] * size if events is None else events,
    )
    return Requests(*(np.asarray(column, dtype=np.int64) for column in given))


@pytest.fixture(scope="session")
def make_events() -> Callable[..., Events]:
    return build_events


@pytest.fixture(scope="session")
def make_requests() -> Callable[..., Requests]:
    return build_requests
