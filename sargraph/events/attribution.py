"""Attribution: which search a row of a mixed log came from."""

from __future__ import annotations

import numpy as np

from sargraph.core.types import NO_ROW, BoolArray, IntArray


def attribute(
    group: IntArray, time: IntArray, opens: BoolArray, ends: BoolArray, max_gap: int | None
) -> IntArray:
    """The place of the search row that each row belongs to, int64 [n]; -1 = none.

    Rows come in the order of the log; a search lives inside one `group` (a user, or a user's
    session) until the next row of the group that opens or ends one. An opening row belongs to
    itself, an ending row to none. Rows more than `max_gap` ms after the search belong to none, and
    do not end it. Cost: O(n log n), O(n) where rows of a group lie together.
    """
    size = len(group)
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    place = np.arange(size, dtype=np.int64)
    is_first = np.ones(size, dtype=np.bool_)
    is_first[1:] = ordered[1:] != ordered[:-1]
    # A group starts with nothing open, as if its first row came after the end of a search.
    marks = is_first | (opens | ends)[order]
    last = order[np.maximum.accumulate(np.where(marks, place, 0))]
    opener = np.where(opens[last], last, NO_ROW)
    if max_gap is not None:
        # Compared by addition: the difference to NO_TIME would overflow.
        opener[time[order] > time[last] + max_gap] = NO_ROW
    result = np.full(size, NO_ROW, dtype=np.int64)
    result[order] = opener
    return result
