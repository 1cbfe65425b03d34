"""The audit of targets: what was chosen is no part of the question."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sargraph.core.rng import make_rng
from sargraph.core.scorer import Requests, Scorer, VectorScorer
from sargraph.core.types import NO_ROW, Array, IntArray
from sargraph.events.events import Events
from sargraph.events.split import Split


def assert_target_unread(
    scorer: Scorer, requests: Requests, events: Events, split: Split, *, seed: int = 0
) -> None:
    """No score of any item, and no vector, changes by a bit when a request's target does.

    Each request is asked with its own target and with another one. Where the split has twins a
    scorer may look at the target to leave its pair out of the history: there both are items that
    the user has no event on, so that neither leaves anything out, and who has no two such items is
    not asked. The row of the request's event stays: `assert_future_unread` edits what it holds.
    Raises AssertionError, ValueError where nobody can be asked. Cost: the catalogue scored twice
    for every request; memory requests x items.
    """
    rows, targets = _two_targets(requests, events, split, seed)
    if not len(rows):
        raise ValueError("no request has two targets to compare; give more requests or more items")
    asked = requests.take(rows)
    one, other = (_told(scorer, replace(asked, target=each), len(events.items)) for each in targets)
    changed = [
        n for n in range(len(asked))
        if any(a[n].tobytes() != b[n].tobytes() for a, b in zip(one, other, strict=True))
    ]  # fmt: skip
    if changed:
        task = "recommend" if asked.query[changed[0]] == NO_ROW else "search"
        raise AssertionError(
            f"'{scorer.name}' reads the target: another one changed the answers to {len(changed)} "
            f"of {len(asked)} requests (first: user {asked.user[changed[0]]}, {task})"
        )


def _two_targets(
    requests: Requests, events: Events, split: Split, seed: int
) -> tuple[IntArray, tuple[IntArray, IntArray]]:
    """Rows of the requests that have two targets to compare, and both of each, int64 [k]."""
    size, everyone = len(events.items), np.arange(len(requests))
    if size < 2:
        return everyone[:0], (everyone[:0], everyone[:0])
    draw = make_rng(seed, "leak targets").random((len(requests), size))
    if split.twins:
        has_item = events.item != NO_ROW
        met = np.zeros((len(events.users), size), dtype=np.bool_)
        met[events.user[has_item], events.item[has_item]] = True
        draw[met[requests.user]] = -1
    else:
        draw[everyone, requests.target] = 1  # above every draw: the request's own comes first
    best = np.argsort(-draw, axis=1)[:, :2]
    rows = np.flatnonzero(draw[everyone, best[:, 1]] >= 0)
    return rows, (best[rows, 0], best[rows, 1])


def _told(scorer: Scorer, requests: Requests, num_items: int) -> list[Array]:
    """Scores of the catalogue [n, items], and the vectors where there are some [n, dim]."""
    candidates = np.tile(np.arange(num_items), (len(requests), 1))
    scores = scorer.score(requests, candidates)
    return [scores, scorer.encode(requests)] if isinstance(scorer, VectorScorer) else [scores]
