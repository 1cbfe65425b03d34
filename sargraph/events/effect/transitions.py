"""Do searches carry over to recommendation (S2R), and recommendation to searches (R2S)?

Both are measured as a contrast within a user: the same searched topic against the batch right
after (before) the search, and against the user's other batches, of which no search was near.
What the two sources share for good, the user's inherent intents, is the same on both sides.

One direction fakes the other where demand persists: a search that a batch triggered also resembles
the next batch. So a search counts for S2R only where the batch before it had nothing of its topic,
and for R2S only where the search before showed nothing of it: its commonest topic alone can miss
what it was about. The same is asked of the batches compared with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sargraph.core.types import NO_ROW, BoolArray, IntArray
from sargraph.events.effect.null import NOTHING, Measured, flip_signs
from sargraph.events.effect.steps import Batches, Searches, latest_before

HOUR_MS = 3_600_000
NUM_COMPARED = 20
"""So many other batches are drawn for each search."""


@dataclass(frozen=True)
class Cases:
    """Searches matched with a batch, and the batches they are compared with.

    `topic`, `batch` [n] and `stratum` [n] of the matched; `others` are batch rows with
    `other_stratum`. Strata hold what else makes two batches differ, the user first.
    """

    topic: IntArray
    batch: IntArray
    stratum: IntArray
    others: IntArray
    other_stratum: IntArray


def measure_s2r(
    searches: Searches,
    batches: Batches,
    num_draws: int,
    rng: np.random.Generator,
    window: int = HOUR_MS,
) -> Measured:
    """Share of a batch's choices that are of the topic searched right before it.

    Compared: batches of the user that had no search within `window` ms before, and the same kind
    of pause since the batch before them.
    """
    search = latest_before(searches.user, searches.time, batches.user, batches.time)
    age = _ago(batches.time, searches.time, search)
    previous = _previous(batches)
    between = _ago(batches.time, batches.time, previous)
    stratum = batches.user * 4 + np.searchsorted([HOUR_MS, 24 * HOUR_MS], between)
    known = previous != NO_ROW
    near = known & (age <= window) & (age < between)
    near[near] = searches.topic[search[near]] != NO_ROW
    cases = Cases(
        topic=searches.topic[search[near]],
        batch=np.flatnonzero(near),
        stratum=stratum[near],
        others=np.flatnonzero(known & (age > window)),
        other_stratum=stratum[known & (age > window)],
    )

    def fits(topic: IntArray, batch: IntArray) -> BoolArray:
        return np.asarray(batches.share(previous[batch], topic) == 0)

    return _compare(cases, batches, fits, num_draws, rng)


def measure_r2s(
    searches: Searches,
    batches: Batches,
    num_draws: int,
    rng: np.random.Generator,
    window: int = HOUR_MS,
) -> Measured:
    """Share of a batch's choices that are of the topic searched right after it.

    Compared: batches of the user that no search followed within `window` ms, and that came as
    long after the last search before them.
    """
    searched = latest_before(searches.user, searches.time, batches.user, batches.time)
    age = _ago(batches.time, searches.time, searched)
    stratum = batches.user * 8 + np.searchsorted([HOUR_MS, 6 * HOUR_MS, 24 * HOUR_MS], age)
    batch = latest_before(batches.user, batches.time, searches.user, searches.time)
    earlier = _previous(searches)
    pause = _ago(searches.time, batches.time, batch)
    since = _ago(searches.time, searches.time, earlier)
    near = (pause <= window) & (pause < since) & (searches.topic != NO_ROW)
    followed = np.zeros(len(batches.user), dtype=np.bool_)
    followed[batch[pause <= window]] = True
    cases = Cases(
        topic=searches.topic[near],
        batch=batch[near],
        stratum=stratum[batch[near]],
        others=np.flatnonzero(~followed),
        other_stratum=stratum[~followed],
    )

    def fits(topic: IntArray, batch: IntArray) -> BoolArray:
        return ~searches.shows(searched[batch], topic)

    return _compare(cases, batches, fits, num_draws, rng)


def _previous(steps: Searches | Batches) -> IntArray:
    """The row before of the same user, -1 = none."""
    rows = np.arange(len(steps.user)) - 1
    first = np.ones(len(rows), dtype=np.bool_)
    first[1:] = steps.user[1:] != steps.user[:-1]
    return np.where(first, NO_ROW, rows)


def _ago(time: IntArray, times: IntArray, row: IntArray) -> IntArray:
    """Ms from `times[row]` to `time`; the largest number where there is no row."""
    result = np.full(len(time), np.iinfo(np.int64).max)
    known = row != NO_ROW
    result[known] = time[known] - times[row[known]]
    return result


def _compare(
    cases: Cases,
    batches: Batches,
    fits: Callable[[IntArray, IntArray], BoolArray],
    num_draws: int,
    rng: np.random.Generator,
) -> Measured:
    """The matched against others of their stratum; `fits(topic, batch)` says which may be used."""
    usable = fits(cases.topic, cases.batch)
    topic, batch, stratum = cases.topic[usable], cases.batch[usable], cases.stratum[usable]
    order = np.argsort(cases.other_stratum, kind="stable")
    strata, others = cases.other_stratum[order], cases.others[order]
    start = np.searchsorted(strata, stratum)
    count = np.searchsorted(strata, stratum, side="right") - start
    topic, batch, start, count = (x[count > 0] for x in (topic, batch, start, count))
    if not len(topic):
        return NOTHING
    step = (rng.random((len(topic), NUM_COMPARED)) * count[:, None]).astype(np.int64)
    other = others[start[:, None] + step]
    wide = np.broadcast_to(topic[:, None], other.shape)
    fit = fits(wide, other)
    some = fit.any(axis=1)
    total = np.where(fit, batches.share(other, wide), 0.0).sum(axis=1)[some]
    compared = total / fit.sum(axis=1)[some]
    own = batches.share(batch[some], topic[some])
    return flip_signs(own, compared, batches.user[batch[some]], num_draws, rng)
