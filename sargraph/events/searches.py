"""Which rows of a log belong to one search: what one user typed once, with all that followed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sargraph.core.types import NO_ROW, BoolArray, IntArray
from sargraph.events.events import Events


def search_numbers(events: Events) -> IntArray:
    """The search of each event, int64 [n] from 0 by first row; -1 outside search and without query.

    A search is the rows of one user, session and query; a row without a session is one of its own.
    Cost: one hash of the search rows.
    """
    rows = np.flatnonzero(events.is_search & (events.query != NO_ROW))
    found = np.full(len(events), NO_ROW, dtype=np.int64)
    keys = _keys(events, rows)
    found[rows] = keys.groupby(list(keys), sort=False).ngroup().to_numpy()
    return found


def searches(events: Events, chosen: BoolArray) -> IntArray:
    """Rows of the searches among the `chosen` events: the first row of each, ascending.

    A search is that of `search_numbers`. Cost: one hash of the search rows.
    """
    rows = np.flatnonzero(chosen & events.is_search & (events.query != NO_ROW))
    return np.asarray(rows[~_keys(events, rows).duplicated().to_numpy()])


def _keys(events: Events, rows: IntArray) -> pd.DataFrame:
    """What the rows of one search have in common."""
    session = np.where(events.session[rows] == NO_ROW, -2 - rows, events.session[rows])
    return pd.DataFrame(
        {"user": events.user[rows], "session": session, "query": events.query[rows]}
    )
