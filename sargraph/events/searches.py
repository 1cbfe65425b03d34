"""Which rows of a log belong to one search: what one user typed once, with all that followed."""

from __future__ import annotations

import numpy as np

from sargraph.core.types import NO_ROW, IntArray
from sargraph.events.events import Events


def search_numbers(events: Events) -> IntArray:
    """The search of each event, int64 [n] from 0; -1 outside search and without a query.

    A search is the rows of one user, session and query; a row without a session is one of its own.
    Cost: O(search events log).
    """
    rows = np.flatnonzero(events.is_search & (events.query != NO_ROW))
    session = events.session[rows]
    alone = session == NO_ROW
    session = np.where(alone, session.max(initial=0) + 1 + np.arange(len(rows)), session)
    _, visit = np.unique(session, return_inverse=True)
    _, visit = np.unique(visit * max(len(events.users), 1) + events.user[rows], return_inverse=True)
    key = visit * max(len(events.queries), 1) + events.query[rows]
    found = np.full(len(events), NO_ROW, dtype=np.int64)
    found[rows] = np.unique(key, return_inverse=True)[1]
    return found
