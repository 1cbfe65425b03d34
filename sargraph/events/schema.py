"""The canonical events table: what one row means, column by column."""

from __future__ import annotations

from typing import Literal

import numpy as np

SOURCES = ("search", "recommend")
"""Where an event happened; its code is its place in this tuple."""

ACTIONS = ("impression", "click", "play", "like", "buy", "search")
"""What the user did; its code is its place in this tuple. `search` is a query without an item."""

SEARCH, RECOMMEND = range(2)
IMPRESSION, CLICK, PLAY, LIKE, BUY, SEARCHED = range(6)

POSITIVE_ACTIONS = (CLICK, PLAY, LIKE, BUY)
"""Actions that say the user chose the item."""

TimeKind = Literal["ms", "ordinal", "none"]
"""Milliseconds since 1970 UTC, a place in an order, or no time at all."""

QueryKind = Literal["real", "typed", "derived", "simulated", "none"]
"""Where texts come from: searches, tags typed after use, item attributes, a simulator."""

COLUMNS: dict[str, type[np.generic]] = {
    "time": np.int64,  # ms or ordinal; NO_TIME where the log has none
    "source": np.int8,  # place in SOURCES
    "action": np.int8,  # place in ACTIONS
    "user": np.int64,  # row in the user vocabulary
    "item": np.int64,  # row in the item vocabulary, -1 = none
    "query": np.int64,  # row in the query vocabulary, -1 = none
    "session": np.int64,  # number of the session, -1 = none; rows of one search share one session
    "position": np.int32,  # place on the page or in the file, -1 = unknown
    "weight": np.float32,  # strength, such as a listen count; 1 where the log has none
}
