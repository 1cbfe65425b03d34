"""Which requests a protocol judges: its part and source, repeats, and a seeded choice."""

from __future__ import annotations

import numpy as np

from sargraph.core.errors import BadInputError
from sargraph.core.rng import make_rng
from sargraph.core.scorer import Requests
from sargraph.core.types import BoolArray, IntArray
from sargraph.evaluation.protocol import Protocol


def eligible_requests(
    requests: Requests, protocol: Protocol, chosen_before: BoolArray | None = None
) -> tuple[IntArray, dict[str, int]]:
    """Rows of the requests that may be judged, ascending, and counts of what was left out.

    `chosen_before` bool [n] (`positives.chosen_before`) is needed where only new targets count.
    Raises BadInputError where it is missing. Cost: O(n log n).
    """
    keep = np.ones(len(requests), dtype=bool)
    if protocol.what != "both":
        keep = requests.is_search == (protocol.what == "search")
    counts: dict[str, int] = {}
    if protocol.repeated == "first":
        counts["requests repeated later, left out"] = _leave_out(keep, ~_is_first(requests))
    if protocol.repeated == "new":
        if chosen_before is None:
            raise BadInputError(
                "the protocol judges new targets only but got chosen_before=None; pass "
                "chosen_before(events, split.visible, requests)"
            )
        counts["requests whose target the user chose before, left out"] = _leave_out(
            keep, chosen_before
        )
    return np.flatnonzero(keep), counts


def chosen_requests(requests: Requests, protocol: Protocol) -> IntArray:
    """Rows of the requests that are judged, ascending: all, or a seeded choice.

    The choice gives each user one random request before any user gets a second one, and so on:
    a plain draw would favour active users and shift the mean over users.
    """
    num_requests = len(requests)
    if not 0 < protocol.max_requests < num_requests:
        return np.arange(num_requests, dtype=np.int64)
    order = make_rng(protocol.seed, "requests").permutation(num_requests)
    by_user = order[np.argsort(requests.user[order], kind="stable")]
    first = np.searchsorted(requests.user[by_user], requests.user[by_user])
    turn = np.empty(num_requests, dtype=np.int64)
    turn[by_user] = np.arange(num_requests) - first
    chosen = order[np.argsort(turn[order], kind="stable")][: protocol.max_requests]
    return np.sort(chosen).astype(np.int64)


def _leave_out(keep: BoolArray, gone: BoolArray) -> int:
    """Strike the requests that go from `keep`; returns how many they were."""
    num_gone = int((keep & gone).sum())
    keep &= ~gone
    return num_gone


def _is_first(requests: Requests) -> BoolArray:
    """True for the earliest request of each (user, query, target); ties go to the first event."""
    keys = (requests.user, requests.query, requests.target)
    order = np.lexsort((requests.event, requests.as_of, *keys))
    starts = np.zeros(len(order), dtype=bool)
    starts[:1] = True
    for key in keys:
        starts[1:] |= key[order][1:] != key[order][:-1]
    is_first = np.empty(len(order), dtype=bool)
    is_first[order] = starts
    return is_first
