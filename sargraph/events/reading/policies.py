"""Policies: what becomes of repeated events, and of users with more events than a person has."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from sargraph.core.types import CodeArray
from sargraph.events.reading.ledger import FILTERED, MERGED, Ledger
from sargraph.events.reading.log import Log
from sargraph.events.reading.order import find_repeats
from sargraph.events.schema import ACTIONS

Duplicates = Literal["keep", "first", "last", "count"]


def settle_duplicates(log: Log, policy: Duplicates, ledger: Ledger) -> None:
    """Of events equal in user, item, query, time, source and action keep one, or all.

    `first` and `last` in the order of the log; `count`: the first, whose weight becomes the sum of
    the weights. The rows of the others are merged. Cost: as `find_repeats`.
    """
    if policy == "keep":
        return
    kind = log["source"] * np.int8(len(ACTIONS)) + log["action"]
    first = find_repeats(log["user"], log["time"], log["item"], log["query"], kind)
    repeats = np.flatnonzero(first != np.arange(len(first), dtype=first.dtype))
    if len(repeats) == 0:
        return
    kept = np.ones(len(log), dtype=bool)
    if policy == "last":
        _keep_last(kept, first, repeats)
    else:
        kept[repeats] = False
    if policy == "count":
        weight = np.array(log["weight"], dtype=np.float64)
        np.add.at(weight, first[repeats], weight[repeats])
        log.columns["weight"] = weight.astype(np.float32)
    log.counts["merged_events"] += len(repeats)
    log.keep(kept, ledger, MERGED, "duplicate")


def _keep_last(kept: Any, first: CodeArray, repeats: Any) -> None:
    heads = np.unique(first[repeats])
    kept[heads] = False
    kept[repeats] = False
    # Repeats rise, so the last word of each head is its last repeat.
    members, place = np.unique(first[repeats][::-1], return_index=True)
    kept[repeats[::-1][place]] = True
    assert len(members) == len(heads)


def cap_users(log: Log, max_events: int, ledger: Ledger) -> list[dict[str, Any]]:
    """Keep the most recent `max_events` events of each user (0 = all); older rows are filtered.

    Returns the users that were cut with the number of their events, the busiest first. A cut in
    the middle of events of equal time keeps those that come later in the log.
    """
    if max_events == 0:
        return []
    counts = np.bincount(log["user"], minlength=len(log.user_ids))
    busy = np.flatnonzero(counts > max_events)
    busy = busy[np.argsort(-counts[busy], kind="stable")]
    found = [{"user": log.user_ids[u], "events": int(counts[u])} for u in busy.tolist()]
    if found:
        ends = np.cumsum(counts)
        kept = np.ones(len(log), dtype=bool)
        for user in busy.tolist():
            kept[ends[user] - counts[user] : ends[user] - max_events] = False
        log.keep(kept, ledger, FILTERED, "bot cap")
    return found
