"""The core filter, against plain loops."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sargraph.events.reading.core_filter import core_of

PAIRS = st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=40)


def _naive(pairs: set[tuple[int, int]], least: tuple[int, int]) -> set[tuple[int, int]]:
    """Remove one user or item at a time until all that are left have enough partners."""
    left = set(pairs)
    while True:
        poor = [
            pair
            for pair in left
            if sum(u == pair[0] for u, _ in left) < least[0]
            or sum(i == pair[1] for _, i in left) < least[1]
        ]
        if not poor:
            return left
        left.remove(min(poor))


@settings(deadline=None)
@given(PAIRS, st.integers(0, 4), st.integers(0, 4))
def test_the_core_is_the_fixed_point(
    pairs: set[tuple[int, int]], min_user_items: int, min_item_users: int
) -> None:
    least = (min_user_items, min_item_users)
    user = np.array([u for u, _ in sorted(pairs)], dtype=np.int64)
    item = np.array([i for _, i in sorted(pairs)], dtype=np.int64)
    kept_user, kept_item = core_of(user, item, (8, 8), least)
    core = _naive(pairs, least)
    assert set(np.flatnonzero(kept_user).tolist()) == {u for u, _ in core}
    assert set(np.flatnonzero(kept_item).tolist()) == {i for _, i in core}
