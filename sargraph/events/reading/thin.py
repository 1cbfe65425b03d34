"""Thinning: a dense log made sparse, by a seeded share of its choices and a span of their number.

It comes after repeated events are settled, so that it counts choices and not their copies, and
before the core filter, whose promise (enough partners for all that stay) would not outlive it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sargraph.core.rng import make_rng
from sargraph.core.types import BoolArray, IntArray
from sargraph.events.reading.ledger import FILTERED, Ledger
from sargraph.events.reading.log import Log
from sargraph.events.recipe import Thin


def thin_out(log: Log, thin: Thin, ledger: Ledger, seed: int) -> None:
    """Apply a recipe's `[thin]`: leave out choices by chance, then users by their distinct items.

    Every choice stays with probability `share`, whatever its source. What was shown in the same
    row of a file, at its time and in its search, goes with it unless another choice of these
    stays. Then all events of a user go whose number of distinct chosen items is below `min_items`
    or above `max_items`. Rows are filtered; the numbers of choices and users that went are notes,
    because a row that packs many events is used if one of them is. Cost: O(n log n).
    """
    chosen = log.is_choice
    drawn = make_rng(seed, "events", "thin").random(len(log)) < thin.share
    gone = chosen & ~drawn
    log.counts["thinned_choices"] = int(gone.sum())
    log.keep(~(gone | _shown_with(log, chosen, gone)), ledger, FILTERED, "thinned")
    if thin.min_items or thin.max_items:
        _keep_users(log, thin, ledger)


def _shown_with(log: Log, chosen: BoolArray, gone: BoolArray) -> BoolArray:
    """Events without a choice whose page (row, time and search) had choices and lost them all."""
    shown = ~chosen & np.isin(log["row"], log["row"][gone])
    if not shown.any():
        return shown
    keys = pd.DataFrame({name: log[name] for name in ("row", "time", "search")})
    page = keys.groupby(list(keys)).ngroup().to_numpy()
    lost = np.zeros(page.max() + 1, dtype=bool)
    lost[page[gone]] = True
    lost[page[chosen & ~gone]] = False
    return np.asarray(shown & lost[page])


def _keep_users(log: Log, thin: Thin, ledger: Ledger) -> None:
    num_items = _distinct_items(log)
    fits = num_items >= thin.min_items
    if thin.max_items:
        fits &= num_items <= thin.max_items
    there = np.bincount(log["user"], minlength=len(log.user_ids)) > 0
    log.counts["thinned_users"] = int((there & ~fits).sum())
    log.keep(fits[log["user"]], ledger, FILTERED, "too few or too many items")


def _distinct_items(log: Log) -> IntArray:
    """Number of distinct items that each user chose, int64 [users]."""
    chosen = log.is_choice
    width = max(len(log.item_ids), 1)
    pairs = np.unique(log["user"][chosen].astype(np.int64) * width + log["item"][chosen])
    return np.bincount(pairs // width, minlength=len(log.user_ids))
