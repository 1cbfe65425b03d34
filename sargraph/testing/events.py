"""Small random events for tests: every shape that a log can take, without a file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.events.events import Events
from sargraph.events.schema import CLICK, COLUMNS, IMPRESSION, RECOMMEND, SEARCH, TimeKind
from sargraph.events.vocabulary import Vocabulary

Row = tuple[int, int, int, int, int, int, int]
"""(user, time, source, action, item, query, session)"""


def make_events(
    rows: Sequence[Row],
    *,
    num_users: int,
    num_items: int,
    query_terms: Sequence[Sequence[int]] = (),
    num_terms: int | None = None,
    time_kind: TimeKind = "ms",
) -> Events:
    """Events from plain tuples, sorted as the table asks for; names are `user 3`, `item 7`, ..."""
    ordered = sorted(rows, key=lambda row: (row[0], row[1]))
    data = np.array(ordered, dtype=np.int64).reshape(-1, 7)
    user, time, source, action, item, query, session = data.T
    n = len(data)
    values = dict(
        time=time, source=source, action=action, user=user, item=item, query=query,
        session=session, position=np.full(n, -1), weight=np.ones(n),
    )  # fmt: skip
    terms = num_terms or 1 + max((t for q in query_terms for t in q), default=-1)
    sizes = {"user": num_users, "item": num_items, "query": len(query_terms), "term": terms}
    return Events(
        columns={name: values[name].astype(dtype) for name, dtype in COLUMNS.items()},
        vocabularies={
            kind: Vocabulary(
                [f"{kind[0]}{i}" for i in range(size)], [f"{kind} {i}" for i in range(size)]
            )
            for kind, size in sizes.items()
        },
        query_terms=Ragged.from_lists(query_terms),
        item_terms=Ragged.from_lists([[] for _ in range(num_items)]),
        time_kind=time_kind,
    )


def random_events(
    rng: np.random.Generator,
    *,
    num_users: int = 12,
    num_items: int = 20,
    num_queries: int = 8,
    num_events: int = 300,
    num_times: int = 40,
    untimed_share: float = 0.0,
) -> Events:
    """Random events with ties in time, impressions, repeated pairs and (if asked) untimed rows."""
    rows: list[Row] = []
    for number in range(num_events):
        is_search = rng.random() < 0.35
        untimed = not is_search and rng.random() < untimed_share
        rows.append(
            (
                int(rng.integers(num_users)),
                NO_TIME if untimed else int(rng.integers(num_times)) * 1000,
                SEARCH if is_search else RECOMMEND,
                CLICK if rng.random() < 0.8 else IMPRESSION,
                int(rng.integers(num_items)),
                int(rng.integers(num_queries)) if is_search else NO_ROW,
                number,
            )
        )
    query_terms = [rng.choice(10, size=int(rng.integers(1, 4)), replace=False).tolist()
                   for _ in range(num_queries)]  # fmt: skip
    return make_events(
        rows, num_users=num_users, num_items=num_items, query_terms=query_terms, num_terms=10
    )
